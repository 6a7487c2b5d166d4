"""The socket shell on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from common.service import ServiceError
from common.values import Address
from sender.encode import SealedUnit
from sender.pacer import Pacer
from sender.transmit import Transmitter


def unit(number: int, packets: int, duration: float = 0.2) -> SealedUnit:
    datagrams = [bytes([number, index]) * 50 for index in range(packets)]
    return SealedUnit(number, datagrams, duration, packets * 128)


@contextlib.asynccontextmanager
async def running(address: Address, spread: float = 0.5) -> AsyncIterator[Transmitter]:
    transmitter = Transmitter(address, Pacer(spread))
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


async def test_packets_arrive_paced_and_counted(sink: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    async with running(Address(*sink.getsockname()[:2])) as transmitter:
        begun = loop.time()
        transmitter.submit(unit(1, 5))
        got = [await asyncio.wait_for(loop.sock_recv(sink, 2000), 5) for _ in range(5)]
        took = loop.time() - begun
        await asyncio.wait_for(transmitter.drained(), 5)
    assert got == unit(1, 5).datagrams
    assert 0.06 < took < 1
    assert (transmitter.packets, transmitter.wire_bytes) == (5, 5 * 128)
    assert transmitter.rate() > 0
    assert transmitter.last_sent is not None


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
    loop = asyncio.get_running_loop()
    async with running(Address(*sink.getsockname()[:2]), 0.0) as transmitter:
        transmitter.submit(unit(1, 1))
        first = await loop.sock_recvfrom(sink, 2000)
        transmitter.failed(OSError(errno.ENETUNREACH, "Network is unreachable"))
        await asyncio.sleep(0.05)
        transmitter.submit(unit(2, 2))
        assert transmitter.unsent == 2
        await asyncio.sleep(0.4)
        transmitter.submit(unit(3, 1))
        second = await asyncio.wait_for(loop.sock_recvfrom(sink, 2000), 5)
    assert (first[0][0], second[0][0]) == (1, 3)
    assert first[1] != second[1]
    assert transmitter.reopened == 1


async def test_an_unknown_host_is_one_clear_error() -> None:
    transmitter = Transmitter(Address("nowhere.invalid", 5004), Pacer())
    with pytest.raises(ServiceError, match=r"to: no such host: nowhere.invalid") as caught:
        await asyncio.wait_for(transmitter.run(), 20)
    assert caught.value.exit_code == 68
