"""What viewers are told beside the picture."""

from __future__ import annotations

import dataclasses

import pytest

from common.maps.told import LegendBook
from receiver.status import map_figures
from tests.receiver.play.pictures import shown
from tests.receiver.play.test_maps import a_map


def test_of_a_map_viewers_are_told_its_legend_age_and_what_is_held_over() -> None:
    assert map_figures(None) == map_figures(shown(0)) == {"map": None}
    found = a_map(age=0.04)
    found.trust[0] = 1
    told = map_figures(dataclasses.replace(shown(0), map=found))
    assert told == {
        "map": "two",
        "map_age_ms": pytest.approx(40.0),
        "map_held": pytest.approx(4 / 12),
        "map_lost": pytest.approx(1 / 12),
    }


def test_a_map_without_a_name_is_a_map() -> None:
    book = LegendBook()
    found = dataclasses.replace(a_map(), legend=book.legend(3, 2))
    assert found.legend.name == ""
    assert map_figures(dataclasses.replace(shown(0), map=found))["map"] == "unnamed"
