"""Where the contexts of syntax.py begin: probabilities and ages, counted on training clips."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from common.codec.contour.coder import Contexts
from common.codec.texture.syntax import CONTEXTS

PATH = Path(__file__).with_name("tables.json")


@lru_cache(maxsize=1)
def load() -> tuple[list[int], list[int]]:
    stored = json.loads(PATH.read_text())
    if len(stored["zeros"]) != CONTEXTS or len(stored["ages"]) != CONTEXTS:
        raise RuntimeError(f"{PATH}: not of this version")
    return stored["zeros"], stored["ages"]


def contexts() -> Contexts:
    """A new set, as at the beginning of every unit."""
    return Contexts(*load())


def zeros() -> list[int]:
    """Probability of a zero in each context, over contour.coder.ONE."""
    return load()[0]
