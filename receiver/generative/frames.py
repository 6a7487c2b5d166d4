"""The pictures on their way to the screen, and which of them is to be generated next. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from common.codec.base import COARSEST_QP
from common.video import Picture
from receiver.generative.pace import PLAIN, Rung
from receiver.play.base import TrustMap

LEAD_S = 0.05
"""A picture is to be ready so long before it is due; one that is not gets what can be carried over."""

SPARE_S = 0.1
"""How much earlier than that is begun what has waited for its map."""

GAP_S = 2.0
"""After so long without a picture, or back in time, nothing of before is held on to."""


@dataclass(slots=True, eq=False)
class Frame:
    """A decoded picture that waits for its tick, and what is made of it. The arrays are never written to."""

    run: int
    """Which run of a sender."""
    texture: Picture
    trust: TrustMap
    captured_at: float = 0.0
    """Seconds since the epoch, by the sender's clock."""
    due: float = math.nan
    """When it is to be shown, monotonic seconds."""
    made: Picture | None = None
    """Generated from it."""
    picture: Picture | None = None
    """To be shown in place of `texture`: `made`, or the texture with detail of one that was made before."""
    qp: float = COARSEST_QP
    """How coarse the texture is, on H.265's scale."""


@dataclass(frozen=True, slots=True)
class Detail:
    """A generated picture and the texture that it was made of."""

    run: int
    captured_at: float
    texture: Picture
    made: Picture

    def fits(self, frame: Frame) -> bool:
        """Whether it may say something about a frame."""
        same = self.run == frame.run and self.texture.shape == frame.texture.shape
        return same and 0 <= frame.captured_at - self.captured_at <= GAP_S


class Painter(Protocol):
    """What makes other pictures of decoded ones (GenerativeDecoder)."""

    def wanted(self, profile: str) -> bool:
        """Whether of pictures of this profile, now."""
        ...

    def expect(self, frames: Sequence[Frame], interval: float) -> None:
        """Frames that are to be shown, in order; `interval`: seconds from one to the next."""
        ...

    def take(self, frame: Frame) -> Picture:
        """What to show of a frame now."""
        ...


def begins_anew(frame: Frame, last: Detail | None) -> bool:
    """Whether the decoder must forget what it saw before this frame."""
    return last is None or not last.fits(frame)


def choose(
    waiting: Sequence[Frame],
    last: Detail | None,
    rung: Rung,
    seconds: float,
    now: float,
    newest_map: float | None = None,
) -> Frame | float | None:
    """The frame to generate now; when to look again (monotonic seconds); None: when there are more frames.

    waiting: in order of time; last: what was generated last; seconds: that generating takes; newest_map: when the
    newest map was captured, None where there are none. A frame whose map has not come waits for it while it can.
    """
    if rung == PLAIN or not waiting:
        return None
    run = waiting[-1].run
    after = last.captured_at if last is not None and last.run == run else None
    frames = [
        frame
        for frame in waiting
        if frame.run == run and frame.made is None and frame.due > now
        and (after is None or frame.captured_at > after or after - frame.captured_at > GAP_S)
    ]  # fmt: skip
    if not frames:
        return None
    in_time = [frame for frame in frames if frame.due - LEAD_S >= now + seconds]
    if not in_time:
        return frames[-1]  # too late for itself, but what comes after it can use its detail
    first = 0 if last is None or begins_anew(frames[0], last) else rung.every - 1
    place = max(first, len(frames) - len(in_time))
    if place >= len(frames):
        return None
    frame = frames[place]
    latest = frame.due - LEAD_S - SPARE_S - 1.5 * seconds
    missing = newest_map is not None and newest_map < frame.captured_at - 0.05
    return latest if missing and now < latest else frame
