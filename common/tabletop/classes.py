"""What lies on the tables: the classes of the maps, their numbers, names and legend colours."""

from __future__ import annotations

from typing import NamedTuple

VOID = 0
"""Class and instance of the table: whatever is not an object."""


class ObjectClass(NamedTuple):
    """One class of the maps. `colour` is its sRGB in legends."""

    number: int
    name: str
    colour: tuple[int, int, int]


CLASSES = (
    ObjectClass(0, "table", (0, 0, 0)),
    ObjectClass(1, "box", (230, 25, 75)),
    ObjectClass(2, "can", (60, 180, 75)),
    ObjectClass(3, "tin", (255, 225, 25)),
    ObjectClass(4, "bottle", (0, 130, 200)),
    ObjectClass(5, "mug", (245, 130, 48)),
    ObjectClass(6, "cup", (145, 30, 180)),
    ObjectClass(7, "bowl", (70, 240, 240)),
    ObjectClass(8, "plate", (240, 50, 230)),
    ObjectClass(9, "ball", (210, 245, 60)),
    ObjectClass(10, "apple", (200, 60, 60)),
    ObjectClass(11, "pear", (0, 128, 128)),
    ObjectClass(12, "lemon", (220, 190, 255)),
    ObjectClass(13, "banana", (170, 110, 40)),
    ObjectClass(14, "brick", (255, 250, 200)),
    ObjectClass(15, "die", (128, 0, 0)),
    ObjectClass(16, "spoon", (170, 255, 195)),
    ObjectClass(17, "hammer", (128, 128, 0)),
    ObjectClass(18, "screwdriver", (255, 215, 180)),
    ObjectClass(19, "wrench", (0, 0, 128)),
    ObjectClass(20, "marker", (128, 128, 128)),
    ObjectClass(21, "letter", (255, 255, 255)),
    ObjectClass(22, "ring", (90, 160, 255)),
    ObjectClass(23, "gripper", (60, 60, 60)),
)
GRIPPER = 23
NUMBERS = {entry.name: entry.number for entry in CLASSES}
