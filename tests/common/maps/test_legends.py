"""The shipped legends, and the colours given to classes that bring none."""

from __future__ import annotations

from itertools import combinations

import pytest

from common.maps.legends import LEGENDS, MATTE, STREET, SYNTHETIC, TABLETOP, colours
from common.tabletop.classes import CLASSES


def test_they_are_found_by_name() -> None:
    assert LEGENDS == {"street": STREET, "tabletop": TABLETOP, "matte": MATTE, "synthetic": SYNTHETIC}
    assert len(STREET.classes) == 11 and STREET.classes[8] == "car"
    assert TABLETOP.classes[0] == "table" and len(TABLETOP.classes) == len(CLASSES)
    assert all(CLASSES[number].number == number for number in range(len(CLASSES)))


@pytest.mark.parametrize("legend", [STREET, MATTE, SYNTHETIC], ids=lambda legend: legend.name)
def test_colours_are_told_apart(legend: object) -> None:
    assert all(_distance(a, b) > 60 for a, b in combinations(legend.colours, 2))  # type: ignore[attr-defined]


def test_colours_for_classes_of_others() -> None:
    many = colours(254)
    assert len(set(many)) > 200 and colours(5) == many[:5]
    assert all(0 <= value <= 255 for colour in many for value in colour)
    assert all(_distance(a, b) > 60 for a, b in combinations(many[:8], 2))


def _distance(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    return float(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5)
