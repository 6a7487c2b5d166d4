"""The paper's method: contours with tolerance xi, Q symbols, motion in P - 1 frames."""

from __future__ import annotations

import numpy as np
import pytest

from common.codec.base import CodecError
from common.codec.contour.decoder import ContourDecoder
from common.codec.contour.instances import instances
from common.codec.contour.paper import PaperSettings, encode
from common.codec.contour.worth import counts, mean_iou
from tests.common.codec.contour.drawn import CLASSES, Labels, scene, scenes


def shown(maps: list[Labels], settings: PaperSettings) -> tuple[list[Labels], int]:
    payloads = encode(maps, settings)
    decoded = ContourDecoder().decode(payloads)
    assert decoded is not None
    return decoded.maps, sum(map(len, payloads))


def iou(truth: Labels, labels: Labels) -> float:
    return mean_iou(counts(truth, labels, CLASSES))


def test_defaults_are_what_the_paper_settles_on() -> None:
    settings = PaperSettings()
    assert (settings.symbols, settings.period, settings.tolerance) == (256, 4, 6.0)


def test_one_instance_for_each_component() -> None:
    labels = scene(3)
    labels[2:6, 2:6] = labels[2:6, 10:14] = 4
    found = instances(labels)
    assert sorted(one.label for one in found) == [0, 1, 2, 3, 4, 4, 4]
    assert [one.area for one in found] == sorted((one.area for one in found), reverse=True)


def test_instances_that_touch_stay_apart_with_ids() -> None:
    labels, ids = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint16)
    labels[5:15, 2:18] = 1
    ids[5:15, 2:10], ids[5:15, 10:18] = 1, 2
    assert sum(one.label == 1 for one in instances(labels)) == 1
    assert sum(one.label == 1 for one in instances(labels, None, ids)) == 2


def test_islands_in_holes_are_instances() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[5:35, 5:35] = 1
    labels[10:30, 10:30] = 0
    labels[15:25, 15:25] = 1
    assert [one.label for one in instances(labels)] == [0, 1, 0, 1]
    (out,), _ = shown([labels], PaperSettings(classes=2, tolerance=0, period=1))
    assert np.array_equal(out, labels)


def test_a_small_tolerance_gives_the_map_back() -> None:
    labels = scene(2)
    (out,), _ = shown([labels], PaperSettings(classes=CLASSES, tolerance=0.0, symbols=4096, period=1))
    assert iou(labels, out) > 0.995


def test_tolerance_trades_bits_for_likeness() -> None:
    labels = scene(2)
    results = [
        shown([labels], PaperSettings(classes=CLASSES, tolerance=xi, period=1)) for xi in (1.0, 4.0, 16.0)
    ]
    sizes = [size for _, size in results]
    likeness = [iou(labels, maps[0]) for maps, _ in results]
    assert sizes == sorted(sizes, reverse=True)
    assert likeness == sorted(likeness, reverse=True)


def test_p_frames_carry_motion() -> None:
    maps = scenes(4)
    out, size = shown(maps, PaperSettings(classes=CLASSES, tolerance=2.0))
    held = [out[0]] * 4
    assert np.mean([iou(a, b) for a, b in zip(maps, out, strict=True)]) > 0.9
    assert iou(maps[3], out[3]) > iou(maps[3], held[3]) + 0.1
    alone = sum(
        shown([labels], PaperSettings(classes=CLASSES, tolerance=2.0, period=1))[1] for labels in maps
    )
    assert size < 0.5 * alone


def test_void_is_filled_from_its_neighbours() -> None:
    labels = scene(1)
    labels[30:40, 100:110] = 255
    (out,), _ = shown([labels], PaperSettings(classes=CLASSES, tolerance=1.0, period=1, void=255))
    assert set(np.unique(out[30:40, 100:110])) == {0}


@pytest.mark.parametrize("labels", [np.zeros((7, 9), np.uint8), np.zeros((1, 1), np.uint8)])
def test_flat_maps(labels: Labels) -> None:
    (out,), size = shown([labels], PaperSettings(classes=2, period=1))
    assert np.array_equal(out, labels)
    assert size < 16


def test_all_void() -> None:
    (out,), _ = shown([np.full((8, 8), 255, np.uint8)], PaperSettings(classes=2, period=1, void=255))
    assert out.shape == (8, 8)


def test_payloads_hold_whole_instances_large_first() -> None:
    maps = scenes(4)
    payloads = encode(maps, PaperSettings(classes=CLASSES, tolerance=2.0), 40)
    assert len(payloads) > 1
    assert all(len(payload) <= 40 for payload in payloads)
    for kept in range(1, len(payloads) + 1):
        decoded = ContourDecoder().decode([*payloads[:kept], *[None] * (len(payloads) - kept)])
        assert decoded is not None
        assert iou(maps[0], decoded.maps[0]) > 0.05


@pytest.mark.parametrize("field", ["symbols", "period", "tolerance", "classes"])
def test_settings_out_of_range(field: str) -> None:
    with pytest.raises(CodecError, match=field):
        PaperSettings(**{field: -1})
