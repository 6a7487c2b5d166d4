"""The sender as a whole: in this process with a fake codec, and as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from common.codec.base import Budget, EncodedUnit
from common.config import ConfigError
from common.metrics_server import MetricsServer
from common.service import ServiceError
from common.video import Picture
from proto.crypto import load_key, new_key_file
from proto.session import ReceiverEndpoint
from proto.streams import VIDEO
from proto.wire import HANDSHAKE_BYTE, MAX_STREAM
from sender import app
from sender.capture.base import SourceError
from sender.config import SenderConfig, load_config
from tests.fakes import FakeDecoder, FakeEncoder
from tests.sender.capture.clips import number, write_clip


@dataclass
class Peer:
    """A receiving socket, read by a thread, behind a real session endpoint."""

    key_file: Path
    socket: socket.socket
    datagrams: list[bytes] = field(default_factory=list)

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()
        return f"{host}:{port}"

    @property
    def media(self) -> list[bytes]:
        """Of the datagrams, those that carry video."""
        return [datagram for datagram in self.datagrams if datagram[0] & MAX_STREAM == VIDEO.id]

    def endpoint(self) -> ReceiverEndpoint:
        """An endpoint that has taken in everything so far."""
        endpoint = ReceiverEndpoint(load_key(self.key_file))
        for datagram in list(self.datagrams):
            endpoint.receive(datagram, 0.0)
        return endpoint


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    key_file = tmp_path / "key"
    new_key_file(key_file)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.1)
        peer = Peer(key_file, listener)
        ended = threading.Event()

        def read() -> None:
            while not ended.is_set():
                try:
                    peer.datagrams.append(listener.recv(2000))
                except TimeoutError:
                    continue

        thread = threading.Thread(target=read)
        thread.start()
        yield peer
        ended.set()
        thread.join()


def configure(peer: Peer, *flags: str) -> SenderConfig:
    return load_config(
        ["--to", peer.address, "--key-file", str(peer.key_file), "--metrics.listen", "off", *flags]
    )


def fake_encoder(config: SenderConfig) -> FakeEncoder:
    return FakeEncoder(config.size.width, config.size.height, config.fps)


async def test_a_file_is_sent_to_its_end(peer: Peer, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", 14, rate=20)
    log, record = tmp_path / "frames.jsonl", tmp_path / "sent.mkv"
    config = configure(
        peer,
        "--source",
        str(clip),
        "--fps",
        "20",
        "--size",
        "64x64",
        "--frame-log",
        str(log),
        "--record",
        str(record),
    )
    await asyncio.wait_for(app.run(config, fake_encoder), 20)
    await asyncio.sleep(0.2)
    endpoint = peer.endpoint()
    reassembler = endpoint.reassembler(VIDEO.id)
    assert reassembler is not None
    decoder, shown = FakeDecoder(), []
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for unit in range(len(lines) // 4):
        received = reassembler.take(unit)
        assert received is not None and all(received.segments)
        shown += [number(picture) for picture in decoder.decode(received).pictures]
    # The clip's frame rate is the session's, so a frame's index is its number, also if some were skipped.
    assert shown == [line["index"] for line in lines]
    assert [(line["unit"], line["offset"]) for line in lines] == [divmod(n, 4) for n in range(len(lines))]
    assert len(lines) >= 8
    assert record.stat().st_size > 0


async def test_the_figures_are_scraped_over_http(peer: Peer) -> None:
    config = configure(peer, "--size", "64x64", "--fps", "20", "--metrics.listen", "127.0.0.1:0")
    started: list[str] = []
    original = MetricsServer.start

    async def start(self: MetricsServer) -> object:
        address = await original(self)
        started.append(f"http://{address}")
        return address

    def get(path: str) -> str:
        with urllib.request.urlopen(started[0] + path, timeout=10) as answer:
            return str(answer.read().decode())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MetricsServer, "start", start)
        task = asyncio.create_task(app.run(config, fake_encoder))
        while len(peer.media) < 8:
            await asyncio.sleep(0.05)
        text = await asyncio.to_thread(get, "/metrics")
        health = json.loads(await asyncio.to_thread(get, "/healthz"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert all(family.documentation for family in families.values())
    value = {
        (sample.name.removeprefix("semcast_sender_"), *sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert value["packets_total",] >= 8
    assert value["bytes_total",] > 28 * value["packets_total",]
    assert value["frames_captured_total",] >= value["frames_encoded_total",] >= 8
    assert value["units_total",] * 4 == value["frames_encoded_total",]
    assert value["rate_target_bytes_per_second",] == 7_500
    assert value["rate_bytes_per_second",] > 0
    assert value["frames_dropped_total", "queue"] == 0
    assert value["source_connected",] == 1
    for stage in ("capture", "encode"):
        assert value["stage_seconds_count", stage] > 0
    assert health["status"] == "ok"
    assert health["source"] == "synthetic"


async def test_errors_come_out_with_their_exit_codes(peer: Peer, tmp_path: Path) -> None:
    def error_of(*flags: str) -> asyncio.Task[None]:
        return asyncio.create_task(app.run(configure(peer, *flags), fake_encoder))

    with pytest.raises(ExceptionGroup) as caught:
        await error_of("--source", "/dev/video97")
    assert caught.group_contains(SourceError, match="cannot open /dev/video97")
    with pytest.raises(ConfigError, match=r"key_file: .*--new-key"):
        await error_of("--key-file", str(tmp_path / "absent"))
    with pytest.raises(ServiceError, match=r"record: .*create it first"):
        await error_of("--record", str(tmp_path / "absent" / "x.mkv"))


async def test_an_encoder_that_fails_ends_the_daemon(peer: Peer) -> None:
    class Broken(FakeEncoder):
        def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
            raise RuntimeError("no network")

    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(
            app.run(configure(peer, "--size", "64x64", "--fps", "20"), lambda config: Broken(64, 64, 20)), 20
        )
    assert caught.group_contains(RuntimeError, match="no network")


def process(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sender", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_real_daemon_cleanly(peer: Peer, number: signal.Signals, tmp_path: Path) -> None:
    record = tmp_path / "sent.mkv"
    sender = process(
        "--to", peer.address, "--key-file", str(peer.key_file), "--metrics.listen", "off", "--record", str(record)
    )  # fmt: skip
    for _ in range(600):
        if len(peer.media) >= 4 or sender.poll() is not None:
            break
        threading.Event().wait(0.1)
    sender.send_signal(number)
    _, err = sender.communicate(timeout=30)
    assert sender.returncode == 0, err
    assert "Traceback" not in err
    assert "event=stopped" in err
    sealed = [datagram for datagram in peer.datagrams if datagram[0] != HANDSHAKE_BYTE]
    assert peer.endpoint().packets == len(sealed)
    assert len(peer.media) >= 4
    assert record.stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 78, "sender: to: is required: give --to"),
        (("--rate-kpbs", "5"), 78, "sender: --rate-kpbs: unknown argument; did you mean --rate-kbps?"),
        (
            ("--to", "127.0.0.1:9", "--key-file", "/nowhere"),
            78,
            "sender: key_file: key file /nowhere: No such file",
        ),
    ],
)
def test_exit_codes_of_the_real_daemon(arguments: tuple[str, ...], code: int, text: str) -> None:
    sender = process(*arguments)
    _, err = sender.communicate(timeout=60)
    assert (sender.returncode, err.startswith(text)) == (code, True), err


def test_a_missing_device_is_one_line_and_66(peer: Peer) -> None:
    sender = process(
        "--to", peer.address, "--key-file", str(peer.key_file), "--metrics.listen", "off", "--source", "/dev/video97",
        "--log.level", "warning",
    )  # fmt: skip
    _, err = sender.communicate(timeout=60)
    assert sender.returncode == 66
    assert err.startswith("sender: source: cannot open /dev/video97: No such file or directory; ")
    assert err.count("\n") == 1
