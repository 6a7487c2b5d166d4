"""A push as a sink: connects, sends, and comes back for ever, whatever the media server does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from common.clock import Clock, monotonic
from common.log import Log
from receiver.audio.block import SoundBlock
from receiver.play.base import Shown
from receiver.play.push.backoff import Backoff
from receiver.play.push.encoder import Packets, SharedEncoder
from receiver.play.push.link import Connect, Link, LinkError
from receiver.play.push.sound import SoundCodec
from receiver.play.push.target import Target

CONNECT_TIMEOUT_S = 15.0
STALL_S = 10.0
"""A server that takes no packet for this long is left, and tried anew."""

log = Log("play.push")


class _SoundCame(Exception):
    """There is sound, and the connection has no track for it."""


class PushSink:
    """One push. The counters are plain ints for the metrics."""

    ended = False
    failure = None

    def __init__(
        self,
        target: Target,
        name: str,
        encoder: SharedEncoder,
        connect: Connect,
        closed: Callable[[], object] = lambda: None,
        backoff: Backoff | None = None,
        clock: Clock = monotonic,
        sound: Callable[[], bool] = lambda: False,
    ) -> None:
        """`name`: for logs and metrics, without secrets.  `closed` is called at the end.  `sound`: whether sound is to
        come, asked at each connection; where it comes unasked, the connection is made once more, with it."""
        self.name = name
        self.connected = False
        self.connections = 0
        """Times that the server took the stream; all but the first are reconnections."""
        self.failures = 0
        """Attempts that failed, and connections that broke."""
        self.bytes = 0
        """Coded video and sound handed to the connection."""
        self._target = target
        self._encoder = encoder
        self._connect = connect
        self._closed = closed
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._sound = sound
        self._codec = SoundCodec.OPUS if target.scheme.startswith("whip") else SoundCodec.AAC
        self._heard = False
        self._dropped = 0
        self._packets: Packets | None = None
        self._reason: str | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def dropped(self) -> int:
        """Pictures, and pieces of sound, that the server or the encoder was too slow to take."""
        return self._dropped + (self._packets.dropped if self._packets else 0) + self._encoder.dropped

    def show(self, shown: Shown) -> None:
        self._encoder.show(shown)

    def hear(self, block: SoundBlock) -> None:
        if self._encoder.settings.sound:
            self._heard = True
            self._encoder.hear(block)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"push {self.name}")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._closed()

    async def _run(self) -> None:
        while True:
            try:
                lasted, reason = await self._attempt()
            except _SoundCame:
                log.info("sound has come; the push connects again, with it", push=self.name)
                continue
            self.failures += 1
            wait = self._backoff.failed(lasted)
            if reason != self._reason or lasted:
                self._reason = reason
                log.warning("push is not connected; trying again", push=self.name, reason=reason, wait_s=wait)
            await asyncio.sleep(wait)

    async def _attempt(self) -> tuple[float, str]:
        """One connection, to its end: (seconds that it was up, why it is over)."""
        began: float | None = None
        packets = self._encoder.subscribe()
        try:
            first = await packets.get()
            # By now it is known what the sender announces.
            with_sound = self._encoder.settings.sound and (self._heard or self._sound())
            if with_sound:
                self._encoder.listen(packets, self._codec)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    link = await self._connect(self._target, first, self._encoder.settings, with_sound)
            except TimeoutError:
                return 0.0, f"no answer within {CONNECT_TIMEOUT_S:g} s"
            began = self._clock()
            await self._feed(link, packets)
        except _SoundCame:
            raise
        except LinkError as error:
            reason = str(error)
        except TimeoutError:
            reason = f"the server takes nothing for {STALL_S:g} s"
        except Exception as error:
            reason = self._target.scrub(f"{type(error).__name__}: {error}")
        finally:
            self._encoder.unsubscribe(packets)
        return (0.0 if began is None else max(self._clock() - began, 1e-3)), reason

    async def _feed(self, link: Link, packets: Packets) -> None:
        packets.restart()
        packets.dropped = 0  # what came while connecting
        self._encoder.request_key()
        self._packets = packets
        self.connected = True
        self.connections += 1
        self._reason = None
        log.info("push connected", push=self.name, connections=self.connections)
        try:
            while True:
                packet = await packets.get()
                if self._heard and packets.sound is None:
                    raise _SoundCame  # no protocol can add a track to a stream that has begun
                async with asyncio.timeout(STALL_S):
                    await link.send(packet)
                self.bytes += len(packet.data)
        finally:
            self.connected = False
            self._packets = None
            self._dropped += packets.dropped
            with contextlib.suppress(Exception):
                await asyncio.shield(link.close())
