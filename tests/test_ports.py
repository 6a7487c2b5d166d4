from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.ports import HOST, RANGE, free_port


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_taken_port_is_not_chosen(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind((HOST, 0))
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


def test_none_is_given_twice() -> None:
    assert len({free_port() for _ in range(50)}) == 50


def test_no_client_gets_one_of_them() -> None:
    outgoing = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if outgoing.exists():
        assert int(outgoing.read_text().split()[0]) >= RANGE.stop
