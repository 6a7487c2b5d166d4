"""One encoder for all pushes: it runs on a thread of its own, and only while a push wants pictures. Sound too."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable

from common.handoff import DropOldest
from common.log import Log
from receiver.audio.block import SoundBlock
from receiver.play.base import Shown
from receiver.play.push.coded import H264, Packet, Settings
from receiver.play.push.muxer import SOUND, VIDEO
from receiver.play.push.sound import Sound, SoundCodec

MAX_WAITING_S = 0.5
"""Seconds of packets that wait for a slow server; when there are more, all go, up to the next key picture."""

MIN_WAITING = 4
MAX_SOUND = 25
"""Packets of sound that wait for a slow server: half a second."""

MAX_BLOCKS = 50
"""Of sound that wait for the encoder: a second; the oldest goes."""

WAKE_S = 0.04
"""How often the encoder looks for sound between two pictures."""

log = Log("play.push")


class Packets:
    """What waits for one connection. Event loop thread only."""

    def __init__(self) -> None:
        self.sound: SoundCodec | None = None
        """The codec of that which is wanted too."""
        self.dropped = 0
        """Packets thrown away because the server was slow."""
        self._begun = False
        self._pictures = 0
        self._items: deque[Packet] = deque()
        self._wants_key = True
        self._overflown = False
        self._changed = asyncio.Event()

    def put(self, packet: Packet, fps: float) -> None:
        """Add a picture; one that cannot be decoded, because those before it went, goes too."""
        if self._pictures >= max(MIN_WAITING, round(fps * MAX_WAITING_S)):
            self.dropped += len(self._items)
            self._clear()
            self._overflown = True
        if self._wants_key and not packet.key:
            self.dropped += self._overflown
            return
        self._wants_key = self._overflown = False
        self._begun = True
        self._pictures += 1
        self._add(packet)

    def put_sound(self, packet: Packet) -> None:
        """Add a piece of sound; none comes before the first picture."""
        if not self._begun:
            return
        if len(self._items) - self._pictures >= MAX_SOUND:
            oldest = next(item for item in self._items if item.stream == SOUND)
            self._items.remove(oldest)
            self.dropped += 1
        self._add(packet)

    def restart(self) -> None:
        """Throw away what waits; go on with a key picture."""
        self._clear()
        self._begun = False

    def _clear(self) -> None:
        self._items.clear()
        self._pictures = 0
        self._wants_key = True

    def _add(self, packet: Packet) -> None:
        self._items.append(packet)
        self._changed.set()

    async def get(self) -> Packet:
        """The oldest packet, after waiting for it."""
        while not self._items:
            self._changed.clear()
            await self._changed.wait()
        packet = self._items.popleft()
        self._pictures -= packet.stream == VIDEO
        return packet


class SharedEncoder:
    """Pictures and sound in, packets out to all who subscribed. Event loop thread only, but for the thread inside."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._pictures: DropOldest[Shown] = DropOldest()
        self._subscribers: set[Packets] = set()
        self._key = threading.Event()
        self._last: Shown | None = None
        self._blocks: deque[SoundBlock] = deque(maxlen=MAX_BLOCKS)
        self._last_block: SoundBlock | None = None
        self._codecs: frozenset[SoundCodec] = frozenset()
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

    def hear(self, block: SoundBlock) -> None:
        """Take 20 ms of sound; several pushes hand in the same."""
        if block is not self._last_block and self._codecs:
            self._last_block = block
            self._blocks.append(block)

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

    def listen(self, packets: Packets, codec: SoundCodec) -> None:
        """Sound too, from now on."""
        packets.sound = codec
        self._choose()

    def unsubscribe(self, packets: Packets) -> None:
        """No more packets."""
        self._subscribers.discard(packets)
        self._choose()

    def request_key(self) -> None:
        """Make the next picture a key picture."""
        self._key.set()

    def close(self) -> None:
        """End the thread, which is not waited for. Called once, when the last push is closed."""
        self._pictures.close()

    def _choose(self) -> None:
        self._codecs = frozenset(each.sound for each in self._subscribers if each.sound is not None)

    def _run(self) -> None:
        encoder, sound = H264(self.settings), Sound()
        while not self._pictures.closed:
            shown = self._pictures.get(WAKE_S if self._codecs else None)
            if shown is None:
                self._run_sound(sound)
                continue
            key = self._key.is_set()
            self._key.clear()
            try:
                packets = encoder.encode(shown, key)
            except Exception as error:
                log.exception("a picture could not be encoded; the encoder begins anew", error)
                encoder, sound = H264(self.settings), Sound()
                continue
            self._hand(self._deliver, packets, shown.fps)
            sound.shown(shown, encoder.time)
            self._run_sound(sound)

    def _run_sound(self, sound: Sound) -> None:
        """What has come since the last time."""
        packets: list[tuple[SoundCodec, Packet]] = []
        while self._blocks:
            packets += sound.encode(self._blocks.popleft(), self._codecs)
        if packets:
            self._hand(self._deliver_sound, packets)

    def _hand(self, deliver: Callable[..., None], *arguments: object) -> None:
        """To the event loop."""
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            self._loop.call_soon_threadsafe(deliver, *arguments)

    def _deliver_sound(self, packets: list[tuple[SoundCodec, Packet]]) -> None:
        for codec, packet in packets:
            for subscriber in self._subscribers:
                if subscriber.sound is codec:
                    subscriber.put_sound(packet)

    def _deliver(self, packets: list[Packet], fps: float) -> None:
        for packet in packets:
            for subscriber in self._subscribers:
                subscriber.put(packet, fps)
