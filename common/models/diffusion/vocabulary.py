"""One space of labels for all sources of maps, so that one set of weights serves them all.

Shared labels 0..10 are the street scenes' classes (CamVid's order), 11 and 12 a matte's background and foreground,
13..36 the table and what lies on it. A control map is one-hot over them, and zero where nothing is known.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.maps import legends
from common.maps.base import VOID, Legend

STREET_NAMES = legends.STREET.classes
MATTE_NAMES = legends.MATTE.classes

STREET, MATTE, OBJECTS = 0, len(STREET_NAMES), len(STREET_NAMES) + len(MATTE_NAMES)
"""The first shared label of each group."""
BACKGROUND, FOREGROUND = MATTE, MATTE + 1
CLASSES = OBJECTS + len(legends.TABLETOP.classes)

_ALL = (legends.STREET, legends.MATTE, legends.TABLETOP)
SHARED = Legend(
    "shared",
    tuple(name for legend in _ALL for name in legend.classes),
    tuple(colour for legend in _ALL for colour in legend.colours),
)

_GROUPS = {
    "street": (STREET, len(STREET_NAMES)),
    "matte": (MATTE, len(MATTE_NAMES)),
    "tabletop": (OBJECTS, len(legends.TABLETOP.classes)),
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
