"""Ordinary codecs as contestants: a low-delay encoder, and an ideal erasure code over blocks of frames.

The erasure code is maximum-distance separable and costs nothing but its parity packets: a block of k data packets
sent as n = k / code rate is whole when any k arrive. When fewer do, the data packets that arrived still count. What
follows a lost frame is either decoded onto what there is or held back until the next key frame, whichever looks better
over the clip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from common.video import Picture, picture_size
from proto.wire import IP_UDP_BYTES, MAX_DATAGRAM, OVERHEAD_BYTES
from tests.bench.contestant import Arrived, Encoded, Shown, late_units, serialisation_seconds, unit_frames
from tests.bench.peers import (
    COARSEST,
    DECODERS,
    FIRST,
    STEPS,
    Setting,
    Stream,
    code,
    enlarged,
    repeats,
    setting_for,
    shrunk,
)
from tests.bench.quality import ms_ssim, psnr

HEADERS = IP_UDP_BYTES + OVERHEAD_BYTES  # the same header cost as ours
SYMBOL_LIMIT = MAX_DATAGRAM - OVERHEAD_BYTES
SEARCH_TOLERANCE = 0.01  # of the wire rate
MAX_TRIALS = 12
COARSER = (0.5, 1.0, 2.0, 4.0)  # levels
ALLOWED = 1.04  # a block of more than this share of the rate is late sooner or later
LOOK_EVERY = 5  # pictures between those that the encoder looks at to choose the size


@dataclass(frozen=True, slots=True)
class Block:
    """Frames of one FEC block, as coded bytes, and how they are cut."""

    frames: tuple[bytes, ...]
    data: int  # k
    sent: int  # n
    symbol: int  # bytes

    @staticmethod
    def of(frames: Sequence[bytes], rate: Fraction) -> Block:
        """In as few packets as their size and whole numbers of k and n allow: headers are dear, and at high loss one
        packet of few arrives more often than two of twice as many."""
        size = sum(map(len, frames))
        data = math.ceil(Fraction(math.ceil(size / SYMBOL_LIMIT), rate.numerator)) * rate.numerator
        return Block(tuple(frames), data, int(data / rate), math.ceil(size / data))

    @property
    def wire_bytes(self) -> int:
        """All bytes of its packets."""
        return self.sent * (self.symbol + HEADERS)

    def intact(self, arrived: Arrived) -> list[bool]:
        """Which frames can be decoded."""
        if arrived.sum() >= self.data:
            return [True] * len(self.frames)
        ends = np.cumsum([len(f) for f in self.frames])
        out = []
        for end, frame in zip(ends, self.frames, strict=True):
            first, last = (end - len(frame)) // self.symbol, (end - 1) // self.symbol
            out.append(bool(arrived[first : last + 1].all()))
        return out


@dataclass(frozen=True, slots=True)
class Coded:
    """A clip as one stream in blocks. `size`: width and height of the coded pictures."""

    setting: Setting
    stream: Stream
    blocks: list[Block]
    size: tuple[int, int]


class LevelSearch:
    """Finds the level of each block at which it fills its share. Blocks after a key frame depend on one another, so
    all are corrected at once, each by smaller steps when it swings; of each group between key frames the best so far
    is kept."""

    def __init__(self, codec: str, blocks: int, group: int) -> None:
        """`group`: blocks from a key frame to the next."""
        self.levels = np.full(blocks, FIRST[codec])
        self.best = self.levels
        self._coarsest, self._step = COARSEST[codec], STEPS[codec]
        self._group = np.arange(blocks) // max(group, 1)
        self._misses = np.full(blocks, np.inf)
        self._gain = np.ones(blocks)
        self._error = np.zeros(blocks)

    def learn(self, fill: NDArray[np.float64]) -> None:
        """`fill`: bytes of each block at the present levels, over its share."""
        each = np.where(fill > ALLOWED, 10 * (fill - 1), np.abs(fill - 1))
        misses = np.bincount(self._group, each)[self._group]
        better = misses < self._misses
        self._misses = np.where(better, misses, self._misses)
        self.best = np.where(better, self.levels, self.best)
        error = np.log2(fill)
        swings = error * self._error < 0
        self._gain = np.where(swings, self._gain * 0.5, np.minimum(self._gain * 1.3, 2.0))
        self._error = error
        self.levels = np.clip(self.levels + self._step * self._gain * error, 1, self._coarsest)


@dataclass(frozen=True)
class Protected:
    """An FFmpeg encoder with an erasure code of one fixed rate k / n. `setting`: instead of the one in peers.py."""

    codec: str
    rate: Fraction
    delay_ms: float = 500.0
    setting: Setting | None = None

    @property
    def name(self) -> str:
        """For example `x265`."""
        return self.codec.removeprefix("lib")

    @property
    def code_rate(self) -> str:
        """For example `1/4`."""
        return str(self.rate)

    def encode(self, pictures: list[Picture], fps: float, wire_kbps: float) -> Encoded:
        """Every block gets the same share of the wire rate; an encoder that cannot go so low is taken at its lowest,
        and its true wire rate stands in the result. The size of the coded pictures is the one that looks best
        when nothing is lost."""
        pictures = pictures[: len(pictures) // unit_frames() * unit_frames()]
        size = picture_size(pictures[0])
        share = self._share(fps, wire_kbps)
        room = self._room(share)
        setting = self.setting or setting_for(self.codec, self.rate, room, size)
        fits = [
            self._fit(pictures, fps, wire_kbps, replace(setting, shrinks=(shrink,)))
            for shrink in setting.shrinks
        ]
        _, coded = max(fits, key=lambda fit: (-fit[0], self._looks(pictures, fit[1]) if len(fits) > 1 else 0))
        count = len(coded.stream.coded)
        spare = repeats(self.codec, coded.setting, coded.size, count, fps / setting.step)
        coded = replace(coded, stream=replace(coded.stream, repeats=spare))
        wire = tuple(block.wire_bytes for block in coded.blocks)
        return Encoded(tuple(block.sent for block in coded.blocks), wire, len(pictures), *size, coded)

    def _fit(
        self, pictures: list[Picture], fps: float, wire_kbps: float, setting: Setting
    ) -> tuple[float, Coded]:
        """(by how much it misses, the clip): the levels of all blocks are corrected until each has its share."""
        small = shrunk(pictures[setting.step - 1 :: setting.step], setting.shrinks[0])
        per_block = unit_frames() // setting.step
        share = self._share(fps, wire_kbps)
        room = self._room(share)
        group = min(setting.period, len(pictures)) // unit_frames()
        search = LevelSearch(self.codec, len(small) // per_block, setting.period // unit_frames())
        # what is wrong with each, its bytes over the share, its levels
        fits: list[tuple[float, float, NDArray[np.float64], Coded]] = []

        def attempt(levels: NDArray[np.float64]) -> list[list[bytes]]:
            stream = code(self.codec, setting, small, fps / setting.step, levels.tolist(), per_block)
            cut = [stream.coded[i : i + per_block] for i in range(0, len(small), per_block)]
            blocks = [Block.of(frames, self.rate) for frames in cut]
            wire = [block.wire_bytes for block in blocks]
            over = sum(wire) / (share * len(wire)) - 1
            late = sum(late_units(wire, fps, wire_kbps, self.delay_ms))
            # a late block takes half of its group with it; a wasted share is as bad as a lost block
            wrong = late * max(1.0, group / 2) + len(wire) * max(0.0, abs(over) - SEARCH_TOLERANCE)
            fits.append((wrong, over, levels, Coded(setting, stream, blocks, picture_size(small[0]))))
            return cut

        for trial in range(MAX_TRIALS):
            cut = attempt(search.best if trial == MAX_TRIALS - 1 else search.levels.copy())
            if fits[-1][0] == 0:
                break
            search.learn(np.array([sum(map(len, frames)) for frames in cut]) / room)
        if (
            min(fit[0] for fit in fits) >= 1
        ):  # the blocks pull at each other: all a little coarser, from the nearest
            nearest = min(fits, key=lambda fit: abs(fit[1]))[2]
            for coarser in COARSER:
                attempt(np.minimum(nearest + coarser, COARSEST[self.codec]))
        wrong, _, _, coded = min(fits, key=lambda fit: fit[0])
        return math.floor(wrong), coded

    def _share(self, fps: float, wire_kbps: float) -> float:
        """Wire bytes that a block may take: it leaves before the next, and within the delay."""
        return wire_kbps * 125 * min(unit_frames() / fps, serialisation_seconds(self.delay_ms, fps))

    def _room(self, share: float) -> float:
        """Coded bytes that a block of `share` wire bytes can hold."""
        data = self.rate.numerator
        while (symbol := math.floor(share * float(self.rate) / data) - HEADERS) > SYMBOL_LIMIT:
            data += self.rate.numerator
        return max(data * symbol, 16) - 0.5 * data  # packets are cut to whole bytes

    def _looks(self, pictures: list[Picture], coded: Coded) -> float:
        """How good the pictures are when nothing is lost: MS-SSIM, and a fiftieth of PSNR."""
        all_there = [np.ones(block.sent, bool) for block in coded.blocks]
        encoded = Encoded((), (), len(pictures), *picture_size(pictures[0]), coded)
        shown = self._decode(encoded, all_there, False)
        pairs = list(zip(pictures, shown, strict=True))[LOOK_EVERY // 2 :: LOOK_EVERY]
        return float(np.mean([ms_ssim(a, b) + psnr(a, b) / 50 for a, b in pairs]))

    def decode(self, encoded: Encoded, arrived: Sequence[Arrived]) -> Shown:
        """See Contestant.decode; before the first picture: grey."""
        return [self._decode(encoded, arrived, hold) for hold in (False, True)]

    def _decode(self, encoded: Encoded, arrived: Sequence[Arrived], hold: bool) -> list[Picture]:
        """`hold`: after a lost frame keep the picture until the next key frame. Either way, what leans on a lost key
        frame is not decoded: no codec makes sense of it."""
        coded = encoded.content
        assert isinstance(coded, Coded)
        step, period = coded.setting.step, coded.setting.period // coded.setting.step
        player = Player(self.codec, coded.stream)
        last: Picture = np.full((encoded.height * 3 // 2, encoded.width), 128, np.uint8)
        out: list[Picture] = []
        intact = [ok for block, kept in zip(coded.blocks, arrived, strict=True) for ok in block.intact(kept)]
        headless = damaged = False
        for index, ok in enumerate(intact):
            key = index % period == 0
            headless = not ok and index > 0 if key else headless
            damaged = not ok or (damaged and not key)
            decoded = None if headless else player.play(index, ok)
            shown = last
            if decoded is not None and ok and not (hold and damaged):
                shown = enlarged(decoded, encoded.width, encoded.height)
            out += [_between(last, shown, Fraction(i, step)) for i in range(1, step)] + [shown]
            last = shown
        return out


class Player:
    """A decoder that meets losses."""

    def __init__(self, codec: str, stream: Stream) -> None:
        self._stream = stream
        self._decoder = av.CodecContext.create(DECODERS[codec], "r")
        self._decoder.thread_count = 1
        self._decoder.options = {"flags": "low_delay+output_corrupt"}
        if stream.head:
            self._decoder.extradata = stream.head

    def play(self, index: int, arrived: bool) -> Picture | None:
        """The next picture, if the decoder gives one."""
        if arrived:
            unit = self._stream.coded[index]
        elif self._stream.repeats:
            unit = self._stream.repeats[index]
        else:
            return None
        try:
            frames = self._decoder.decode(av.Packet(unit))  # type: ignore[attr-defined]
        except av.error.FFmpegError:
            return None
        return np.asarray(frames[-1].to_ndarray(format="yuv420p"), np.uint8) if frames else None


def _between(first: Picture, second: Picture, place: Fraction) -> Picture:
    """A picture that was not coded: the two around it, mixed."""
    if first is second:
        return first
    mixed = first * np.float32(1 - place) + second * np.float32(place)
    return np.asarray(np.rint(mixed), np.uint8)
