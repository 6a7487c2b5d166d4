"""Ports for what is started later."""

from __future__ import annotations

import socket

import pytest

from tests import ports
from tests.ports import HOST, below, free_port, mine


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_taken_port_is_not_chosen(kind: socket.SocketKind) -> None:
    port = free_port()
    ports._given.remove(port)
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind((HOST, port))
        assert free_port(port) != port
    assert free_port(port) == port


def test_none_is_given_twice() -> None:
    assert len({free_port() for _ in range(50)}) == 50


@pytest.mark.parametrize(("outgoing", "last"), [(32768, 32767), (16000, 15999), (1024, 32767), (0, 32767)])
def test_no_client_gets_one_of_them(outgoing: int, last: int) -> None:
    found = below(outgoing)
    assert found[-1] == last and len(found) == 12_000 and found[0] > 1024


def test_processes_side_by_side_get_different_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", "3")
    found = []
    for worker in range(3):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", f"gw{worker}")
        found.append(set(mine(ports.RANGE)))
    assert set.union(*found) == set(ports.RANGE) and sum(map(len, found)) == len(ports.RANGE)
