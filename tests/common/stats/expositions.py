"""Expositions for the tests, written by the daemons' own exporter."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from common.metrics import Exporter
from common.stats.scrape import Scrape, read_exposition

STAGES = ("collect", "parse", "recover", "decode", "unit", "ready")


def exposition(second: int, start: float = 1000.0, loss: float = 0.5) -> str:
    """A receiver's, `second` seconds after its start at `start`: ten packets and 15 pictures a second."""
    registry = CollectorRegistry()
    exporter = Exporter(registry, "semcast_receiver_")
    exporter.counter("packets_total", "P", lambda: 10 * second)
    exporter.counter("frames_shown_total", "F", lambda: 15 * second)
    exporter.counter_by("packets_dropped_total", "D", "reason", lambda: {"late": second, "forged": 0})
    exporter.gauge("packet_loss_ratio", "L", lambda: loss)
    exporter.gauge("rate_bytes_per_second", "R", lambda: 59_800 / 8)
    states = {"live": 1.0, "lost": 0.0, "waiting": 0.0}
    exporter.gauge_by("signal_state", "S", "state", lambda: states)
    stage = exporter.histogram("stage_seconds", "T", (0.01, 0.02, 0.04), "stage", STAGES)
    for number in range(4 * second):
        stage.labels("decode").observe(0.005 if number % 2 else 0.03)
    Gauge("process_start_time_seconds", "B", registry=registry).set(start)
    cpu = Gauge("process_cpu_seconds_total", "C", registry=registry)
    cpu.set(0.25 * second)
    return generate_latest(registry).decode()


def reading(second: int, start: float = 1000.0, loss: float = 0.5) -> Scrape:
    """The same, read on time."""
    return read_exposition(exposition(second, start, loss), float(second), start + second)
