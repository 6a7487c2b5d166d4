"""The map of classes on its way to the page."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import struct
import zlib
from collections.abc import Mapping

import aiohttp
import numpy as np
import numpy.typing as npt
import pytest

from common.maps.base import Legend
from receiver.contours.figures import shares
from receiver.contours.store import ShownMap
from receiver.play import maps
from receiver.play.base import Shown
from receiver.play.maps import MOST_SIDE, NOTHING, SharedMaps, pack
from tests.receiver.play.pictures import shown
from tests.receiver.play.test_web import serving
from tests.waiting import until

LEGEND = Legend("two", ("road", "car"), ((10, 20, 30), (250, 0, 0)))


def a_map(width: int = 64, height: int = 48, side: int = 10, age: float = 0.0) -> ShownMap:
    labels = np.zeros((height, width), np.uint8)
    labels[:side, :side] = 1
    trust = np.zeros((-(-height // 16), -(-width // 16)), np.uint8)
    trust[-1, -1] = 2
    return ShownMap(labels, trust, LEGEND, age)


def with_map(number: int, found: ShownMap | None) -> Shown:
    return dataclasses.replace(shown(number), map=found)


def unpack(data: bytes) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], int]:
    width, height, block, columns, rows = struct.unpack_from("!HHBHH", data)
    body = np.frombuffer(zlib.decompress(data[9:]), np.uint8)
    labels = np.bitwise_xor.accumulate(body[: width * height].reshape(height, width), axis=0)
    return labels, body[width * height :].reshape(rows, columns), block


def test_what_is_packed_comes_out_again() -> None:
    found = a_map(100, 70, 33)
    labels, trust, block = unpack(pack(found))
    assert np.array_equal(labels, found.labels) and np.array_equal(trust, found.trust) and block == 16
    assert len(pack(a_map(512, 512, 99))) < 1000


def test_a_large_map_is_sent_coarser() -> None:
    found = a_map(1920, 1080, 400)
    labels, trust, block = unpack(pack(found))
    assert labels.shape == (270, 480) and block == 4 and trust.shape == found.trust.shape
    assert labels[0, 0] == 1 and labels[99, 99] == 1 and labels[101, 101] == 0
    strange, _, _ = unpack(pack(a_map(MOST_SIDE * 20, 2)))
    assert max(strange.shape) <= MOST_SIDE


def test_shares_of_what_is_held_over() -> None:
    assert shares(np.array([[0, 1], [2, 2]], np.uint8)) == (0.25, 0.5)
    assert shares(np.zeros((0, 0), np.uint8)) == (0.0, 0.0)


async def test_a_map_is_packed_once_until_it_changes() -> None:
    shared, first = SharedMaps(), a_map()
    one = await shared.of(first)
    assert await shared.of(dataclasses.replace(first, age_s=0.3)) is one
    assert await shared.of(dataclasses.replace(first, labels=first.labels.copy())) is one
    assert shared.packed == 1
    other = await shared.of(a_map(side=11))
    assert other is not one and shared.packed == 2
    assert (await shared.of(None)).data == NOTHING


async def next_map(socket: aiohttp.ClientWebSocketResponse) -> tuple[int, int, bytes]:
    message = await socket.receive_bytes(timeout=20)
    return (*struct.unpack_from("!BI", message), message[5:])


async def test_viewers_get_legend_and_maps_when_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as (sink, client):
        sink.show(with_map(0, a_map()))
        await asyncio.sleep(0.05)
        assert sink._maps.packed == 0  # nobody looks
        async with client.ws_connect("/maps") as one, client.ws_connect("/maps") as other:
            for socket in (one, other):
                told: Mapping[str, object] = json.loads(await socket.receive_str(timeout=20))
                assert told == {
                    "name": "two",
                    "classes": ["road", "car"],
                    "colours": [[10, 20, 30], [250, 0, 0]],
                }
                flags, at, data = await next_map(socket)
                assert (flags, at) == (0, 0)
                assert np.array_equal(unpack(data)[0], a_map().labels)
            for number in range(1, 5):
                sink.show(with_map(number, a_map(age=number / 10)))
                await asyncio.sleep(0.02)
            monkeypatch.setattr(sink._viewers, "timestamp", lambda viewer, pts: 4_000_000_000)
            sink.show(with_map(5, a_map(side=20)))
            for socket in (one, other):
                flags, at, data = await next_map(socket)
                assert (flags, at) == (1, 4_000_000_000)
                assert np.array_equal(unpack(data)[0], a_map(side=20).labels)
            assert sink._maps.packed == 2
            sink.show(with_map(6, None))
            assert (await next_map(one))[2] == NOTHING
        await until(lambda: sink._map_viewers == 0)
        sink.show(with_map(7, a_map(side=3)))
        assert sink._maps.packed == 2


async def test_map_viewers_are_limited_and_other_sites_kept_out() -> None:
    async with serving(max_viewers=1) as (_, client), client.ws_connect("/maps"):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            await client.ws_connect("/maps")
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await client.ws_connect("/maps", headers={"Origin": "http://elsewhere.example"})


async def test_who_talks_is_shown_out_and_no_socket_holds_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as (sink, client):
        for question in ("x", "x" * 10_000):
            async with client.ws_connect("/maps") as socket:
                await socket.send_str(question)
                assert (await socket.receive(timeout=20)).type is aiohttp.WSMsgType.CLOSE
        async with client.get("/maps") as plain:
            assert plain.status == 400
        socket = await client.ws_connect("/maps")
        await until(lambda: sink._map_viewers == 1)
    assert (await socket.receive(timeout=20)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def test_a_viewer_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def stuck(self: aiohttp.web.WebSocketResponse, data: bytes) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(maps, "WRITE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(aiohttp.web.WebSocketResponse, "send_bytes", stuck)
    async with serving() as (sink, client), client.ws_connect("/maps") as socket:
        sink.show(with_map(0, a_map()))
        assert (await socket.receive(timeout=20)).type is aiohttp.WSMsgType.TEXT
        assert (await socket.receive(timeout=20)).type is aiohttp.WSMsgType.CLOSE
