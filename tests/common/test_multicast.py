"""Groups on the loopback interface, with real sockets."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from common.multicast import connected, is_group, join, send_options

LO = "lo"
GROUPS = {"239.195.7.1": socket.AF_INET, "ff15::7:1": socket.AF_INET6}
WAIT_SECONDS = 2.0
WITHIN_HOST = 0  # hops


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("224.0.0.1", True),
        ("239.255.255.255", True),
        ("ff02::1", True),
        ("ff02::1%eth0", True),
        ("223.255.255.255", False),
        ("240.0.0.1", False),
        ("fe80::1%eth0", False),
        ("::1", False),
        ("example.org", False),
        ("", False),
        ("239.1.1", False),
    ],
)
def test_what_a_group_is(host: str, group: bool) -> None:
    assert is_group(host) is group


def bound(group: str, family: int, port: int = 0) -> socket.socket:
    """A socket that gets only what is sent to the group."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.settimeout(WAIT_SECONDS)
    sock.bind((group, port))
    return sock


def carried_by(group: str) -> str | None:
    """An interface on which the kernel carries the group within this host: lo, where it does that."""
    for name in (LO, *(name for _, name in socket.if_nameindex() if name != LO)):
        with (
            bound(group, GROUPS[group]) as member,
            socket.socket(GROUPS[group], socket.SOCK_DGRAM) as speaker,
        ):
            try:
                join(member, group, name)
                send_options(speaker, WITHIN_HOST, name)
                speaker.sendto(b"probe", (group, member.getsockname()[1]))
                member.settimeout(0.2)
                member.recv(10)
            except OSError:
                continue
            return name
    return None


@pytest.fixture(params=GROUPS)
def group(request: pytest.FixtureRequest) -> str:
    """A group of each family."""
    return str(request.param)


@pytest.fixture
def interface(group: str) -> str:
    """Where its packets go round; IPv6 has no such route on lo everywhere."""
    name = carried_by(group)
    if name is None:
        pytest.skip("no interface carries the group")
    return name


def test_every_member_gets_what_is_sent_once(group: str, interface: str) -> None:
    family = GROUPS[group]
    with ExitStack() as stack:
        first = stack.enter_context(bound(group, family))
        port = first.getsockname()[1]
        second = stack.enter_context(bound(group, family, port))
        speaker = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
        send_options(speaker, WITHIN_HOST, interface)
        for member in (first, second):
            join(member, group, interface)
        for number in range(3):
            speaker.sendto(b"%d" % number, (group, port))
        for member in (first, second):
            assert [member.recv(10) for _ in range(3)] == [b"0", b"1", b"2"]
            member.setblocking(False)
            with pytest.raises(BlockingIOError):
                member.recv(10)


def test_a_connected_socket_sends_to_the_group(group: str, interface: str) -> None:
    with bound(group, GROUPS[group]) as member:
        join(member, group, interface)
        with connected(group, member.getsockname()[1], WITHIN_HOST, interface) as speaker:
            speaker.send(b"hello")
            assert member.recv(10) == b"hello"
    with pytest.raises(OSError):
        connected(group, 5004, 1, "nowhere0")


def test_one_who_has_not_joined_gets_nothing(group: str, interface: str) -> None:
    family = GROUPS[group]
    with bound(group, family) as member, socket.socket(family, socket.SOCK_DGRAM) as speaker:
        other = "239.195.7.2" if family == socket.AF_INET else "ff15::7:2"
        join(member, group, interface)
        send_options(speaker, WITHIN_HOST, interface)
        port = member.getsockname()[1]
        speaker.sendto(b"elsewhere", (other, port))
        speaker.sendto(b"here", (group, port))
        assert member.recv(100) == b"here"


def test_hops_and_interface_are_set(group: str) -> None:
    family = GROUPS[group]
    with socket.socket(family, socket.SOCK_DGRAM) as speaker:
        send_options(speaker, 7, LO)
        if family == socket.AF_INET:
            assert speaker.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 7
        else:
            index = socket.if_nametoindex(LO)
            assert speaker.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS) == 7
            assert speaker.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF) == index
        send_options(speaker, 1)


def test_an_interface_that_is_not_there_is_an_error(group: str) -> None:
    with socket.socket(GROUPS[group], socket.SOCK_DGRAM) as sock:
        with pytest.raises(OSError):
            join(sock, group, "nowhere0")
        with pytest.raises(OSError):
            send_options(sock, 1, "nowhere0")
