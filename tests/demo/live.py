"""The demo's lines in the terminal: plain text, so that they read as well in a log."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from common.stats.scrape import Scrape

TX, RX = "semcast_sender_", "semcast_receiver_"
HEADER = "    time     sent rate   packet loss    shown   imagined   latency   shown/repeated/late"


@dataclass(frozen=True, slots=True)
class Instant:
    """Both daemons' figures at one time (monotonic seconds)."""

    at: float
    sender: Scrape
    receiver: Scrape


def row(now: Instant, before: Instant, started: float, seconds: float) -> str:
    """One line about the time between two instants."""
    span = max(1e-6, now.at - before.at)

    def grown(name: str) -> float:
        return now.receiver.get(RX + name) - before.receiver.get(RX + name)

    rate = (now.sender.get(TX + "bytes_total") - before.sender.get(TX + "bytes_total")) * 8e-3 / span
    fresh = grown("frames_shown_total") - grown("frames_repeated_total")
    count = grown("capture_to_display_seconds_count")
    latency = 1e3 * grown("capture_to_display_seconds_sum") / count if count else math.nan
    totals = "/".join(
        _figure(now.receiver.get(RX + name), "")
        for name in ("frames_shown_total", "frames_repeated_total", "frames_dropped_total")
    )
    return (
        f"{min(now.at - started, seconds):5.0f}/{seconds:<3.0f}s "
        f"{_figure(rate, ' kbit/s', 1):>12} "
        f"{_figure(100 * now.receiver.get(RX + 'packet_loss_ratio'), ' %'):>11} "
        f"{_figure(fresh / span, ' fps', 1):>10} "
        f"{_figure(100 * now.receiver.get(RX + 'imagined_ratio'), ' %'):>8} "
        f"{_figure(latency, ' ms'):>9}   {totals}"
    )


def sound(now: Instant, before: Instant) -> dict[str, float]:
    """Of the time between two instants: shares of sound that were made up or missing, and its coded rate."""
    span = max(1e-6, now.at - before.at)

    def grown(name: str) -> float:
        return now.receiver.get(f"{RX}audio_{name}") - before.receiver.get(f"{RX}audio_{name}")

    coded = [instant.sender.get(TX + "audio_payload_bytes_total") for instant in (before, now)]
    return {
        "concealed": round(grown("concealed_seconds_total") / span, 4),
        "silent": round(grown("muted_seconds_total") / span, 4),
        "kbps": round((coded[1] - coded[0]) * 8e-3 / span, 2),
    }


def generated(now: Instant, before: Instant) -> dict[str, Any]:
    """Of the time between two instants: shares of the pictures shown by how they were made, and what one took."""

    def grown(name: str, **labels: str) -> float:
        name = f"{RX}generative_{name}"
        return now.receiver.get(name, **labels) - before.receiver.get(name, **labels)

    shares = {made: grown("frames_total", made=made) for made in ("generated", "carried", "plain")}
    pictures = {steps: grown("pictures_total", steps=steps) for steps in ("0", "1", "2", "4")}
    total, made = sum(shares.values()), sum(pictures.values())
    return {
        "generative": {
            **{name: round(count / total, 4) if total else None for name, count in shares.items()},
            "steps": round(sum(int(s) * n for s, n in pictures.items()) / made, 2) if made else None,
            "refined": round(pictures["0"] / made, 4) if made else None,
            "ms_a_picture": round(1e3 * grown("seconds_total") / made, 1) if made else None,
            "late": grown("late_total"),
            "memory_mb": round(now.receiver.get(RX + "generative_memory_bytes") / 2**20, 1),
        }
    }


def _figure(value: float, unit: str, digits: int = 0) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}{unit}"
