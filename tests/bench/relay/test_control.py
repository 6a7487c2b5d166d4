from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bench.link.draws import Direction
from tests.bench.link.impairments import NAMES, Impairments
from tests.bench.link.model import Link
from tests.bench.relay.client import Control, ControlError, ask
from tests.bench.relay.control import COMMANDS, MAX_CONNECTIONS, answer
from tests.bench.relay.forwarder import Lane
from tests.bench.relay.wires import rigged


async def test_the_link_changes_while_packets_pass() -> None:
    async with rigged() as rig:
        rig.send(b"before")
        _, relay = await rig.target.get()
        await rig.control.set("forward", loss=1.0)
        rig.send(b"lost")
        assert await rig.target.quiet(0.05)
        rig.target.send(b"the other way", relay)
        assert (await rig.client.get())[0] == b"the other way"
        await rig.control.set(loss=0.0, delay_ms=60)
        sent = time.monotonic()
        rig.send(b"after")
        assert (await rig.target.get())[0] == b"after"
        rig.target.send(b"back", relay)
        await rig.client.get()
        assert time.monotonic() - sent >= 0.12
        stats = await rig.control.stats()
        assert (stats["forward"]["lost"], stats["back"]["lost"]) == (1, 0)


async def test_an_outage_begins_now_and_ends_by_itself() -> None:
    async with rigged() as rig:
        await rig.control.outage(0.2, "forward")
        rig.send(b"into the void")
        assert await rig.target.quiet(0.25)
        rig.send(b"alive")
        assert (await rig.target.get())[0] == b"alive"
        assert (await rig.control.stats())["forward"]["outage"] == 1


async def test_settings_are_told_as_they_are_set() -> None:
    async with rigged(Impairments(delay_s=0.04)) as rig:
        await rig.control.set("back", rate_kbps=500, queue_ms=50, symbol_errors=1e-4, symbol_bits=6)
        told = await rig.control.ask({"get": "settings"})
        assert told["forward"]["delay_ms"] == 40 and told["forward"]["rate_kbps"] is None
        assert (told["back"]["rate_kbps"], told["back"]["queue_ms"], told["back"]["symbol_bits"]) == (
            500,
            50,
            6,
        )
        await rig.control.set("back", **{name: told["back"][name] for name in NAMES if name in told["back"]})


BAD: list[tuple[Any, str]] = [
    ({}, "a request has one of"),
    ({"set": {}, "get": "stats"}, "a request has one of"),
    ({"set": {"loss": 0.1}, "way": "back"}, "a request has one of"),
    ({"set": {"loss": 0.1}, "direction": "up"}, "direction: must be one of"),
    ({"set": {"loss": 0.1}, "direction": ["both"]}, "direction: must be one of"),
    ({"set": 5}, "set: must be an object"),
    ({"set": {"loss": 2}}, "loss: must be between 0 and 1"),
    ({"set": {"loss": "0.5"}}, "loss: must be a number"),
    ({"set": {"los": 0.5}}, "'los' is no setting"),
    ({"set": {"replay": "/etc/passwd"}}, "replay: must be null"),
    ({"set": {"delay_ms": -1}}, "delay_ms: must not be negative"),
    ({"get": "secrets"}, "get: must be stats or settings"),
    ({"get": ["stats"]}, "get: must be"),
    ({"roam": 1}, "roam: must be true"),
    ({"outage": 0}, "outage: must be above 0 s"),
    ({"outage": 1e9}, "outage: must be above 0 s and at most"),
    ({"outage": True}, "outage: must be a number"),
    ([], "not a JSON object"),
]


async def test_wrong_requests_are_told_and_change_nothing() -> None:
    async with rigged() as rig:
        before = await rig.control.ask({"get": "settings"})
        for request, error in BAD:
            with pytest.raises(ControlError) as raised:
                await rig.control.ask(request)
            assert str(raised.value).startswith(error), request
        assert await rig.control.ask({"get": "settings"}) == before


async def test_both_directions_change_or_none() -> None:
    async with rigged(back=Impairments(burst=2.0)) as rig:
        with pytest.raises(ControlError, match=r"^burst: "):
            await rig.control.set(loss=0.9)
        assert rig.relay.lanes[Direction.FORWARD].link.impairments.loss == 0.0


async def raw(address: tuple[str, int], sent: bytes) -> list[bytes]:
    """The lines that come back until the relay closes."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(sent)
    writer.write_eof()
    async with asyncio.timeout(5):
        lines = (await reader.read()).splitlines()
    writer.close()
    return lines


async def test_lines_are_bounded_and_garbage_is_answered() -> None:
    async with rigged() as rig:
        place = rig.control._address
        assert await raw(place, b"\xff\xfe\n[[\n{}\n") == [
            b'{"error": "not JSON"}',
            b'{"error": "not JSON"}',
            b'{"error": "a request has one of set, outage, roam, get, and may have direction"}',
        ]
        assert await raw(place, b"[" * 4000 + b"\n") == [b'{"error": "not JSON"}']
        assert await raw(place, b" " * 5000) == [b'{"error": "longer than 4096 characters"}']
        assert await raw(place, b'{"get": "stats"}') == []  # no end of line, so perhaps not all of it
        assert json.loads((await raw(place, b'{"get": "stats"}\n'))[0])["ok"] is True


async def test_connections_are_bounded_and_given_back() -> None:
    async with rigged() as rig:
        place = rig.control._address
        others = [await asyncio.open_connection(*place) for _ in range(MAX_CONNECTIONS - 1)]
        await rig.control.stats()
        for _ in range(3):  # the last of the others may still be on its way
            await asyncio.sleep(0.02)
        assert await raw(place, b"") == [b'{"error": "there are 8 connections already"}']
        for _, writer in others:
            writer.close()
        await asyncio.sleep(0.05)
        assert json.loads((await raw(place, b'{"get": "stats"}\n'))[0])["ok"] is True


async def test_plain_code_can_ask_too() -> None:
    async with rigged() as rig:
        place = rig.control._address
        await asyncio.to_thread(ask, place, {"set": {"loss": 1.0}, "direction": "back"})
        assert rig.relay.lanes[Direction.BACK].link.impairments.loss == 1.0
        with pytest.raises(ControlError, match=r"^'delay' is no setting"):
            await asyncio.to_thread(ask, place, {"set": {"delay": 1}})


async def test_a_relay_that_is_gone_is_an_error() -> None:
    async with rigged() as rig:
        place = rig.control._address
        control = rig.control
    with pytest.raises(OSError):
        async with Control(place):
            pass
    with pytest.raises(OSError):
        await control.stats()


class StillRelay:
    """What a request may touch of a relay."""

    def __init__(self) -> None:
        self.lanes = {way: Lane(Link(Impairments(), 1, way), lambda data: None, None) for way in Direction}

    def roam(self) -> None:
        """Nothing to do."""

    def stats(self) -> dict[str, object]:
        return {}


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
values = leaves | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), leaves, max_size=3)
requests = st.dictionaries(st.sampled_from([*COMMANDS, "direction", "x"]), values, max_size=3)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=30) | requests.map(lambda request: json.dumps(request).encode()))
def test_any_line_is_answered(line: bytes) -> None:
    found = answer(StillRelay(), line)  # type: ignore[arg-type]
    assert found.get("ok") is True or isinstance(found["error"], str)
    json.dumps(found)
