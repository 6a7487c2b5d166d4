"""From readings to what is shown: a daemon that restarts, is lost and comes back, or is another one."""

from __future__ import annotations

import json
import math
from io import StringIO

import pytest
from rich.console import Console

from common.stats.daemons import RECEIVER, SENDER
from common.stats.report import Report, as_json, as_text
from common.stats.scrape import Scrape, StatsError
from common.stats.values import span, sparkline, written
from common.stats.view import screen
from common.stats.watch import Watch
from tests.common.stats.expositions import reading


def watched(*seconds: int) -> Watch:
    watch = Watch(RECEIVER)
    for second in seconds:
        watch.add(reading(second))
    return watch


def figure(report: Report, key: str) -> float | str:
    return next(row.value for section in report.sections for row in section.rows if row.key == key)


def drawn(watch: Watch, width: int, height: int, lost: str | None = None) -> list[str]:
    console = Console(width=width, height=height, file=StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(screen(watch.report(), watch.trends, "receiver HOST:1", (width, height), lost))
    return capture.get().splitlines()


def test_rates_need_two_readings() -> None:
    watch = watched(4)
    assert math.isnan(float(figure(watch.report(), "packets_per_second")))
    watch.add(reading(6))
    report = watch.report()
    assert figure(report, "packets_per_second") == 10.0 and watch.interval == 2.0
    assert figure(report, "cpu_ratio") == 0.25
    assert figure(report, "packets_refused") == "late 6"
    assert report.state == "live" and report.mood == "good" and report.uptime == 6.0
    assert [(stage.name, round(stage.p50, 4)) for stage in report.stages][3] == ("decode", 0.01)


def test_trends_and_readings_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.stats.watch.TREND_LENGTH", 20)
    watch = watched(*range(30))
    assert {len(trend) for trend in watch.trends.values()} == {20}
    assert len(watch._scrapes) <= 12
    assert watch.trends["packet_loss_ratio"][-1] == 0.5


def test_a_daemon_that_started_anew_has_no_negative_rates() -> None:
    watch = watched(50, 51)
    watch.add(reading(2, start=2000.0))
    assert math.isnan(float(figure(watch.report(), "packets_per_second")))
    watch.add(reading(3, start=2000.0))
    assert figure(watch.report(), "packets_per_second") == 10.0


def test_a_lost_daemon_leaves_a_gap_and_comes_back() -> None:
    watch = watched(1, 2)
    watch.gone("Connection refused", 3.0)
    watch.gone("timed out", 4.0)
    assert (watch.lost, watch.lost_at) == ("timed out", 3.0)
    assert watch.report().state == "live"  # the last word; the view tells that it is old
    watch.add(reading(5))
    assert watch.lost is None
    assert [math.isnan(value) for value in watch.trends["rate_bits_per_second"]] == [False, True, True, False]


def test_another_daemon_is_told_apart() -> None:
    with pytest.raises(StatsError, match="that is a receiver; use `receiver --stats`"):
        Watch(SENDER).add(reading(1))
    with pytest.raises(StatsError, match="no sender of ours"):
        Watch(SENDER).add(Scrape(0.0, {("up", frozenset()): 1.0}))


def test_the_text_and_the_object_hold_the_same() -> None:
    report = watched(4, 5).report()
    text = as_text(report, "receiver", "HOST:1")
    assert text.startswith("receiver HOST:1: live\n")
    for line in (
        "  packets           10.0 /s",
        "  shown             15.0 frames/s",
        "  decode            10.0 ms, ",
    ):
        assert line in text, text
    made = json.loads(as_json(report, "receiver", "HOST:1", 1.0))
    assert made["figures"]["packets_per_second"] == 10.0
    assert made["figures"]["rate_bits_per_second"] == 59_800
    assert made["figures"]["playout_delay_seconds"] is None  # not exposed here
    assert made["stages"]["decode"]["p50_seconds"] == 0.01


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_the_screen_fits_the_terminal(width: int, height: int) -> None:
    watch = watched(*range(70))
    lines = drawn(watch, width, height)
    assert len(lines) <= height and max(map(len, lines)) <= width
    text = "\n".join(lines)
    for part in ("LIVE", "59.8 kbit/s", "▅" * 50, "packets", "10.0 /s", "ready", "q quit", "CPU"):
        assert part in text, part
    assert ("open files" in text) == (height == 40)


def test_the_screen_tells_what_is_wrong() -> None:
    watch = watched(1, 2)
    assert "NO ANSWER for 0:00:07: timed out" in drawn(watch, 80, 24, "for 0:00:07: timed out")[0]
    assert drawn(watch, 20, 5)  # too small for all, but no error


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (59_840, "bit/s", "59.8 kbit/s"),
        (2.5e6, "bit/s", "2.50 Mbit/s"),
        (0.0004, "share", "<0.1 %"),
        (0.5, "share", "50.0 %"),
        (0.0123, "s", "12.3 ms"),
        (0.487, "s", "487 ms"),
        (12.34, "s", "12.3 s"),
        (90_061, "span", "1 d 1:01:01"),
        (155 * 2**20, "bytes", "155 MiB"),
        (12_345, "", "12 345"),
        (4.25, "/s", "4.2 /s"),
        (math.nan, "share", "-"),
        (math.inf, "", "-"),
    ],
)
def test_figures_have_few_digits_and_a_unit(value: float, unit: str, text: str) -> None:
    assert written(value, unit) == text


def test_sparklines() -> None:
    assert sparkline([0, 1, 2, 4], 6) == "  ▁▃▅█"
    assert sparkline([math.nan, 0.5, 1, 9], 3, 1.0) == "▅██"
    assert sparkline([math.nan, 0.0], 2) == " ▁" and sparkline([], 3) == "   " and sparkline([1], 0) == ""
    assert span(-5) == "0:00:00"
