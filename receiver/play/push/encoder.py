"""One encoder for all pushes: it runs on a thread of its own, and only while a push wants pictures."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque

from common.handoff import DropOldest
from common.log import Log
from receiver.play.base import Shown
from receiver.play.push.coded import H264, Packet, Settings

MAX_WAITING_S = 0.5
"""Seconds of packets that wait for a slow server; when there are more, all go, up to the next key picture."""

MIN_WAITING = 4

log = Log("play.push")


class Packets:
    """What waits for one connection. Event loop thread only."""

    def __init__(self) -> None:
        self.dropped = 0
        """Packets thrown away because the server was slow."""
        self._items: deque[Packet] = deque()
        self._wants_key = True
        self._overflown = False
        self._changed = asyncio.Event()

    def put(self, packet: Packet, fps: float) -> None:
        """Add a packet; one that cannot be decoded, because those before it went, goes too."""
        if len(self._items) >= max(MIN_WAITING, round(fps * MAX_WAITING_S)):
            self.dropped += len(self._items)
            self.restart()
            self._overflown = True
        if self._wants_key and not packet.key:
            self.dropped += self._overflown
            return
        self._wants_key = self._overflown = False
        self._items.append(packet)
        self._changed.set()

    def restart(self) -> None:
        """Throw away what waits; go on with a key picture."""
        self._items.clear()
        self._wants_key = True

    async def get(self) -> Packet:
        """The oldest packet, after waiting for it."""
        while not self._items:
            self._changed.clear()
            await self._changed.wait()
        return self._items.popleft()


class SharedEncoder:
    """Pictures in, packets out to everyone who subscribed. Event loop thread only, but for the thread inside."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._pictures: DropOldest[Shown] = DropOldest()
        self._subscribers: set[Packets] = set()
        self._key = threading.Event()
        self._last: Shown | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def dropped(self) -> int:
        """Pictures that the encoder was too slow to take."""
        return self._pictures.dropped

    def show(self, shown: Shown) -> None:
        """Take the picture of a tick; several pushes hand in the same one."""
        if shown is not self._last and self._subscribers:
            self._last = shown
            self._pictures.put(shown)

    def subscribe(self) -> Packets:
        """Packets from now on, beginning with a key picture, which is made at once."""
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, name="push-encoder", daemon=True)
            self._thread.start()
        packets = Packets()
        self._subscribers.add(packets)
        self.request_key()
        return packets

    def unsubscribe(self, packets: Packets) -> None:
        """No more packets."""
        self._subscribers.discard(packets)

    def request_key(self) -> None:
        """Make the next picture a key picture."""
        self._key.set()

    def close(self) -> None:
        """End the thread, which is not waited for. Called once, when the last push is closed."""
        self._pictures.close()

    def _run(self) -> None:
        encoder = H264(self.settings)
        while not self._pictures.closed:
            shown = self._pictures.get()
            if shown is None:
                continue
            key = self._key.is_set()
            self._key.clear()
            try:
                packets = encoder.encode(shown, key)
            except Exception as error:
                log.exception("a picture could not be encoded; the encoder begins anew", error)
                encoder = H264(self.settings)
                continue
            assert self._loop is not None
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                self._loop.call_soon_threadsafe(self._deliver, packets, shown.fps)

    def _deliver(self, packets: list[Packet], fps: float) -> None:
        for packet in packets:
            for subscriber in self._subscribers:
                subscriber.put(packet, fps)
