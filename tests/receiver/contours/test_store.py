"""The store of maps."""

from __future__ import annotations

import numpy as np

from common.codec.base import IMAGINED, RECEIVED, RECOVERED
from common.maps.base import Legend
from common.maps.told import LegendPart, messages, number_of
from receiver.contours.store import MOST_BYTES, MOST_MAPS, OLDEST_S, MapStore, TimedMap

LEGEND = Legend("two", ("ground", "thing"), ((0, 0, 0), (9, 9, 9)))


def timed(at: float, label: int = 0, side: int = 32) -> TimedMap:
    return TimedMap(
        at,
        np.full((side, side), label, np.uint8),
        np.full((side // 16, side // 16), RECEIVED, np.uint8),
        number_of(LEGEND),
    )


def told(store: MapStore) -> None:
    for message in messages(LEGEND, 500):
        store.tell(LegendPart.parse(message))


def test_the_map_of_a_moment_is_the_newest_before_it() -> None:
    store = MapStore()
    assert store.at(1.0) is None
    told(store)
    for number in range(5):
        store.put(timed(10 + 0.1 * number, number % 2))
    assert store.at(9.9) is None
    found = store.at(10.149)
    assert found is not None and found.labels[0, 0] == 1 and found.legend == LEGEND
    assert abs(found.age_s - 0.049) < 1e-6 and (found.trust == RECEIVED).all()
    assert store.newest == 10.4
    nearly = store.at(10.19)  # rounded times
    assert nearly is not None and nearly.labels[0, 0] == 0 and nearly.age_s == 0.0


def test_old_maps_are_trusted_less_and_then_not_shown() -> None:
    store = MapStore()
    store.put(timed(10.0))
    ages = {0.1: RECEIVED, 1.0: RECOVERED, 3.0: IMAGINED}
    for age, trust in ages.items():
        found = store.at(10.0 + age)
        assert found is not None and (found.trust == trust).all()
    assert store.at(10.0 + OLDEST_S + 0.1) is None


def test_before_the_legend_is_told_classes_have_numbers() -> None:
    store = MapStore()
    store.put(timed(1.0, 3))
    found = store.at(1.0)
    assert found is not None and found.legend.classes == ("0", "1", "2", "3")
    told(store)
    found = store.at(1.0)
    assert found is not None and found.legend.classes == ("ground", "thing", "2", "3")
    store.clear()
    store.forget()
    store.put(timed(2.0, 1))
    found = store.at(2.0)
    assert found is not None and found.legend.classes == ("0", "1")


def test_a_time_that_goes_back_replaces_what_was_after_it_and_all_is_bounded() -> None:
    store = MapStore()
    for number in range(3 * MOST_MAPS):
        store.put(timed(float(number)))
    assert store.at(2.0 * MOST_MAPS - 5) is None
    store.put(timed(5.0, 1))
    assert store.newest == 5.0
    for number in range(20):
        store.put(timed(10.0 + number / 10, side=2048))
    kept = [at / 10 for at in range(100, 120) if store.at(at / 10) is not None]
    assert len(kept) == MOST_BYTES // 2048**2
