"""Packets that are lost for good do not stop the picture for long."""

from __future__ import annotations

import asyncio
import queue
from typing import Any

import pytest
from aiortc import RTCPeerConnection

from sender.capture.whip.repair import MAX_BACKLOG, Repair
from tests.sender.capture.whip.camera import publishing, serving
from tests.waiting import until


class Lossy:
    """Between a publisher and its network: loses `burst` packets of video, and every repetition."""

    def __init__(self, connection: RTCPeerConnection) -> None:
        self.burst = 0
        self.lost = 0
        transport: Any = connection.getSenders()[0].transport
        self._send: Any = transport._send_rtp
        transport._send_rtp = self.send

    async def send(self, data: bytes) -> None:
        rtcp = 192 <= data[1] <= 223
        repeated = not rtcp and data[1] & 0x7F != 97  # aiortc's number for VP8
        if not rtcp and (repeated or self.burst > 0):
            self.burst -= not repeated
            self.lost += 1
            return
        await self._send(data)


async def test_the_picture_goes_on_after_packets_are_lost_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    repairs: list[Repair] = []
    original = Repair.__init__

    def noted(self: Repair, receiver: Any) -> None:
        original(self, receiver)
        repairs.append(self)

    monkeypatch.setattr(Repair, "__init__", noted)
    async with serving() as served, publishing(served.client) as (connection, _):
        await until(lambda: len(served.pictures) >= 5)
        lossy = Lossy(connection)
        lossy.burst = 5
        await until(lambda: lossy.lost >= 5)
        count = len(served.pictures)
        # Without help the jitter buffer waits for 512 packets: 17 s of this camera.
        await until(lambda: len(served.pictures) >= count + 10, 10)
        assert repairs[0].key_requests >= 1


class Receiver:
    """What Repair sees of aiortc's receiver."""

    def __init__(self, waiting: int) -> None:
        self._RTCRtpReceiver__decoder_queue: queue.Queue[int] = queue.Queue()
        for item in range(waiting):
            self._RTCRtpReceiver__decoder_queue.put(item)
        self.asked: list[str] = []

    def getSynchronizationSources(self) -> list[Any]:
        return [type("Source", (), {"source": 7})]

    async def _send_rtcp_pli(self, ssrc: int) -> None:
        self.asked.append(f"pli {ssrc}")


@pytest.mark.parametrize(("waiting", "left"), [(MAX_BACKLOG, MAX_BACKLOG), (MAX_BACKLOG + 1, 0)])
async def test_pictures_that_wait_for_the_decoder_are_bounded(waiting: int, left: int) -> None:
    receiver = Receiver(waiting)
    await Repair(receiver).step(10.0, 10.0)
    assert receiver._RTCRtpReceiver__decoder_queue.qsize() == left
    assert receiver.asked == ([] if left else ["pli 7"])


async def test_a_release_without_the_parts_does_no_harm() -> None:
    class Bare:
        def getSynchronizationSources(self) -> list[Any]:
            return []

    await asyncio.wait_for(Repair(Bare()).step(10.0, 1.0), 1)
