from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
import uvloop

from tests.bench.link.draws import Direction
from tests.bench.link.impairments import Impairments
from tests.bench.link.model import Link
from tests.bench.relay import forwarder
from tests.bench.relay.wires import Rig, Wire, rigged


async def test_replies_go_back_to_the_client_that_spoke_last() -> None:
    async with rigged() as rig:
        rig.send(b"one")
        data, relay = await rig.target.get()
        assert (data, relay) == (b"one", rig.relay.upstream)
        rig.target.send(b"reply", relay)
        assert await rig.client.get() == (b"reply", rig.relay.address)
        other = Wire()
        other.send(b"two", rig.relay.address)
        assert await rig.target.get() == (b"two", relay)
        rig.target.send(b"for the other", relay)
        assert await other.get() == (b"for the other", rig.relay.address)
        assert await rig.client.quiet()
        rig.send(b"three")
        await rig.target.get()
        rig.target.send(b"again", relay)
        assert (await rig.client.get())[0] == b"again"
        other.socket.close()


async def test_strangers_cannot_reply() -> None:
    async with rigged() as rig:
        rig.send(b"one")
        _, relay = await rig.target.get()
        stranger = Wire()
        stranger.send(b"not from the target", relay)
        assert await rig.client.quiet()
        assert rig.relay.lanes[Direction.BACK].link.counts.received == 0
        stranger.socket.close()


async def test_roaming_changes_the_source_port_and_nothing_else() -> None:
    async with rigged() as rig:
        rig.send(b"one")
        _, before = await rig.target.get()
        await rig.control.roam()
        rig.send(b"two")
        data, after = await rig.target.get()
        assert data == b"two" and after != before
        rig.target.send(b"to the old port", before)
        rig.target.send(b"to the new port", after)
        assert (await rig.client.get())[0] == b"to the new port"
        assert (await rig.control.stats())["roams"] == 1


async def test_it_roams_again_and_again_by_itself() -> None:
    async with rigged(roam_every=0.05) as rig:
        ports = set()
        for _ in range(8):
            rig.send(b"x")
            ports.add((await rig.target.get())[1])
            await asyncio.sleep(0.04)
        assert 3 <= len(ports) <= 8


async def test_each_direction_loses_what_its_link_says() -> None:
    there, back = Impairments(loss=0.5), Impairments(loss=0.3)
    expected = [Link(there, 4), Link(back, 4, Direction.BACK)]
    packets = [n.to_bytes(2) * 30 for n in range(200)]
    arriving = [[packet for packet in packets if link.transfer(packet, 0.0)] for link in expected]
    async with rigged(there, back) as rig:
        for packet in packets:
            rig.send(packet)
        assert [(await rig.target.get())[0] for _ in arriving[0]] == arriving[0]
        for packet in packets:
            rig.target.send(packet, rig.relay.upstream)
        assert [(await rig.client.get())[0] for _ in arriving[1]] == arriving[1]
        assert await rig.target.quiet(0.02) and await rig.client.quiet(0.02)
    assert arriving[0] != arriving[1]


async def test_delays_are_kept_and_packets_stay_in_order() -> None:
    async with rigged(Impairments(delay_s=0.08, jitter_s=0.03)) as rig:
        sent = {}
        for n in range(40):
            sent[n] = time.monotonic()
            rig.send(bytes([n]))
            await asyncio.sleep(0.002)
        for n in range(40):
            data, _ = await rig.target.get()
            took = time.monotonic() - sent[n]
            assert data == bytes([n])
            assert 0.08 <= took < 1.0


async def test_a_rate_holds_and_the_queue_is_told() -> None:
    async with rigged(Impairments(rate_kbps=800.0, queue_s=0.1)) as rig:
        began = time.monotonic()
        for _ in range(60):
            rig.send(bytes(972))  # 10 ms each
        got = 0
        while not await rig.target.quiet(0.05):
            got += 1
        assert got == pytest.approx(11, abs=1)
        assert time.monotonic() - began >= 0.11
        told = (await rig.control.stats())["forward"]
        assert told["overflow"] == 60 - told["forwarded"]
        assert told["queue_ms"]["max"] == pytest.approx(100, abs=11)


async def test_what_is_in_flight_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder, "MAX_IN_FLIGHT", 10)
    async with rigged(Impairments(delay_s=0.2)) as rig:
        for _ in range(30):
            rig.send(b"x")
        for _ in range(10):
            await rig.target.get()
        assert await rig.target.quiet()
        counts = rig.relay.lanes[Direction.FORWARD].link.counts
        assert (counts.received, counts.forwarded, counts.overflow) == (30, 10, 20)


async def test_a_target_that_comes_later_gets_the_next_packet() -> None:
    async with rigged() as rig:
        address = rig.target.address
        rig.target.socket.close()
        for _ in range(3):  # each but the first meets the refusal of the one before it
            rig.send(b"nobody")
            await asyncio.sleep(0.02)
        rig.target = Wire(address[1])
        rig.send(b"somebody")
        assert (await rig.target.get())[0] == b"somebody"
        assert (await rig.control.stats())["forward"]["forwarded"] == 4


def test_replies_come_again_from_a_target_that_was_away() -> None:
    """In the loop of the process, which gives up a socket that has met a refusal."""

    async def got(wire: Wire) -> tuple[bytes, object]:
        async with asyncio.timeout(5.0):
            while True:
                with contextlib.suppress(BlockingIOError):
                    return wire.socket.recvfrom(100)
                await asyncio.sleep(0.01)

    async def go_and_come() -> None:
        rig = Rig(Impairments(), Impairments(), None)
        address = rig.target.address
        rig.target.socket.close()
        for _ in range(3):
            rig.send(b"nobody")
            await asyncio.sleep(0.02)
        rig.target, stranger = Wire(address[1]), Wire()
        rig.send(b"somebody")
        assert await got(rig.target) == (b"somebody", rig.relay.upstream)
        stranger.send(b"not asked for", rig.relay.upstream)
        rig.target.send(b"reply", rig.relay.upstream)
        assert await got(rig.client) == (b"reply", rig.relay.address)
        stranger.socket.close()
        rig.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(go_and_come())


async def test_large_and_empty_datagrams_pass() -> None:
    async with rigged() as rig:
        for data in (b"", bytes(1472), bytes(65_507)):
            rig.send(data)
            assert (await rig.target.get())[0] == data


async def test_outages_of_both_ways_share_their_zero() -> None:
    dead = Impairments(outages=((0.2, 60.0),))
    async with rigged(dead, dead) as rig:
        rig.send(b"first")
        _, relay = await rig.target.get()
        await asyncio.sleep(0.25)
        rig.target.send(b"late", relay)
        assert await rig.client.quiet()
        assert (await rig.control.stats())["back"]["outage"] == 1
