"""The socket shell on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from common.multicast import join
from common.service import ServiceError
from common.values import Address
from proto.crypto import Opener
from proto.keys import KeySchedule
from proto.packet import Segment
from proto.session import Answer, ReceiverEndpoint, SenderSession
from proto.streams import VIDEO
from proto.wire import HANDSHAKE_BYTE, IP_UDP_BYTES, OVERHEAD_BYTES, Mode, Reason, to_ticks
from sender.congestion import RateLimits
from sender.control import Control
from sender.encode import CodedUnit
from sender.pacer import Pacer
from sender.rate import RateController
from sender.transmit import Transmitter

PSK = bytes(range(32))
WIRE = 100 + OVERHEAD_BYTES + IP_UDP_BYTES


def unit(number: int, packets: int, duration: float = 0.2) -> CodedUnit:
    payloads = [bytes([number, index]) * 50 for index in range(packets)]
    cut = [Segment(VIDEO.id, number, index, packets, 0, payload) for index, payload in enumerate(payloads)]
    return CodedUnit(number, cut, duration, packets * WIRE)


def transmitter_to(
    address: Address, spread: float = 0.5, mode: Mode = Mode.ONE_WAY, interface: str = ""
) -> Transmitter:
    pacer: Pacer[Segment] = Pacer(spread)
    rate = RateController(60, 0.2, OVERHEAD_BYTES + IP_UDP_BYTES, 1000)
    control = Control(SenderSession(PSK, mode=mode), RateLimits(60.0), rate, pacer)
    return Transmitter(address, pacer, control, interface=interface)


class Tap:
    """Opens what a socket gets."""

    def __init__(self, sink: socket.socket) -> None:
        self.opener = Opener(KeySchedule(PSK))
        self.sink = sink
        self.source: object = None
        self.counters: list[int] = []

    async def segment(self) -> Segment:
        """The next packet of media; announcements are passed over."""
        async with asyncio.timeout(5):
            while True:
                data, self.source = await asyncio.get_running_loop().sock_recvfrom(self.sink, 2000)
                opened = self.opener.open(data)
                self.counters.append(opened.counter)
                if opened.stream == VIDEO.id:
                    return Segment.parse(VIDEO.id, opened.body)


@contextlib.asynccontextmanager
async def running(address: Address, spread: float = 0.5) -> AsyncIterator[Transmitter]:
    transmitter = transmitter_to(address, spread)
    task = asyncio.create_task(transmitter.run())
    await asyncio.sleep(0.05)
    yield transmitter
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture(params=["127.0.0.1", "::1"])
def sink(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as listener:
        listener.bind((request.param, 0))
        listener.setblocking(False)
        yield listener


async def test_packets_arrive_paced_sealed_in_order_and_counted(sink: socket.socket) -> None:
    loop, tap = asyncio.get_running_loop(), Tap(sink)
    async with running(Address(*sink.getsockname()[:2])) as transmitter:
        begun = loop.time()
        transmitter.submit(unit(1, 5))
        got = [await tap.segment() for _ in range(5)]
        took = loop.time() - begun
        await asyncio.wait_for(transmitter.drained(), 5)
    assert got == unit(1, 5).segments
    assert 0.06 < took < 1
    assert tap.counters == sorted(tap.counters)
    assert transmitter.packets >= len(tap.counters) > 5  # an announcement goes before
    assert transmitter.wire_bytes > 5 * WIRE
    assert transmitter.rate() > 0
    assert transmitter.last_media is not None


async def test_the_time_since_capture_is_told(sink: socket.socket) -> None:
    """Over the wrap of time stamps, and not below 0 where the camera's clock is ahead."""
    told: list[float] = []
    async with running(Address(*sink.getsockname()[:2]), 0.0) as transmitter:
        transmitter.delayed = told.append
        for age in (0.5, 100.0, -0.5):
            ticks = to_ticks(time.time() - age)
            transmitter.submit(CodedUnit(1, [Segment(VIDEO.id, 1, 0, 1, ticks, b"x" * 100)], 0.2, WIRE))
            await asyncio.wait_for(transmitter.drained(), 5)
    assert told == [pytest.approx(0.5, abs=0.4), pytest.approx(100.0, abs=0.4), 0.0]


