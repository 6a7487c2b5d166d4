"""The sums along sides are the sums over insides, and the best polygon is found."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec.contour import fit
from common.codec.contour.fit import Gains


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 30), st.integers(2, 30), st.integers(12, 28), st.integers(12, 28))
def test_a_rectangle_gains_what_lies_in_it(left: int, top: int, wide: int, high: int) -> None:
    values = np.random.default_rng(left * 31 + top).normal(1, 0.1, (64, 64)).astype(np.float32)
    right, bottom = left + wide, top + high
    points = np.array(((left, top), (right, top), (right, bottom), (left, bottom)), np.int32)
    inside = float(values[top:bottom, left : right + 1].sum())  # the last row goes to what lies below
    assert abs(float(Gains.of(values, 0, 0).polygon(points)) - inside) < 0.12 * inside


def test_spare_vertices_are_left_out() -> None:
    gains = np.full((60, 60), -1, np.float32)
    gains[10:50, 10:50] = 1
    edge = [(x, 10) for x in range(10, 50, 5)] + [(49, y) for y in range(10, 50, 5)]
    edge += [(x, 49) for x in range(49, 10, -5)] + [(10, y) for y in range(49, 10, -5)]
    found = fit.polygon(np.array(edge, np.int32), Gains.of(gains, 0, 0), 1, 1.0)
    assert 4 <= len(found) <= 6


def test_vertices_follow_what_moved() -> None:
    gains = np.full((60, 60), -1, np.float32)
    gains[10:50, 10:50] = 1
    points = np.array(((10, 10), (47, 10), (47, 49), (10, 49)), np.int32)
    states = np.broadcast_to(fit.NEIGHBOURS * 2, (4, 9, 2)).astype(np.int32)
    bits = np.full((4, 9), 1.0, np.float32)
    bits[:, 4] = 0
    chosen = fit.refine(points, states, bits, Gains.of(gains, 0, 0), 1.0)
    moved = points + states[np.arange(4), chosen]
    assert moved[1, 0] == 49 and moved[2, 0] == 49
    assert moved[0, 0] == 10 and moved[3, 0] == 10
