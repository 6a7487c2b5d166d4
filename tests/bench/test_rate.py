"""How the rate benchmark judges; the scenarios themselves are tested with the control."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import rate
from tests.bench.link.impairments import Impairments
from tests.bench.rate_scenarios import SCENARIOS, Check, Run, Scenario
from tests.bench.rate_sim import Link


def row(values: list[float], **limit: float) -> rate.Row:
    return rate.Row(SCENARIOS[0], tuple(Check("x", value, **limit) for value in values))


def test_the_median_decides_and_the_worst_is_told() -> None:
    kept = row([3.0, 1.0, 2.0, 0.5, 9.0], most=2.5)
    assert (kept.ranked[0].value, kept.median.value, kept.ranked[-1].value) == (0.5, 2.0, 9.0)
    assert kept.median.passed and kept.passed == 3
    missed = row([0.9, 0.9, 0.7, 0.6], least=0.8)  # the worse one of the middle two
    assert missed.median.value == 0.7 and not missed.median.passed and missed.passed == 2
    assert "| 0.9 | 0.7 | 0.6 | >= 0.8 | 2/4 |" in rate.text([missed])


@pytest.mark.parametrize(("worst", "code"), [((0.5, 0.9, 0.9), 0), ((0.5, 0.5, 0.9), 1)])
def test_exit_code(worst: tuple[float, ...], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(self: Scenario, seed: int) -> Run:
        return Run((), (Check("x", worst[seed - 1], least=0.8),), ())

    monkeypatch.setattr(Scenario, "run", run)
    assert rate.main(["--only", "a", "--first", "1", "--seeds", "3"]) == code


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = replace(SCENARIOS[-1], key="o", seconds=3.0, judge=lambda flows, link: [Check("x", 1.0, least=0)])
    monkeypatch.setattr(rate, "SCENARIOS", (short,))
    assert rate.main(["--only", "o", "--seeds", "1", "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.png", "rate.json", "rate.md"]


def test_early_loss_spares_the_bottleneck() -> None:
    impairments = Impairments(rate_kbps=100.0, queue_s=9.0, loss=0.5)
    early, late = Link(Impairments(rate_kbps=100.0, queue_s=9.0), 3, early_loss=0.5), Link(impairments, 3)
    kept = [[link.transfer(bytes(97), 0.0) for _ in range(200)] for link in (early, late)]  # 10 ms each
    carried = [[waited for waited, _ in packets if waited is not None] for packets in kept]
    arrived = [sum(len(out) for _, out in packets) for packets in kept]
    assert 70 < len(carried[0]) == arrived[0] < 130
    assert len(carried[1]) == 200 and 70 < arrived[1] < 130
    assert carried[0][-1] == pytest.approx(0.01 * (arrived[0] - 1))
