"""Sound on its way out: the stage in its thread, the protected stream in the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from common.clock import monotonic
from common.metrics import Exporter
from proto.protection import Policy
from proto.streams import AUDIO
from sender.audio.metrics import export_audio
from sender.audio.stage import AudioStage
from sender.control import Control
from sender.protect import ProtectedStream
from sender.worker import Worker

BEARABLE_LOSS = 0.1
"""Share of the packets of sound that may be lost before parity is sent: concealment is good for so much."""


class AudioSending:
    """Made and used in the event loop."""

    def __init__(
        self,
        stage: AudioStage,
        parity: float,
        control: Control,
        poll: Callable[[], None],
        exporter: Exporter,
        stop: threading.Event,
    ) -> None:
        """`parity`: most of it, in packets to each packet of sound; `poll`: sends what `control` holds."""
        self._loop = asyncio.get_running_loop()
        policy = Policy(target=BEARABLE_LOSS, max_overhead=parity)
        rate = stage.format.wire_kbps * 125
        self._stream = ProtectedStream(AUDIO.id, control.session.payload_limit, policy, rate)
        control.audio = self._stream
        self._poll = poll
        stage.deliver = self._deliver
        export_audio(exporter, stage, self._stream)
        self.worker = Worker("audio", lambda: stage.run(stop)) if stage.threaded else None
        """The thread of sound that does not come with the pictures."""

    async def run(self) -> None:
        """Until cancelled. Raises SourceError when there is no sound where it should come from."""
        if self.worker is not None:
            self.worker.start()
            await self.worker.wait()

    def _deliver(self, data: bytes, timestamp: float, duration: float) -> None:
        """Called by the thread that captures sound."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            self._loop.call_soon_threadsafe(self._send, data, timestamp, duration)

    def _send(self, data: bytes, timestamp: float, duration: float) -> None:
        self._stream.push(data, timestamp, duration, monotonic())
        self._poll()
