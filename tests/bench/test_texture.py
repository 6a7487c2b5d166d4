"""The comparison of small pictures: contestants keep the rate, losses show, tables have all rows."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np

from common.video import blank
from tests.bench.texture import Clip, masks_of, rows
from tests.bench.texture_peers import HALF, QUARTER, mixed, ours, places
from tests.bench.texture_report import CHOSEN, report
from tests.common.codec.scene import picture

CLIP = Clip("scene", [picture(i, 256, 192) for i in range(64)], 8.0)


def test_rows_of_ours_and_a_peer() -> None:
    found = []
    for who in (("texture", QUARTER), ("texture", HALF), ("svtav1", f"1 of a unit, {HALF}")):
        whole, lossy = rows(CLIP, 4.0, who, (0.0, 0.7))
        assert whole.wire_kbps <= 4.0 * 1.03 and whole.psnr > lossy.psnr
        found += [asdict(whole), asdict(replace(lossy, wire_kbps=9.0))]
    text = report(found)
    assert "| 4 | texture (quarter size) * |" in text and "PSNR, upscaled" in text
    chosen, half = (
        next(line.split("|")[3:] for line in text.splitlines() if f"| 4 | texture ({setting})" in line)
        for setting in (CHOSEN, HALF)
    )
    assert chosen == half and "half size: " in text  # as the sender does at this size and rate


def test_the_same_packets_are_lost_each_time() -> None:
    units = [CLIP.pictures[i : i + 16] for i in range(0, 64, 16)]
    coded = ours(units, CLIP.fps, 600.0, 4)
    assert masks_of(coded, 0.5, "a") == masks_of(coded, 0.5, "a")
    assert masks_of(coded, 1.0, "a") == [[True], [False], [False], [False]]
    assert len(coded.shown(masks_of(coded, 1.0, "a"))) == 64


def test_half_size_is_a_quarter_where_a_unit_would_be_too_large() -> None:
    large = [[blank(512, 512)] * 20]
    assert ours(large, 10.0, 600.0, 2).shown([[True]])[0].shape == (192, 128)


def test_pictures_between_are_mixed() -> None:
    assert places(1, 16) == [8] and places(4, 16) == [2, 6, 10, 14]
    first, last = np.zeros((3, 2), np.uint8), np.full((3, 2), 100, np.uint8)
    shown = mixed([first, last], [1, 5], 8)
    assert [int(one[0, 0]) for one in shown] == [0, 0, 25, 50, 75, 100, 100, 100]
