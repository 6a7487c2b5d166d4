"""A push beside a media server that misbehaves in every way; here the server is a fake, and so is time."""

from __future__ import annotations

import asyncio
import itertools
import re

import pytest

from receiver.play.push import sink as sink_module
from receiver.play.push.backoff import Backoff
from receiver.play.push.coded import Packet, Settings
from receiver.play.push.create import Pushes
from receiver.play.push.encoder import Packets, SharedEncoder
from receiver.play.push.link import LinkError
from receiver.play.push.sink import PushSink
from receiver.play.push.target import Target, target_of
from tests.receiver.play.pictures import shown
from tests.waiting import until

URL = "rtsp://user:s3cret@host/cam"


class FakeServer:
    """Takes packets unless told otherwise."""

    hangs = False

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self.connected = 0
        self.closed = 0
        self.refuses: Exception | None = None
        self.breaks: Exception | None = None
        self.takes = asyncio.Event()
        self.takes.set()

    async def connect(self, target: Target, first: Packet, settings: Settings, sound: bool) -> FakeServer:
        assert first.key
        if self.hangs:
            await asyncio.sleep(60)
        if self.refuses is not None:
            raise self.refuses
        self.connected += 1
        return self

    async def send(self, packet: Packet) -> None:
        await self.takes.wait()
        if self.breaks is not None:
            error, self.breaks = self.breaks, None
            raise error
        self.packets.append(packet)

    async def close(self) -> None:
        self.closed += 1


class Pushed:
    """A push to a fake server, with a picture every few milliseconds."""

    def __init__(self, server: FakeServer) -> None:
        target = target_of(URL)
        self.encoder = SharedEncoder(Settings(key_interval=0.5))
        self.sink = PushSink(
            *(target, target.label, self.encoder, server.connect), backoff=Backoff(0.01, 0.05)
        )

    async def __aenter__(self) -> PushSink:
        await self.sink.start()
        self._task = asyncio.create_task(self._show())
        return self.sink

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await self.sink.close()
        self.encoder.close()

    async def _show(self) -> None:
        for number in itertools.count():
            self.sink.show(shown(number))
            await asyncio.sleep(0.005)


async def test_a_connection_begins_with_a_key_picture_and_says_goodbye(told: list[str]) -> None:
    server = FakeServer()
    async with Pushed(server) as sink:
        await until(lambda: len(server.packets) > 20)
        assert (sink.connected, sink.connections, sink.ended) == (True, 1, False)
        assert sink.bytes >= sum(len(packet.data) for packet in server.packets) > 0
    assert server.packets[0].key and server.closed == 1 and not sink.connected
    assert sink.dropped == sink._encoder.dropped and sink.failures == 0
    assert len(told) == 1 and "push connected" in told[0]


async def test_a_server_that_comes_back_is_told_of_once(told: list[str]) -> None:
    server = FakeServer()
    server.refuses = LinkError("nothing listens there")
    async with Pushed(server) as sink:
        await until(lambda: sink.failures >= 4)
        server.refuses = LinkError("the server knows no such path")
        await until(lambda: sink.failures >= 6)
        server.refuses = None
        await until(lambda: sink.connected)
        server.breaks = LinkError("the server closed the connection")
        await until(lambda: sink.connections == 2 and len(server.packets) > 3)
    assert all("rtsp://host/cam" in line for line in told)
    events = [re.sub(r"'push': \S+|'wait_s.*|[{}']", "", line) for line in told]
    assert [re.sub(r"\s+", " ", event).strip(" ,") for event in events] == [
        "push is not connected; trying again reason: nothing listens there",
        "push is not connected; trying again reason: the server knows no such path",
        "push connected connections: 1",
        "push is not connected; trying again reason: the server closed the connection",
        "push connected connections: 2",
    ]


async def test_a_slow_server_costs_pictures_and_gets_key_pictures_next() -> None:
    server = FakeServer()
    async with Pushed(server) as sink:
        await until(lambda: len(server.packets) > 3)
        server.takes.clear()
        await until(lambda: sink.dropped > 20)
        taken = len(server.packets)
        server.takes.set()
        await until(lambda: len(server.packets) > taken + 10)
        assert sink.connections == 1
    times = [packet.pts for packet in server.packets]
    assert times == sorted(times)
    gaps = [b for a, b in itertools.pairwise(server.packets) if b.pts - a.pts > 9000]
    assert gaps and all(packet.key for packet in gaps)


async def test_a_server_that_takes_nothing_is_left(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    monkeypatch.setattr(sink_module, "STALL_S", 0.1)
    server = FakeServer()
    async with Pushed(server) as sink:
        await until(lambda: sink.connected)
        server.takes.clear()
        await until(lambda: sink.connections == 2)
    assert "the server takes nothing" in told[1]


async def test_a_server_that_does_not_answer_is_left(
    monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    monkeypatch.setattr(sink_module, "CONNECT_TIMEOUT_S", 0.05)

    server = FakeServer()
    server.hangs = True
    async with Pushed(server) as sink:
        await until(lambda: sink.failures >= 2)
    assert len(told) == 1 and "no answer within 0.05 s" in told[0]


async def test_an_error_that_nobody_foresaw_ends_no_push_and_tells_no_secret(told: list[str]) -> None:
    server = FakeServer()
    server.breaks = RuntimeError(f"bug near {URL}")
    async with Pushed(server) as sink:
        await until(lambda: sink.connections == 2)
    assert "RuntimeError" in "".join(told) and "s3cret" not in "".join(told)


async def test_pushes_share_one_encoder_that_rests_while_nobody_takes_pictures() -> None:
    pushes = Pushes(Settings())
    one, two = pushes.create("rtmp://host/live/a-key"), pushes.create("rtmp://host/live/b-key")
    assert one._encoder is two._encoder
    assert (one.name, two.name) == ("rtmp://host/live/***", "rtmp://host/live/*** (2)")
    encoder = one._encoder
    encoder.show(shown(0))
    assert len(encoder._pictures) == 0, "nobody has subscribed"
    first, second = encoder.subscribe(), encoder.subscribe()
    for number in range(3):
        for push in (one, two):
            push.show(shown(number))
        await asyncio.sleep(0.05)
    got = [await first.get() for _ in range(2)]
    assert [await second.get() for _ in range(2)] == got
    await one.close()
    assert pushes.create("rtmp://host/live/c-key").name == "rtmp://host/live/***"
    for _ in range(2):
        await two.close()
    encoder.close()


def test_what_waits_is_bounded() -> None:
    packets = Packets()
    packets.put(Packet(b"k", 0, True), 10.0)
    for number in range(1, 100):
        packets.put(Packet(b"p", number, False), 10.0)
    assert len(packets._items) <= 5 and packets.dropped >= 95
    packets.put(Packet(b"k", 100, True), 10.0)
    assert [packet.pts for packet in packets._items] == [100]
