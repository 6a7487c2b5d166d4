"""The offline benchmark: erasure code arithmetic, wire accounting, determinism, table."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.bench.loss_sweep import contestants, frozen_share, measure, table
from tests.bench.protected import HEADERS, Block, Protected
from tests.bench.resilient import Resilient
from tests.common.codec.scene import picture


def block() -> Block:
    return Block((bytes(300), bytes(100), bytes(100), bytes(100)), data=6, sent=12, symbol=100)


def test_any_k_packets_make_a_block_whole() -> None:
    arrived = np.zeros(12, bool)
    arrived[[0, 7, 8, 9, 10, 11]] = True
    assert block().intact(arrived) == [True] * 4
    arrived[0] = False
    assert block().intact(arrived) == [False] * 4


def test_below_k_the_frames_whose_packets_arrived_remain() -> None:
    arrived = np.zeros(12, bool)
    arrived[[0, 1, 2, 4]] = True
    assert block().intact(arrived) == [True, False, True, False]


def test_every_packet_pays_its_headers() -> None:
    assert block().wire_bytes == 12 * (100 + HEADERS)


@pytest.mark.parametrize("who", [Resilient(), Protected("libx264", Fraction(1, 2))])
def test_rows_are_repeatable_and_quality_falls_with_loss(who: Resilient | Protected) -> None:
    sent = [np.pad(picture(i), ((0, 288), (0, 128)), mode="wrap")[:288, :192] for i in range(16)]
    encoded = who.encode(sent, 15.0, 60.0)
    assert encoded.wire_bytes * 8 / (16 / 15) / 1000 == pytest.approx(60, rel=0.15)
    rows = [measure(who, Path("scene.mp4"), encoded, sent, loss, 0) for loss in (0.0, 0.9, 0.9)]
    assert rows[1] == rows[2]
    assert float(str(rows[0]["psnr"])) > float(str(rows[1]["psnr"]))


def test_frozen_share_counts_only_what_should_have_moved() -> None:
    still, moving = [np.zeros((6, 4), np.uint8)] * 5, [np.full((6, 4), i, np.uint8) for i in range(5)]
    assert frozen_share(moving, still) == 1.0
    assert frozen_share(moving, moving) == 0.0
    assert frozen_share(still, still) == 0.0


def test_table_has_a_line_for_each_contestant() -> None:
    row = {
        "contestant": "a",
        "wire_kbps_target": 60,
        "wire_kbps": 61.5,
        "loss": 0.5,
        "psnr": 20.0,
        "ms_ssim": 0.5,
    }
    text = table([row, row | {"contestant": "b", "psnr": 10.0}])
    assert "| 60 | a | 61.5 | 20.00 / 0.500 | 20.00 / 0.500 |" in text
    assert "| 60 | b |" in text
    assert "| 90.0 (!) |" in table([row | {"wire_kbps": 90.0}])


def test_contestants_by_name() -> None:
    names = [c.name for c in contestants(["resilient", "x265"], [Fraction(1), Fraction(1, 4)], [60])]
    assert names == ["resilient", "x265 1 key 60", "x265 1/4 key 60"]
