"""The legends of the maps that come with the project, by name."""

from __future__ import annotations

from common.maps.base import Colour, Legend
from common.tabletop.classes import CLASSES

STREET = Legend(
    "street",
    (
        *("sky", "building", "pole", "road", "pavement", "tree"),
        *("sign", "fence", "car", "pedestrian", "bicyclist"),
    ),
    (
        *((120, 190, 255), (130, 65, 10), (225, 225, 225), (115, 70, 150), (255, 150, 230), (20, 130, 45)),
        *((255, 230, 0), (125, 150, 120), (0, 40, 200), (225, 20, 30), (255, 130, 0)),
    ),
)
"""CamVid's eleven classes, in its order, in colours that are told apart on a page."""

TABLETOP = Legend(
    "tabletop", tuple(entry.name for entry in CLASSES), tuple(entry.colour for entry in CLASSES)
)
"""What lies on the tables of the rendered clips; the table is class 0."""

MATTE = Legend("matte", ("background", "foreground"), ((20, 20, 60), (255, 170, 0)))
"""What moves, a person for example, before what stands."""

SYNTHETIC = Legend(
    "synthetic",
    ("scene", "car", "walker", "ball", "balloon", "bird"),
    ((70, 80, 90), (0, 90, 220), (225, 20, 30), (255, 130, 0), (200, 60, 200), (255, 230, 0)),
)
"""Who moves in the procedural scene."""

LEGENDS = {legend.name: legend for legend in (STREET, TABLETOP, MATTE, SYNTHETIC)}


def colours(count: int) -> tuple[Colour, ...]:
    """Colours for so many classes, neighbours far apart: hues a golden angle apart, in three lightnesses."""
    return tuple(_colour(number) for number in range(count))


def _colour(number: int) -> Colour:
    hue = (number * 0.61803398875) % 1.0 * 6
    value = (255, 170, 215)[number // 12 % 3]
    low = value * (0.15, 0.45)[number // 6 % 2]
    part = hue % 1.0
    up, down = low + (value - low) * part, value - (value - low) * part
    wheel = (
        *((value, up, low), (down, value, low), (low, value, up)),
        *((low, down, value), (up, low, value), (value, low, down)),
    )
    red, green, blue = (round(one) for one in wheel[int(hue)])
    return red, green, blue
