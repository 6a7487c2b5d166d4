"""The socket shell."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from common.service import ServiceError
from common.values import Address
from proto.report import PlayoutState
from proto.session import Established, Message, ReceiverEndpoint, SenderSession
from proto.streams import REPORT, VIDEO
from proto.wire import HANDSHAKE_BYTE, Mode, Reason
from receiver.receive import Receive, open_socket
from receiver.replies import Replies
from tests.receiver.link import KEY, FakeSender


async def test_datagrams_reach_the_endpoint_and_good_ones_are_reported() -> None:
    endpoint = ReceiverEndpoint(KEY)
    arrivals: list[int] = []
    sock = open_socket(Address("127.0.0.1", 0))
    port = sock.getsockname()[1]
    loop = asyncio.get_running_loop()
    replies = Replies(endpoint, lambda: (PlayoutState.PLAYING, 0.3))
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Receive(endpoint, replies, lambda arrival, size, now: arrivals.append(size)), sock=sock
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


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", ""])
async def test_a_sender_gets_keys_and_reports_from_the_port_it_sends_to(host: str) -> None:
    endpoint = ReceiverEndpoint(KEY)
    sock = open_socket(Address(host, 0))
    loop = asyncio.get_running_loop()
    replies = Replies(endpoint, lambda: (PlayoutState.PLAYING, 0.3))
    transport, _ = await loop.create_datagram_endpoint(
        lambda: Receive(endpoint, replies, lambda arrival, size, now: None), sock=sock
    )
    session = SenderSession(KEY, mode=Mode.TWO_WAY)
    heard: list[object] = []
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect((host or "127.0.0.1", sock.getsockname()[1]))
        peer.setblocking(False)
        async with asyncio.timeout(5):
            while not any(isinstance(event, Message) and event.stream == REPORT.id for event in heard):
                for datagram in session.poll(loop.time(), 0.0):
                    peer.send(datagram)
                with contextlib.suppress(BlockingIOError):
                    heard.append(session.receive(peer.recv(2000), loop.time()))
                for datagram in session.packets(VIDEO.id, len(heard), 0.0, [b"x"]):
                    peer.send(datagram)
                await asyncio.sleep(0.01)
    transport.close()
    assert sum(isinstance(event, Established) for event in heard) == 1
    assert replies.sent >= 1


async def test_a_one_way_receiver_sends_nothing_back() -> None:
    endpoint = ReceiverEndpoint(KEY, mode=Mode.ONE_WAY)
    sock = open_socket(Address("127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    arrivals: list[int] = []
    replies = Replies(endpoint, lambda: (PlayoutState.PLAYING, 0.3))
    transport, _ = await loop.create_datagram_endpoint(
        lambda: Receive(endpoint, replies, lambda arrival, size, now: arrivals.append(size)), sock=sock
    )
    session = SenderSession(KEY, mode=Mode.AUTO)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect(sock.getsockname())
        peer.setblocking(False)
        asked = 0
        for unit in range(40):
            due = session.poll(loop.time(), 0.0)
            asked += sum(datagram[0] == HANDSHAKE_BYTE for datagram in due)
            for datagram in (*due, *session.packets(VIDEO.id, unit, 0.0, [b"x"])):
                peer.send(datagram)
            await asyncio.sleep(0.01)
        with pytest.raises(BlockingIOError):
            peer.recv(2000)
    transport.close()
    assert asked > 0
    assert endpoint.dropped[Reason.POLICY] == asked
    assert (len(arrivals), replies.sent) == (40, 0)


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
