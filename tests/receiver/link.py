"""A sender with the fake codec, over real UDP on loopback, and the receiver it talks to."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np

from common.codec.base import Budget
from common.video import Picture, blank
from proto.session import SenderSession
from proto.streams import VIDEO
from receiver.app import App
from receiver.config import ReceiverConfig, configure
from tests.fakes import FRAMES, FakeDecoder, FakeEncoder, fake_describe

KEY = bytes(range(32))
FPS = 15.0
BUDGET = Budget(wire_bytes=3000, packet_overhead=57, max_payload=1100)


def scene(index: int, width: int = 256, height: int = 256) -> Picture:
    """A bright square that wanders over a ramp, so that moving pixels show."""
    picture = blank(width, height)
    picture[:height] = np.linspace(40, 140, width, dtype=np.uint8)
    side = min(48, width // 2, height // 2)
    x, y = (index * 9) % (width - side), (index * 5) % (height - side)
    picture[y : y + side, x : x + side] = 230
    return picture


class FakeSender:
    """One run of a sender; `run` sends until cancelled."""

    def __init__(
        self,
        port: int,
        *,
        loss: float = 0.0,
        seed: int = 1,
        key: bytes = KEY,
        size: tuple[int, int] = (256, 256),
        segments: int = 6,
        clock_offset: float = 0.0,
        name: str = "",
    ) -> None:
        self.sent: list[bytes] = []
        self.units = 0
        self.loss = loss
        self._port = port
        self._size = size
        self._random = random.Random(seed)
        self._session = SenderSession(key, name=name)
        self._named = bool(name)
        self._encoder = FakeEncoder(*size, FPS, segments=segments)
        self._offset = clock_offset
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    async def run(self, units: int | None = None) -> None:
        """Send in real time, the packets of a unit spread over three quarters of it."""
        duration = FRAMES / FPS
        begun = time.monotonic()
        epoch = time.time() + self._offset
        with contextlib.closing(self._socket):
            while units is None or self.units < units:
                unit = self.units
                pictures = [scene(unit * FRAMES + i, *self._size) for i in range(FRAMES)]
                encoded = self._encoder.encode(pictures, unit, BUDGET)
                captured = epoch + unit * duration
                for announcement in self._session.poll(time.monotonic(), time.time()) if self._named else ():
                    self.send(announcement)
                datagrams = self._session.packets(VIDEO.id, unit, captured, encoded.payloads)
                await self._until(begun + (unit + 1) * duration)
                for number, datagram in enumerate(datagrams):
                    await self._until(begun + (unit + 1 + 0.75 * number / len(datagrams)) * duration)
                    if self._random.random() >= self.loss:
                        self.sent.append(datagram)
                        self.send(datagram)
                self.units += 1

    def send(self, datagram: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendto(datagram, ("127.0.0.1", self._port))

    @staticmethod
    async def _until(moment: float) -> None:
        await asyncio.sleep(max(0.0, moment - time.monotonic()))


def config_for(folder: Path, *flags: str, key: bytes = KEY) -> ReceiverConfig:
    """A configuration on free ports of loopback; `--play` is up to the caller."""
    key_file = folder / "link.key"
    key_file.write_text(key.hex())
    key_file.chmod(0o600)
    free = ("--listen", "127.0.0.1:0", "--metrics.listen", "127.0.0.1:0")
    return configure([*free, "--key-file", str(key_file), *flags])


@contextlib.asynccontextmanager
async def running(folder: Path, *flags: str) -> AsyncIterator[App]:
    """A receiver with the fake codec that listens; cancelled at the end, and checked to have ended cleanly."""
    app = App(config_for(folder, *flags), fake_describe, FakeDecoder)
    task = asyncio.create_task(app.main(), name="receiver")
    try:
        while app.port == 0:
            if task.done():
                await task
            await asyncio.sleep(0.01)
        yield app
        if task.done():
            await task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def sending(sender: FakeSender) -> AsyncIterator[FakeSender]:
    """The sender sends meanwhile."""
    task = asyncio.create_task(sender.run(), name="sender")
    try:
        yield sender
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
