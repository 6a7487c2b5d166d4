"""The bench of handshakes and late joins, with few runs and bounds that these can hold."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from proto.wire import Mode
from tests.bench import join
from tests.bench.join import Row, Target, Times, broadcast, handshake, table


@pytest.mark.parametrize("mode", [Mode.TWO_WAY, Mode.AUTO])
def test_handshakes_at_80_percent_loss(mode: Mode) -> None:
    times = Times.of([handshake(mode, seed) for seed in range(60)])
    assert times.soon >= 0.9 and times.at(0.5) < 0.8


def test_packets_for_late_joiners_come_sooner() -> None:
    usual, short = (
        Times.of([join.join(stream, seed)[0] for seed in range(200)])
        for stream in (broadcast(30.0, 0.0), broadcast(30.0, 0.2))
    )
    assert short.soon >= 0.96
    assert usual.soon < 0.9
    assert short.at(0.5) < 0.6 * usual.at(0.5)


def test_a_late_joiner_hears_the_announcement_too() -> None:
    stream = broadcast(60.0, 0.1)
    told = Times.of([join.join(stream, seed)[1] for seed in range(40)])
    assert math.isfinite(told.at(1.0)) and told.at(0.5) < 4


def test_times_and_targets() -> None:
    times = Times.of([3.0, 1.0, math.inf, 1.5])
    assert (times.at(0.5), times.at(0.75), times.at(0.99), times.soon) == (1.5, 3.0, math.inf, 0.5)
    assert Target(0.5).kept(times) and not Target(0.6).kept(times)
    missed = Row("x", 60.0, 4, times, target=Target(0.6))
    assert missed.missed and "missed" in table([missed])


@pytest.mark.parametrize(("slow", "code"), [(0.5, 0), (9.0, 1)])
def test_files_and_exit_code(slow: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "handshake", lambda mode, seed: slow)
    monkeypatch.setattr(join, "RATES", ())
    assert join.main(["--runs", "3", "--out", str(tmp_path)]) == code
    [first, _] = json.loads((tmp_path / "join.json").read_text())
    assert first["missed"] == bool(code) and first["first"]["p95"] == slow
    assert (tmp_path / "join.md").read_text().count("handshake") == 2
