"""The soak's judgement, and that its phases are settings that the relay takes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from common.stats.scrape import read_exposition
from tests.bench.link.impairments import Impairments, fields_of
from tests.bench.soak.phases import PHASES, Act
from tests.bench.soak.report import draw, markdown
from tests.bench.soak.run import Soak
from tests.bench.soak.samples import SETTLE_SECONDS, Life, Sample
from tests.bench.soak.view import Moment, complaints, rows
from tests.e2e.daemons import RX, Bench


def life(seconds: int, memory: float = 0.0, files: float = 0.0, begun: int = 0) -> Life:
    """A process that grows by so many MB and files a minute after a start in which it grows anyway."""
    return Life(
        "receiver",
        [
            Sample(
                float(begun + at),
                100.0 + min(at, SETTLE_SECONDS) / 4 + memory * max(0.0, at - SETTLE_SECONDS) / 60,
                20 + int(files * at / 60),
                7,
                0.3 * at,
                9,
            )
            for at in range(0, seconds + 1, 5)
        ],
    )


def moment(at: float, phase: int, shown: int, latency: float = 0.3, repeated: int = 0) -> Moment:
    """All pictures so far had the same latency."""
    text = f"{RX}frames_shown_total {shown}\n{RX}frames_repeated_total {repeated}\n{RX}frames_concealed_total 0\n"
    text += f"{RX}regions_total {shown}\n{RX}regions_imagined_total 0\n{RX}bytes_total {500 * shown}\n"
    for bound in (0.1, 0.2, 0.4, 0.8, math.inf):
        count = shown if bound >= latency else 0
        text += f'{RX}capture_to_display_seconds_bucket{{le="{bound if bound < 9 else "+Inf"}"}} {count}\n'
    return Moment(at, phase, read_exposition(text, at))


def test_growth_while_settling_is_allowed_and_afterwards_told() -> None:
    calm, grown = life(600, begun=300).change(), life(600, memory=2.0, files=1.0).change()
    assert calm is not None and calm.complaints() == [] and calm.memory_mb == (130.0, 130.0)
    assert grown is not None
    assert grown.complaints() == ["memory grew from 130.9 to 145.0 MB", "open files grew from 22 to 29"]
    assert life(600).cpu_percent == pytest.approx(30.0)
    assert life(200).change() is None and Life("sender").change() is None


def test_tasks_that_pile_up_are_told() -> None:
    leaking = life(600)
    leaking.samples = [replace(sample, tasks=9 + sample.at // 100) for sample in leaking.samples]
    change = leaking.change()
    assert change is not None and change.complaints() == ["tasks grew from 10 to 14"]


def test_rows_are_what_was_gained_in_a_phase_by_one_receiver() -> None:
    moments = [moment(0, 0, 0), moment(60, 0, 900), moment(65, 1, 960), moment(70, 1, 10), moment(80, 1, 160)]
    first, second = rows(moments, ["calm", "anew", "never"])
    assert (first.name, first.fps, first.repeated) == ("calm", 15.0, 0.0)
    assert first.latency == pytest.approx(0.3, abs=0.1)
    assert second.fps == 15.0
    assert complaints([first, second], 15.0) == []


def test_what_a_viewer_misses_is_told() -> None:
    slow = rows([moment(0, 0, 0), moment(60, 0, 600)], ["loss .3"])
    assert complaints(slow, 15.0) == ["loss .3: 10.00 pictures a second shown, 15 sent"]
    calm = rows(
        [moment(0, 0, 0), moment(60, 0, 900), moment(70, 1, 0, 0.7), moment(130, 1, 900, 0.7, repeated=200)],
        ["calm", "calm again"],
    )
    told = complaints(calm, 15.0)
    assert told[0] == "calm again: 0.22 of the pictures repeated" and told[1].startswith("latency grew from")


def test_every_phase_is_a_link_that_the_relay_can_be() -> None:
    for phase in PHASES:
        Impairments(**fields_of(phase.settings))
    assert {phase.act for phase in PHASES} == set(Act)
    assert PHASES[0].settings == PHASES[-1].settings


def test_report_and_plot(tmp_path: Path) -> None:
    soak = Soak(Bench(tmp_path), 15.0)
    soak.lives = [life(600), life(100)]
    soak.moments = [moment(float(at), 0, 15 * at) for at in range(0, 600, 5)]
    soak.recoveries["sender anew"] = 1.25
    text = markdown(soak, rows(soak.moments, ["calm"]), 15.0, ["it grew"])
    assert "| calm | 15.00 |" in text and "sender anew 1.2 s" in text and "FAILED it grew" in text
    draw(soak, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 10_000
