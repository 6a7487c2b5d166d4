"""The figures of sound: there where some is sent, and right."""

from __future__ import annotations

import pytest

from common.stats.daemons import RECEIVER, SENDER
from common.stats.report import Daemon, Row, Span
from common.stats.scrape import Scrape, read_exposition

HEARD = """
semcast_receiver_audio_announced {on}
semcast_receiver_audio_units_total {n}
semcast_receiver_audio_units_lost_total {n}
semcast_receiver_audio_concealed_seconds_total {n}
"""
SENT = """
semcast_sender_audio_units_total {n}
semcast_sender_audio_payload_bytes_total {n}
"""


def reading(text: str, second: float, n: float, on: int = 1) -> Scrape:
    return read_exposition(text.format(n=n, on=on), second, 1000.0 + second)


def rows(daemon: Daemon, before: Scrape, now: Scrape) -> dict[str, Row]:
    report = daemon.describe(Span(now, before, before, daemon.prefix))
    return {row.key: row for section in report.sections if section.title == "sound" for row in section.rows}


def test_the_receiver_tells_what_was_lost_and_made_up() -> None:
    found = rows(RECEIVER, reading(HEARD, 1.0, 1), reading(HEARD, 3.0, 1.5))
    assert found["audio_lost_ratio"].value == pytest.approx(0.5)
    assert found["audio_concealed_ratio"].value == pytest.approx(0.25)
    assert not rows(RECEIVER, reading(HEARD, 1.0, 1, on=0), reading(HEARD, 3.0, 1.5, on=0))


def test_the_sender_tells_the_rate() -> None:
    found = rows(SENDER, reading(SENT, 1.0, 0), reading(SENT, 3.0, 2000))
    assert found["audio_bits_per_second"].value == pytest.approx(8000)
    assert not rows(SENDER, reading("", 1.0, 0), reading("", 3.0, 0))