async def test_nobody_listening_is_no_end() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        address = Address(*listener.getsockname())
    async with running(address) as transmitter:
        for number in range(3):
            transmitter.submit(unit(number, 3, 0.05))
            await asyncio.sleep(0.06)
        await asyncio.wait_for(transmitter.drained(), 5)
        assert transmitter.errors >= 1
        assert transmitter.reopened == 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.bind((address.host, address.port))
            listener.setblocking(False)
            transmitter.submit(unit(9, 1))
            await asyncio.wait_for(asyncio.get_running_loop().sock_recv(listener, 2000), 5)


async def test_a_lost_network_opens_a_new_socket(sink: socket.socket) -> None:
    tap = Tap(sink)
    async with running(Address(*sink.getsockname()[:2]), 0.0) as transmitter:
        transmitter.submit(unit(1, 1))
        first, left_from = await tap.segment(), tap.source
        transmitter.failed(OSError(errno.ENETUNREACH, "Network is unreachable"))
        await asyncio.sleep(0.05)
        transmitter.submit(unit(2, 2))
        assert transmitter.unsent == 2
        await asyncio.sleep(0.4)
        transmitter.submit(unit(3, 1))
        second = await tap.segment()
    assert (first.unit, second.unit) == (1, 3)
    assert left_from != tap.source
    assert transmitter.reopened == 1


async def test_an_unknown_host_is_one_clear_error() -> None:
    transmitter = transmitter_to(Address("nowhere.invalid", 5004))
    with pytest.raises(ServiceError, match=r"to: no such host: nowhere.invalid") as caught:
        await asyncio.wait_for(transmitter.run(), 20)
    assert caught.value.exit_code == 68


async def test_a_group_is_sent_to() -> None:
    group = "239.195.7.3"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as member:
        member.bind((group, 0))
        member.setblocking(False)
        join(member, group, "lo")
        transmitter = transmitter_to(Address(group, member.getsockname()[1]), 0.0, interface="lo")
        task = asyncio.create_task(transmitter.run())
        await asyncio.sleep(0.05)
        transmitter.submit(unit(1, 1))
        assert (await Tap(member).segment()).unit == 1
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_a_receiver_says_reaches_the_session_whoever_else_speaks(sink: socket.socket) -> None:
    """A handshake over real sockets; noise from the same address costs nothing."""
    endpoint = ReceiverEndpoint(PSK)
    transmitter = transmitter_to(Address(*sink.getsockname()[:2]), mode=Mode.TWO_WAY)
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(transmitter.run())
    while not transmitter._control.ready:
        data, source = await asyncio.wait_for(loop.sock_recvfrom(sink, 2000), 5)
        sink.sendto(b"noise", source)
        event = endpoint.receive(data, loop.time(), source)
        if isinstance(event, Answer):
            sink.sendto(event.datagram, source)
        await asyncio.sleep(0.01)
    transmitter.submit(unit(1, 1))
    while endpoint.reassembler(VIDEO.id) is None:
        endpoint.receive(await asyncio.wait_for(loop.sock_recv(sink, 2000), 5), loop.time(), source)
    assert (endpoint.handshakes, transmitter._control.session.handshakes) == (1, 1)
    assert transmitter._control.session.dropped[Reason.SHORT] >= 1
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_without_keys_packets_stay_here(sink: socket.socket) -> None:
    transmitter = transmitter_to(Address(*sink.getsockname()[:2]), 0.0, Mode.TWO_WAY)
    task = asyncio.create_task(transmitter.run())
    await asyncio.sleep(0.05)
    transmitter.submit(unit(1, 2))
    assert transmitter.unsent == 2
    await asyncio.sleep(0.05)
    with contextlib.suppress(BlockingIOError):
        while True:
            assert sink.recv(2000)[0] == HANDSHAKE_BYTE
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
