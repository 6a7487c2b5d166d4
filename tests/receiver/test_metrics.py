"""The receiver's figures, from events put into its parts."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from common.metrics import Exporter
from proto.recover import RecoverTally
from proto.streams import AUDIO
from receiver.app import App
from receiver.metrics_link import export_recovery
from receiver.play.base import ThreadedSink
from tests.fakes import FakeDecoder, fake_describe
from tests.receiver.link import FakeSender, config_for, running, sending
from tests.waiting import until

RX = "semcast_receiver_"


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    found = registry.get_sample_value(RX + name, labels)
    assert found is not None, name
    return found


def test_blocks_of_protected_streams_are_counted_by_stream() -> None:
    registry, tallies = CollectorRegistry(), {AUDIO.id: RecoverTally(windows_closed=5, windows_recovered=2)}
    export_recovery(Exporter(registry, RX), tallies)
    tallies[AUDIO.id].windows_failed = 1
    assert value(registry, "blocks_total", stream="audio") == 5
    assert value(registry, "blocks_recovered_total", stream="audio") == 2
    assert value(registry, "blocks_failed_total", stream="audio") == 1


def test_what_is_not_known_is_nan(tmp_path: Path) -> None:
    app = App(config_for(tmp_path, "--play", "-"), fake_describe, FakeDecoder)
    for name in (
        *("packet_loss_ratio", "imagined_ratio", "jitter_seconds", "delay_gradient_ratio"),
        *("clock_drift_ratio", "playout_delay_limit_seconds", "session_number"),
    ):
        assert math.isnan(value(app.registry, name)), name
    assert value(app.registry, "signal_state", state="waiting") == 1
    assert value(app.registry, "stage_seconds_count", stage="collect") == 0


def test_a_sinks_password_is_not_told(tmp_path: Path) -> None:
    app = App(config_for(tmp_path, "--play", "-"), fake_describe, FakeDecoder)
    app.sinks.append(ThreadedSink("rtsp://me:hunter2@server/live"))
    assert value(app.registry, "sink_up", sink="rtsp://***@server/live") == 1


async def test_stations_trust_and_bursts(tmp_path: Path) -> None:
    async with running(tmp_path, "--play", str(tmp_path / "out.mkv"), "--signal.lost-after", "0.4") as app:
        sender = FakeSender(app.port, loss=0.4)
        async with sending(sender):
            await until(lambda: app.player.shown >= 40, 20)
            shown, trust = app.player.shown, app.player.trust.sum()
            registry = app.registry
            for stage in ("collect", "unit", "ready"):
                assert value(registry, "stage_seconds_count", stage=stage) > 3
                assert value(registry, "stage_seconds_sum", stage=stage) > 0
            assert value(registry, "capture_to_arrival_seconds_count") > 3
            assert trust == shown * 16 * 16
            assert value(registry, "shown_regions_total", trust="recovered") > 0
            lost = value(registry, "loss_burst_packets_sum")
            runs = value(registry, "loss_burst_packets_bucket", le="+Inf")
            assert lost >= runs == value(registry, "loss_burst_packets_count") > 3
            assert value(registry, "loss_burst_packets_bucket", le="1") <= runs
            whole = value(registry, "packets_lost_total") + value(registry, "video_packets_total")
            assert value(registry, "packets_lost_total") / whole == pytest.approx(0.4, abs=0.25)
            assert value(registry, "jitter_seconds") >= 0
            sender.loss = 1.0
            await until(lambda: value(registry, "signal_state", state="lost") == 1, 20)
            assert value(registry, "signal_losses_total") == 1
            await asyncio.sleep(0)
            assert value(registry, "silence_seconds") > 0.3
