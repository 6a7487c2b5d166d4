"""When a publisher captured what it sends: by its sender reports (RFC 3550 section 6.4.1), by arrival without them.

Sound is put on the line of the pictures' arrival, so that it is in step with them whatever their jitter buffers add.
"""

from __future__ import annotations

from typing import Any

from aiortc.rtp import RtcpSrPacket

PICTURE_RATE, SOUND_RATE = 90_000, 48_000
SPAN = 1 << 32
NTP_FRACTION = 1 << 32

BUFFERED_S = 0.05
"""By which sound comes later than its picture without reports: aiortc holds back four packets, and one picture."""

FOLLOW = 0.05
MAX_SHIFT_S = 0.1
"""Arrival jitters: a change is taken over by and by, a large one at once."""

MAX_APART_S = 1.5
"""Reports that place sound further from when it came are wrong."""


class Reports:
    """Those of one track. They are taken from a receiver of aiortc (1.16), which keeps them to itself; where another
    release has renamed its parts there are none, and nothing breaks."""

    def __init__(self, receiver: Any, rate: int) -> None:
        """`rate`: of its time stamps, a second."""
        self._receiver, self._rate = receiver, rate
        self._last: tuple[int, int] | None = None  # (NTP, RTP)
        handle = getattr(receiver, "_handle_rtcp_packet", None)
        if handle is None:
            return

        async def listen(packet: Any) -> None:
            if isinstance(packet, RtcpSrPacket):
                self.heard(packet.sender_info.ntp_timestamp, packet.sender_info.rtp_timestamp)
            await handle(packet)

        receiver._handle_rtcp_packet = listen

    def heard(self, ntp: int, rtp: int) -> None:
        """A report: the same moment as NTP and as RTP time."""
        if ntp:
            self._last = ntp, rtp

    def time(self, pts: int) -> float | None:
        """Publisher's clock (s) of a frame of aiortc, whose `pts` counts from the first; None before a report."""
        mapper = getattr(self._receiver, "_RTCRtpReceiver__timestamp_mapper", None)
        origin = getattr(mapper, "_origin", None)
        if self._last is None or origin is None:
            return None
        ntp, rtp = self._last
        behind = (rtp - origin - pts + SPAN // 2) % SPAN - SPAN // 2
        return ntp / NTP_FRACTION - float(behind) / self._rate


class Follower:
    """A difference of two clocks, smoothed."""

    def __init__(self) -> None:
        self.value: float | None = None

    def take(self, value: float) -> float:
        """The smoothed difference, given one more reading of it."""
        if self.value is None or abs(value - self.value) > MAX_SHIFT_S:
            self.value = value
        self.value += FOLLOW * (value - self.value)
        return self.value


class LipSync:
    """Of one publisher: pictures and sound come with the time stamps of their own tracks."""

    def __init__(self) -> None:
        self.pictures: Reports | None = None
        self.sound: Reports | None = None
        self._pictures = Follower()  # arrival less publisher's clock
        self._sound = Follower()  # arrival less time stamp

    def picture(self, pts: int | None, arrived: float) -> None:
        """A picture arrived (monotonic s)."""
        time = None if self.pictures is None or pts is None else self.pictures.time(pts)
        if time is not None:
            self._pictures.take(arrived - time)

    def place(self, pts: int, duration: float, arrived: float) -> float:
        """When the picture that was captured with the beginning of this sound arrived, or would have (monotonic s)."""
        begins = pts / SOUND_RATE
        plain = begins + self._sound.take(arrived - duration - BUFFERED_S - begins)
        time = None if self.sound is None else self.sound.time(pts)
        if time is None or self._pictures.value is None:
            return plain
        exact = time + self._pictures.value
        return exact if abs(exact - plain) < MAX_APART_S else plain
