"""The map of classes as the page's viewers get it: packed once however many look, and sent when it changes."""

from __future__ import annotations

import asyncio
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from common.maps.base import Legend
from receiver.contours.figures import same
from receiver.contours.store import ShownMap
from receiver.play.base import Shown
from receiver.play.feed import Feed, FeedClosed

BLOCK = 16
"""Side of the blocks of a trust map, pixels."""

MOST_SIDE = 640
"""A longer side is sent at a half, a quarter, ...: a page draws no finer, and what a viewer costs stays bounded."""

LEVEL = 6
"""Of zlib: a map of 480x352 becomes 1 to 4 kB within a few milliseconds."""

WRITE_TIMEOUT_S = 10.0
HEARTBEAT_S = 20.0
MAX_QUESTION_BYTES = 256

TIMED = 1
_STAMP = struct.Struct(
    "!BI"
)  # flags, RTP timestamp of the first picture that the map belongs to (with TIMED)
_HEAD = struct.Struct("!HHBHH")  # width, height (0: no map), side of a block of trust, its columns and rows
NOTHING = _HEAD.pack(0, 0, 1, 0, 0)

Timestamp = Callable[[Shown], int | None]
"""The RTP timestamp that a viewer's video has for a picture; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A map ready to be sent; the same object as long as nothing changes."""

    data: bytes
    legend: Legend | None


NO_MAP = Packed(NOTHING, None)


def pack(shown: ShownMap) -> bytes:
    """Head, then zlib of the labels, each row XORed with the one above, and the trust of the blocks; row by row."""
    labels, trust = shown.labels, shown.trust
    step = 1
    while max(labels.shape) > MOST_SIDE * step and step < BLOCK:
        step *= 2
    labels = labels[::step, ::step][:MOST_SIDE, :MOST_SIDE]
    rows = labels.copy()
    rows[1:] ^= labels[:-1]
    head = _HEAD.pack(labels.shape[1], labels.shape[0], BLOCK // step, trust.shape[1], trust.shape[0])
    return head + zlib.compress(rows.tobytes() + trust.tobytes(), LEVEL)


def legend_message(legend: Legend) -> str:
    """JSON that goes before the first map with this legend."""
    colours = [list(colour) for colour in legend.colours]
    return json.dumps({"name": legend.name, "classes": list(legend.classes), "colours": colours})


class SharedMaps:
    """The map on show, packed. Event loop thread; packing runs in a worker thread, and only while somebody looks."""

    def __init__(self) -> None:
        self.packed = 0
        """Maps packed so far."""
        self._lock = asyncio.Lock()
        self._of: ShownMap | None = None
        self._now = NO_MAP

    async def of(self, shown: ShownMap | None) -> Packed:
        """The map as it is sent."""
        if shown is None:
            return NO_MAP
        async with self._lock:
            if self._of is None or not same(self._of, shown):
                self._now = Packed(await asyncio.to_thread(pack, shown), shown.legend)
                self.packed += 1
            self._of = shown
            return self._now


async def serve_maps(
    request: web.Request, feed: Feed[Shown], maps: SharedMaps, timestamp: Timestamp
) -> web.WebSocketResponse:
    """A WebSocket (RFC 6455) with one viewer's maps: legends as text, maps as bytes, each when it changes. A slow
    viewer misses maps and holds nobody back; returns when it has left or the feed is closed."""
    socket = web.WebSocketResponse(
        heartbeat=HEARTBEAT_S, max_msg_size=MAX_QUESTION_BYTES, compress=False, timeout=1.0
    )
    await socket.prepare(request)
    sending = asyncio.create_task(_send(socket, feed, maps, timestamp), name="web-maps")
    try:
        async for message in socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                await socket.close(code=1003, message=b"nothing is asked here")
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    return socket


async def _send(
    socket: web.WebSocketResponse, feed: Feed[Shown], maps: SharedMaps, timestamp: Timestamp
) -> None:
    version = 0
    sent = NO_MAP
    legend: Legend | None = None
    try:
        while True:
            version, shown = await feed.after(version)
            found = await maps.of(shown.map)
            if found is sent:
                continue
            at = timestamp(shown)
            stamp = _STAMP.pack(0, 0) if at is None else _STAMP.pack(TIMED, at & 0xFFFFFFFF)
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                if found.legend is not None and found.legend != legend:
                    await socket.send_str(legend_message(found.legend))
                    legend = found.legend
                await socket.send_bytes(stamp + found.data)
            sent = found
    except (FeedClosed, TimeoutError, ConnectionError):
        await socket.close()
