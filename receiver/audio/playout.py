"""When which sound is heard: at the same playout delay as the picture that was captured with it. Pure.

`now` (monotonic seconds) is passed in. Every 20 ms a block is due. What it should begin with is what the playout clock
of the pictures says; how far the sound is off that decides how it is played: a little faster or slower (at most 0.5 %,
which nobody hears), or, where that would take too long, from another place on, in a pause of the speech if one comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from common.audio import RATE, Samples, level, silence
from common.audio.payload import AudioError, AudioPayload, join_time
from proto.wire import TIMESTAMP_SPAN
from receiver.audio.block import BLOCK, BLOCK_S
from receiver.audio.frames import FADE, FrameLine, faded

MAX_BEND = 0.005
"""Most by which sound is played faster or slower."""

FOLLOW_PER_S = 0.5
"""Share of the difference that is made up for in a second, within MAX_BEND."""

JUMP_S, QUIET_JUMP_S = 0.040, 0.012
QUIET = 0.004
"""Sound jumps when it is off by more than the first; by more than the second while it is quieter than -48 dB."""

MAX_BEHIND_S = 0.5
"""After a longer stall of the receiver the blocks in between are left out."""

MAX_AHEAD_S, MAX_OLD_S = 5.0, 3.0
"""A unit whose time is further ahead of what is heard now, or further back, is of another time base."""

MARGIN = 8
"""Samples read on either side, for the interpolation."""


class Timing(Protocol):
    """What the playout of the pictures tells (receiver.jitter.PlayoutClock)."""

    def media_time(self, now: float) -> float:
        """The media time that is due at `now`."""
        ...


class AudioPlayout:
    """One run of a sender; owned by the event loop thread."""

    def __init__(self) -> None:
        self.units = self.malformed = self.strange = 0
        """Units taken in; those that are none; those of another time base."""
        self.jumps = 0
        self.offset = 0.0
        """Seconds by which sound is ahead of its picture, at the last block."""
        self.margin: float | None = None
        """Seconds before its time that the last unit came; negative: too late."""
        self.line: FrameLine | None = None
        self._position: float | None = None
        self._tail: Samples | None = None  # of the run before
        self._totals = [0, 0, 0, 0]

    @property
    def late(self) -> int:
        """Frames that came after their time."""
        return self._sum(0)

    @property
    def damaged(self) -> int:
        """Frames that did not decode."""
        return self._sum(1)

    @property
    def concealed_seconds(self) -> float:
        """Of sound that stands for lost sound."""
        return self._sum(2) / RATE

    @property
    def muted_seconds(self) -> float:
        """Of silence in place of sound, because nothing had come for too long."""
        return self._sum(3) / RATE

    @property
    def buffered(self) -> float:
        """Seconds of sound that have arrived and are still to be heard."""
        if self.line is None or self._position is None:
            return 0.0
        return max(0.0, (self.line.end - self._position) / RATE)

    def push(self, data: bytes, timestamp: float, timing: Timing, now: float) -> float | None:
        """A unit has arrived. Returns its media time (s), on the scale of `timing`; None when it is of no use."""
        try:
            payload = AudioPayload.parse(data)
        except AudioError:
            self.malformed += 1
            return None
        due = timing.media_time(now)
        time = join_time(timestamp, payload.phase)
        time += TIMESTAMP_SPAN * round((due - time) / TIMESTAMP_SPAN)
        if not -MAX_OLD_S <= time - due <= MAX_AHEAD_S:
            self.strange += 1
            return None
        self.units += 1
        self.margin = time - due
        if self.line is None or self.line.frame_ms != payload.frame_ms:
            self.reset()
            self.line = FrameLine(payload.frame_ms, time)
        self.line.add(payload, time)
        return time

    def reset(self) -> None:
        """Another sender is heard from now on; what is heard of this one ends in the next block."""
        if self.line is None:
            return
        if self._position is not None:
            begins = round(self._position)
            self._tail = faded(self.line.read(begins, begins + BLOCK), 0, BLOCK)
        self._totals = [self._sum(number) for number in range(4)]
        self.line, self._position, self.margin = None, None, None

    def block(self, timing: Timing | None, due: float) -> tuple[Samples, bool]:
        """(960 samples, whether some stand for lost sound or there is none) to be heard from `due` on."""
        tail, self._tail = self._tail, None
        if self.line is None or timing is None:
            return (silence(BLOCK) if tail is None else tail), True
        wanted = (timing.media_time(due) - self.line.origin) * RATE
        if self._position is None:
            self._position = wanted
        samples = self._play(self.line, self._position, wanted)
        guessed = self.line.guessed(round(self._position) - BLOCK, round(self._position))
        self.line.forget(round(self._position))
        return (samples if tail is None else mixed(tail, samples)), guessed

    def _play(self, line: FrameLine, position: float, wanted: float) -> Samples:
        error = position - wanted
        bend = 1.0 - min(max(FOLLOW_PER_S * error / RATE, -MAX_BEND), MAX_BEND)
        samples = resampled(line, position, bend)
        self._position = position + BLOCK * bend
        limit = QUIET_JUMP_S if level(samples) < QUIET else JUMP_S
        if abs(error) > limit * RATE:
            self.jumps += 1
            samples = crossfaded(samples, resampled(line, wanted, 1.0))
            self._position, error = wanted + BLOCK, 0.0
        self.offset = error / RATE
        return samples

    def _sum(self, number: int) -> int:
        line = self.line
        now = (line.late, line.damaged, line.concealed, line.muted) if line is not None else (0, 0, 0, 0)
        return self._totals[number] + now[number]


class Pace:
    """When blocks are due: every 20 ms from the first on."""

    def __init__(self) -> None:
        self.number = 0
        self.due: float | None = None

    def begin(self, now: float) -> None:
        """There is sound from now on."""
        if self.due is None:
            self.due = now

    def take(self, now: float) -> Sequence[tuple[int, float]]:
        """(number, due time) of the blocks that are due."""
        if self.due is None:
            return ()
        if now - self.due > MAX_BEHIND_S:
            missed = int((now - self.due) / BLOCK_S)
            self.number += missed
            self.due += missed * BLOCK_S
        taken = []
        while self.due <= now:
            taken.append((self.number, self.due))
            self.number += 1
            self.due += BLOCK_S
        return taken


def resampled(line: FrameLine, position: float, step: float) -> Samples:
    """960 samples, `step` apart from `position` on: by the cubic through four neighbours (Catmull and Rom, 1974)."""
    if step == 1.0 and position == round(position):
        return line.read(round(position), round(position) + BLOCK)
    first = int(np.floor(position)) - MARGIN
    last = int(np.ceil(position + BLOCK * step)) + MARGIN
    x: npt.NDArray[np.float64] = line.read(first, last).astype(np.float64)
    at = position - first + step * np.arange(BLOCK)
    whole = np.floor(at).astype(np.intp)
    t = at - whole
    a, b, c, d = (x[whole + k] for k in (-1, 0, 1, 2))
    out = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return _limited(np.round(out))


def crossfaded(old: Samples, new: Samples) -> Samples:
    """`new`, into which `old` fades over 5 ms."""
    rising = np.minimum(np.arange(len(new)) / FADE, 1.0)
    return np.round(old * (1.0 - rising) + new * rising).astype(np.int16)


def mixed(one: Samples, other: Samples) -> Samples:
    """Both at once."""
    return _limited(one.astype(np.float64) + other)


def _limited(sound: npt.NDArray[np.float64]) -> Samples:
    samples: Samples = np.clip(sound, -32768, 32767).astype(np.int16)
    return samples
