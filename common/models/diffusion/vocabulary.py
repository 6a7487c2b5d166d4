"""One space of labels for all sources of maps, so that one set of weights serves them all.

Shared labels 0..10 are the street scenes' classes (CamVid's order), 11 and 12 a matte's background and foreground,
13..36 the table and what lies on it. A control map is one-hot over them, and zero where nothing is known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.maps.base import VOID, Legend
from common.tabletop.classes import CLASSES as TABLETOP

STREET_NAMES = (
    *("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian"),
    "bicyclist",
)
STREET_COLOURS = (
    *((128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0)),
    *((192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)),
)
MATTE_NAMES = ("background", "foreground")
MATTE_COLOURS = ((0, 0, 0), (255, 255, 255))

STREET, MATTE, OBJECTS = 0, len(STREET_NAMES), len(STREET_NAMES) + len(MATTE_NAMES)
"""The first shared label of each group."""
BACKGROUND, FOREGROUND = MATTE, MATTE + 1
CLASSES = OBJECTS + len(TABLETOP)

SHARED = Legend(
    "shared",
    (*STREET_NAMES, *MATTE_NAMES, *(entry.name for entry in TABLETOP)),
    (*STREET_COLOURS, *MATTE_COLOURS, *(entry.colour for entry in TABLETOP)),
)

_GROUPS = {
    "street": (STREET, len(STREET_NAMES)),
    "matte": (MATTE, len(MATTE_NAMES)),
    "tabletop": (OBJECTS, len(TABLETOP)),
}
_ALIASES = {"signsymbol": "sign", "sidewalk": "pavement", "vegetation": "tree", "person": "pedestrian"}
_BEHIND = ("background", "void", "none", "other")


def lookup(legend: Legend) -> NDArray[np.uint8]:
    """(256,): the shared label of each label of `legend`, VOID of what it does not have.

    A legend of a known name and size goes by position. Any other goes by the names of its classes; one that nobody
    knows counts as foreground."""
    table = np.full(256, VOID, np.uint8)
    count = len(legend.classes)
    first, size = _GROUPS.get(legend.name, (0, 0))
    if count == size:
        table[:count] = np.arange(first, first + count)
        return table
    for label, name in enumerate(legend.classes):
        table[label] = _named(name)
    return table


def _named(name: str) -> int:
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    plain = _ALIASES.get(plain, plain)
    if plain in SHARED.classes:
        return SHARED.classes.index(plain)
    return BACKGROUND if plain in _BEHIND else FOREGROUND
