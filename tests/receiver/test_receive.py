"""The socket shell."""

from __future__ import annotations

import asyncio
import socket

import pytest

from common.service import ServiceError
from common.values import Address
from proto.session import ReceiverEndpoint
from proto.wire import Reason
from receiver.receive import Receive, open_socket
from tests.receiver.link import KEY, FakeSender


async def test_datagrams_reach_the_endpoint_and_good_ones_are_reported() -> None:
    endpoint = ReceiverEndpoint(KEY)
    arrivals: list[int] = []
    sock = open_socket(Address("127.0.0.1", 0))
    port = sock.getsockname()[1]
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Receive(endpoint, lambda arrival, size, now: arrivals.append(size)), sock=sock
    )
    sender = FakeSender(port)
    await sender.run(units=2)
    protocol.datagram_received(b"", ("127.0.0.1", 9))
    protocol.datagram_received(bytes(5000), ("127.0.0.1", 9))
    protocol.datagram_received(sender.sent[0], ("127.0.0.1", 9))
    protocol.error_received(OSError("unreachable"))
    await asyncio.sleep(0.1)
    transport.close()
    assert arrivals == [len(datagram) for datagram in sender.sent]
    refused = {reason: count for reason, count in endpoint.dropped.items() if count}
    assert refused == {Reason.SHORT: 1, Reason.OVERSIZED: 1, Reason.REPLAYED: 1}


def test_without_a_host_both_families_are_served() -> None:
    with open_socket(Address("", 0)) as sock:
        port = sock.getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"hello", ("127.0.0.1", port))
        sock.settimeout(2)
        assert sock.recv(100) == b"hello"


def test_an_address_in_use_is_explained() -> None:
    with open_socket(Address("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ServiceError, match=f"listen: cannot receive at 127.0.0.1:{port}"):
            open_socket(Address("127.0.0.1", port))
