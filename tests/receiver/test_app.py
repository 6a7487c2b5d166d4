"""The whole receiver over loopback with the fake codec, and what it has to survive."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import socket
import statistics
import time
import types
from pathlib import Path

import av
import pytest

from common.config import ConfigError
from common.reload import Reloads
from proto.reassembler import MAX_UNITS
from proto.wire import Reason
from receiver.app import LIVE, App
from receiver.config import MAX_DELAY_MS
from receiver.generative.lambdas import Lambdas
from receiver.play.base import SignalState, SinkError
from receiver.play.file import FileSink
from receiver.playout import MAX_READY_UNITS
from tests.fakes import FRAMES, FakeDecoder, fake_describe
from tests.receiver.link import FPS, FakeSender, config_for, running, sending
from tests.waiting import until


def log_lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def shown_gaps(lines: list[dict[str, object]]) -> list[float]:
    """Seconds between pictures."""
    times = [float(str(line["shown_at"])) for line in lines]
    return [after - before for before, after in itertools.pairwise(times)]


async def test_video_through_half_loss_is_recorded_logged_and_smooth(tmp_path: Path) -> None:
    video, log = tmp_path / "out.mkv", tmp_path / "shown.jsonl"
    async with running(tmp_path, "--play", str(video), "--frame-log", str(log)) as app:
        async with sending(FakeSender(app.port, loss=0.5)):
            await until(lambda: app.player.shown >= 45)
            figures = app.status()
        assert app.player.state is SignalState.LIVE
        assert app.player.frozen_seconds < 2
    lines = log_lines(log)
    with av.open(str(video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(lines) - app.sinks[0].dropped
    assert [line["number"] for line in lines] == list(range(len(lines)))
    # A host with too much to do shows some pictures late; most still come at the sender's rate.
    gaps = shown_gaps(lines)
    assert statistics.median(gaps) == pytest.approx(1 / FPS, rel=0.1)
    assert statistics.mean(gaps) == pytest.approx(1 / FPS, rel=0.25)
    assert 0.2 < float(str(figures["loss"])) < 0.8
    assert 300 < float(str(figures["latency_ms"])) < 2000
    assert float(str(figures["rate_kbps"])) > 5
    assert figures["recording"] is True
    trusted = [float(str(figures[key])) for key in ("recovered", "imagined")]
    assert min(trusted) >= 0 and sum(trusted) <= 1


async def test_silence_is_concealed_told_and_ended_by_the_same_sender(tmp_path: Path) -> None:
    flags = ("--play", str(tmp_path / "out.mkv"), "--signal.lost-after", "0.5")
    async with running(tmp_path, *flags) as app:
        sender = FakeSender(app.port)
        async with sending(sender):
            await until(lambda: app.player.shown >= 5)
            sender.loss = 1.0
            await until(lambda: app.player.state is SignalState.LOST)
            shown, concealed = app.player.shown, app.player.concealed
            await until(lambda: app.player.concealed - concealed >= 0.8 * FPS)
            assert app.player.shown - shown >= 0.8 * FPS
            assert app.player.last is not None and app.player.last.silence > 1.0
            sender.loss = 0.0
            await until(lambda: app.player.state is SignalState.LIVE)
            await until(lambda: app.player.last is not None and not app.player.last.concealed)


async def test_random_bytes_replays_and_a_wrong_key_cost_counters_only(tmp_path: Path) -> None:
    async with running(tmp_path, "--play", str(tmp_path / "out.mkv")) as app:
        rng = random.Random(5)
        stranger = FakeSender(app.port, key=bytes(32))
        sender = FakeSender(app.port)
        async with sending(stranger), sending(sender):
            await until(lambda: app.player.shown >= 5)
            ends = time.monotonic() + 1.5
            while time.monotonic() < ends:
                for _ in range(20):
                    sender.send(rng.randbytes(rng.randrange(1500)))
                    damaged = bytearray(rng.choice(sender.sent))
                    damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
                    sender.send(bytes(damaged))
                    sender.send(rng.choice(sender.sent))
                await asyncio.sleep(0.005)
            shown = app.player.shown
            await until(lambda: app.player.shown >= shown + 10)
        assert app.player.state is SignalState.LIVE
        assert app.endpoint.sessions == 1
        assert app.endpoint.dropped[Reason.FORGED] > 100
        assert app.endpoint.dropped[Reason.REPLAYED] > 100


async def test_a_replayed_capture_is_followed_by_the_live_sender(tmp_path: Path) -> None:
    sender = FakeSender(9)
    await sender.run(units=3)
    async with running(tmp_path, "--play", str(tmp_path / "out.mkv")) as app:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as replay:
            for datagram in sender.sent * 3:
                replay.sendto(datagram, ("127.0.0.1", app.port))
                await asyncio.sleep(0.002)
        await until(lambda: app.player.shown >= 4)
        assert app.endpoint.dropped[Reason.REPLAYED] == 2 * len(sender.sent)
        async with sending(FakeSender(app.port)):
            await until(lambda: app.endpoint.takeovers == 2)
            await until(lambda: app.player.last is not None and not app.player.last.concealed)


async def test_a_restarted_sender_is_taken_over_without_a_gap(tmp_path: Path) -> None:
    log = tmp_path / "shown.jsonl"
    async with running(tmp_path, "--play", str(tmp_path / "out.mkv"), "--frame-log", str(log)) as app:
        async with sending(FakeSender(app.port)):
            await until(lambda: app.player.shown >= 15)
        for size, offset in (((128, 256), -3600.0), ((256, 256), 86400.0)):
            before = app.player.shown
            async with sending(FakeSender(app.port, size=size, clock_offset=offset)):
                await until(
                    lambda size=size: (
                        app.player.last is not None
                        and app.player.last.picture.shape == (size[1] * 3 // 2, size[0])
                        and not app.player.last.concealed
                    )
                )
                await until(lambda before=before: app.player.shown >= before + 20)
        assert app.endpoint.takeovers == 3
    assert max(shown_gaps(log_lines(log))) < 1


async def test_the_clock_set_back_disturbs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "shown.jsonl"
    flags = ("--play", str(tmp_path / "out.mkv"), "--frame-log", str(log))
    async with running(tmp_path, *flags) as app, sending(FakeSender(app.port)):
        await until(lambda: app.player.shown >= 10)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() - 7200)
        await until(lambda: app.player.shown >= 40)
        monkeypatch.undo()
    gaps = shown_gaps(log_lines(log))
    assert min(gaps) > 0 and max(gaps) < 1


async def test_state_stays_bounded(tmp_path: Path) -> None:
    flags = ("--play", str(tmp_path / "out.mkv"))
    async with running(tmp_path, *flags) as app, sending(FakeSender(app.port, loss=0.3)):
        await until(lambda: app.player.shown >= 45)
        playout = app.player.current.playout if app.player.current else None
        assert playout is not None and len(playout._ready) <= MAX_READY_UNITS * FRAMES
        reassembler = app.endpoint.reassembler(1)
        assert reassembler is not None and len(reassembler.pending) <= 4
        assert len(asyncio.all_tasks()) < 12


async def test_metrics_and_health(tmp_path: Path) -> None:
    flags = ("--play", str(tmp_path / "out.mkv"), "--metrics.listen", "127.0.0.1:0")
    async with running(tmp_path, *flags) as app, sending(FakeSender(app.port, loss=0.3)):
        await until(lambda: app.player.shown >= 20)
        text = await fetch(app.metrics_port, "/metrics")
        health = await fetch(app.metrics_port, "/healthz")
    prefix = "semcast_receiver_"
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(prefix))
    assert float(samples[prefix + "packets_total"]) > 10
    assert float(samples[prefix + "bytes_total"]) > 1000
    assert float(samples[prefix + "frames_shown_total"]) >= 20
    assert float(samples[prefix + 'packets_dropped_total{reason="forged"}']) == 0
    assert float(samples[prefix + 'signal_state{state="live"}']) == 1
    assert float(samples[prefix + 'stage_seconds_count{stage="decode"}']) > 3
    assert float(samples[prefix + "capture_to_display_seconds_count"]) > 10
    assert float(samples[prefix + "packets_lost_total"]) > 0
    assert (
        float(samples[prefix + "silence_seconds"]) == 0 and float(samples[prefix + "path_jumps_total"]) == 0
    )
    assert (
        samples[prefix + "clock_drift_ratio"] == "NaN"
        and float(samples[prefix + "playout_delay_seconds"]) > 0
    )
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP " + prefix)}
    helps = [line for line in text.splitlines() if line.startswith("# HELP " + prefix)]
    assert len(names) > 20 and all(len(line.split()) > 4 for line in helps)
    assert '"status": "ok"' in health and '"state": "live"' in health


async def test_weights_of_the_generative_decoders_adapters_change_without_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path, "--play", str(tmp_path / "out.mkv"), "--decode.lambda-r", "0.5") as app:
        assert app.generative.lambdas == Lambdas(restoration=0.5)
        decode = app.config.decode.model_copy(update={"lambda_c": 0.0, "lambda_r": None})
        reloads = Reloads(lambda: app.config.model_copy(update={"decode": decode}), app.config)
        reloads.follow(LIVE, app.reconfigure)
        await reloads.reload()
        assert reloads.done == 1 and app.generative.lambdas == Lambdas(control=0.0)


async def test_the_receiver_ends_when_nobody_looks_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr("receiver.play.y4m.sys.stdout", types.SimpleNamespace(fileno=lambda: writer))
    app = App(config_for(tmp_path, "--play", "-"), fake_describe, FakeDecoder)
    task = asyncio.create_task(app.main())
    await until(lambda: app.port)
    async with sending(FakeSender(app.port)):
        await until(lambda: app.player.shown >= 3)
        os.close(reader)
        await asyncio.wait_for(task, 15)
    os.close(writer)


async def test_a_receiver_whose_only_sink_broke_down_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: FileSink, shown: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(FileSink, "write", write)
    app = App(config_for(tmp_path, "--play", str(tmp_path / "out.mkv")), fake_describe, FakeDecoder)
    task = asyncio.create_task(app.main())
    await until(lambda: app.port)
    async with sending(FakeSender(app.port)):
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(task, 15)
    [error] = caught.value.exceptions
    assert isinstance(error, SinkError) and "no space left" in str(error)


def test_no_unit_is_pushed_out_before_the_longest_delay_is_over() -> None:
    shortest = FRAMES / 60
    assert MAX_UNITS * shortest > MAX_DELAY_MS / 1000 + 2 * shortest


async def test_a_missing_key_is_explained(tmp_path: Path) -> None:
    config = config_for(tmp_path)
    (tmp_path / "link.key").unlink()
    with pytest.raises(ConfigError, match="key_file"):
        App(config, fake_describe, FakeDecoder)


async def fetch(port: int, path: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return text
