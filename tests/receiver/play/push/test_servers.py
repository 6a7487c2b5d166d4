"""Pushes to real media servers: what they get moves, and they may restart, refuse, be slow or be away."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from receiver.play.push import sink
from receiver.play.push.coded import Settings
from tests.ports import free_port
from tests.receiver.play.pictures import shown
from tests.receiver.play.push.feeding import Feed, assert_moves, decoded
from tests.receiver.play.push.servers import (
    PASSWORD,
    USER,
    Server,
    rtmp_server,
    rtsp_server,
    running,
    srt_server,
    tls_in_front,
)

PASSPHRASE = "correct-horse"


def rtsp(folder: Path) -> tuple[Server, str]:
    server = rtsp_server(folder)
    return server, f"rtsp://{USER}:{PASSWORD}@127.0.0.1:{server.port}/cam"


def rtmp(folder: Path) -> tuple[Server, str]:
    server = rtmp_server(folder)
    return server, f"rtmp://127.0.0.1:{server.port}/live/{PASSWORD}"


def srt(folder: Path) -> tuple[Server, str]:
    server = srt_server(folder, PASSPHRASE)
    return server, f"srt://127.0.0.1:{server.port}?streamid=publish:cam&passphrase={PASSPHRASE}&latency=1000"


PROTOCOLS = [rtsp, rtmp, srt]


def written(folder: Path) -> int:
    """Bytes that the server has written."""
    return sum(
        path.stat().st_size for path in folder.iterdir() if path.suffix in (".h264", ".flv", ".ts", ".mkv")
    )


def recorded(folder: Path) -> list[Path]:
    """What the server has written, in order of time; nothing of the log."""
    paths = [path for path in folder.iterdir() if path.suffix in (".h264", ".flv", ".ts", ".mkv")]
    return sorted(paths, key=lambda path: path.stat().st_mtime_ns)


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_moving_pictures_arrive_also_after_the_server_has_restarted(
    protocol: Callable[[Path], tuple[Server, str]], tmp_path: Path
) -> None:
    server, url = protocol(tmp_path)
    with running(server):
        async with Feed(url) as feed:
            await feed.until("the first connection", lambda: feed.sink.connected)
            await feed.ticks(25)
            await feed.until("data", lambda: written(tmp_path) > 0)
            await asyncio.to_thread(server.stop)
            first = [frame for path in recorded(tmp_path) for frame in decoded(path)][
                :-1
            ]  # the last may be cut off
            for path in recorded(tmp_path):
                path.rename(path.with_suffix(".old"))
            await feed.until("the loss to be seen", lambda: not feed.sink.connected)
            await asyncio.to_thread(server.start)
            await feed.until("the second connection", lambda: feed.sink.connections == 2)
            await feed.ticks(25)
            await feed.until("data", lambda: written(tmp_path) > 0)
        await asyncio.to_thread(server.stop)
        second = [frame for path in recorded(tmp_path) for frame in decoded(path)][:-1]
        assert_moves(first, feed.number)
        assert_moves(second, feed.number)
        assert feed.sink.failures >= 1 and feed.sink.bytes > 5000 and feed.sink.failure is None


@pytest.mark.parametrize(
    ("protocol", "right", "wrong", "reason"),
    [
        (rtsp, PASSWORD, "not-the-password", "refuses the user name or password"),
        (rtmp, PASSWORD, "not-the-key", "the stream key right"),
        (srt, PASSPHRASE, "wrong-passphrase", "wrong passphrase"),
    ],
)
async def test_wrong_credentials_are_told_once_and_tried_again(
    protocol: Callable[[Path], tuple[Server, str]],
    right: str,
    wrong: str,
    reason: str,
    tmp_path: Path,
    told: list[str],
) -> None:
    server, url = protocol(tmp_path)
    with running(server):
        async with Feed(url.replace(right, wrong)) as feed:
            await feed.attempts(2)
    assert written(tmp_path) == 0
    lines = [line for line in told if "trying again" in line]
    assert len(lines) == 1 and reason in lines[0]
    assert wrong not in "".join(told)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("rtsp://u:pass-word@127.0.0.1:{port}/cam", "nothing listens there"),
        ("rtmp://127.0.0.1:{port}/live/stream-key", "nothing listens there"),
        ("rtsp://u:pass-word@no-such-host.invalid/cam", "no such host"),
        ("srt://no-such-host.invalid:9?passphrase=0123456789", "no such host"),
    ],
)
async def test_hosts_that_are_not_there(url: str, reason: str, told: list[str]) -> None:
    async with Feed(url.format(port=free_port())) as feed:
        await feed.attempts(2)
    lines = [line for line in told if "trying again" in line]
    assert len(lines) == 1 and reason in lines[0]
    assert not {"pass-word", "stream-key", "0123456789"} & set("".join(told).replace("/", " ").split())


@pytest.mark.parametrize("url", ["rtsp://127.0.0.1:{port}/cam", "rtmp://127.0.0.1:{port}/live/stream-key"])
async def test_a_server_that_never_answers_is_left(
    url: str, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "CONNECT_TIMEOUT_S", 1.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with Feed(url.format(port=silent.getsockname()[1])) as feed:
            await feed.attempts(1)
    assert len(told) == 1 and "no answer within 1.5 s" in told[0]


async def test_a_server_that_takes_nothing_costs_pictures_then_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing waits for it: pictures go, and when it takes none for a while, it is tried anew."""
    server, url = rtmp(tmp_path)
    rng = np.random.default_rng(1)
    noise = [rng.integers(16, 235, (144, 128), np.uint8) for _ in range(8)]
    with running(server):
        async with Feed(url, settings=Settings(kbps=20_000)) as feed:
            await feed.until("the connection", lambda: feed.sink.connected)
            monkeypatch.setattr(sink, "STALL_S", 1.0)
            server.freeze(True)
            slowest = 0.0
            for number in range(2000):
                picture = noise[number % len(noise)]
                began = time.perf_counter()
                feed.sink.show(dataclasses.replace(shown(feed.number, 128, 96), picture=picture))
                slowest = max(slowest, time.perf_counter() - began)
                feed.number += 1
                await asyncio.sleep(0.004)
                if feed.sink.dropped > 20 and not feed.sink.connected:
                    break
            assert feed.sink.dropped > 20 and not feed.sink.connected
            assert slowest < 0.1
            server.freeze(False)
            await feed.until("the next connection", lambda: feed.sink.connections == 2)


@pytest.mark.parametrize("protocol", [rtsp, rtmp])
async def test_tls_checks_the_certificate(
    protocol: Callable[[Path], tuple[Server, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: list[str],
) -> None:
    server, url = protocol(tmp_path)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with running(server):
        async with tls_in_front(server.port, tmp_path) as port:
            tls = url.replace("://", "s://").replace(f"127.0.0.1:{server.port}", f"localhost:{port}")
            async with Feed(tls) as feed:
                await feed.attempts(1)
            assert "certificate cannot be verified" in "".join(told)
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
            async with Feed(tls) as feed:
                await feed.until("the connection", lambda: feed.sink.connected)
                await feed.ticks(20)
                await feed.until("data", lambda: written(tmp_path) > 0)
