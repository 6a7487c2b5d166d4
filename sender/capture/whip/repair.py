"""Gets a stream going again whose packets were lost for good.

aiortc (1.16) asks once for a lost packet. If the repetition is lost too, its jitter buffer waits until 512 packets
have come after it, which is seconds at a phone's rate, and asks for a key picture only then. It also decodes every
picture however late. The parts that would have to change are private; where another release has renamed them, what
is written here does less and nothing breaks.
"""

from __future__ import annotations

import queue
from typing import Any

REPEAT_S = 0.15
"""Without a picture for so long, lost packets are asked for again (NACK, RFC 4585)."""

SKIP_S = 0.5
"""After so long the gap is passed over and a key picture asked for (PLI)."""

MAX_BACKLOG = 15
"""Pictures that may wait for aiortc's decoder: half a second; more only add delay."""


class Repair:
    """Watches one video receiver (aiortc's RTCRtpReceiver); `step` is called a few times a second, in its loop."""

    def __init__(self, receiver: Any) -> None:
        self.key_requests = 0
        self._receiver = receiver
        self._waited = 0.0

    async def step(self, now: float, last_picture: float) -> None:
        """Do what is due. Both times are monotonic seconds."""
        if self._drop_backlog():
            await self._ask_key()
            return
        if now - last_picture < REPEAT_S:
            return
        if now - max(last_picture, self._waited) >= SKIP_S and self._skip_gap():
            self._waited = now
            await self._ask_key()
            return
        await self._ask_again()

    def _private(self, name: str) -> Any:
        return getattr(self._receiver, f"_RTCRtpReceiver__{name}", None)

    def _ssrc(self) -> int | None:
        """The source of the video itself, not of its repetitions (RTX)."""
        repeats = self._private("rtx_ssrc") or {}
        sources = [entry.source for entry in self._receiver.getSynchronizationSources()]
        return next((source for source in sources if source not in repeats), None)

    async def _ask_again(self) -> None:
        ssrc, send = self._ssrc(), getattr(self._receiver, "_send_rtcp_nack", None)
        missing = getattr(self._private("nack_generator"), "missing", None)
        if ssrc is not None and send is not None and missing:
            await send(ssrc, sorted(missing))

    async def _ask_key(self) -> None:
        ssrc, send = self._ssrc(), getattr(self._receiver, "_send_rtcp_pli", None)
        if ssrc is not None and send is not None:
            self.key_requests += 1
            await send(ssrc)

    def _skip_gap(self) -> bool:
        """Give up the packets that the jitter buffer waits for; False when nothing waits behind them."""
        buffer = self._private("jitter_buffer")
        packets, origin = getattr(buffer, "_packets", None), getattr(buffer, "_origin", None)
        if not packets or origin is None:
            return False
        gap = False
        for step in range(len(packets)):
            packet = packets[(origin + step) % len(packets)]
            if packet is None:
                gap = True
            elif gap:
                buffer.smart_remove(step)
                return True
        return False

    def _drop_backlog(self) -> bool:
        """Throw away what a slow decoder has not begun with; whether there was too much of it."""
        backlog = self._private("decoder_queue")
        if not isinstance(backlog, queue.Queue) or backlog.qsize() <= MAX_BACKLOG:
            return False
        try:
            while True:
                backlog.get_nowait()
        except queue.Empty:
            return True
