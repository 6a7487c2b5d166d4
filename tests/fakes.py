"""Stand-ins for tests: a clock moved by hand, and a codec without networks.

The fake codec sends the mean luma of every 16x16 block of every frame, cut into segments by the project's own
interleaver, so any subset of its payloads decodes, as with the real one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from common.codec.base import (
    IMAGINED,
    RECEIVED,
    RECOVERED,
    Budget,
    CodecError,
    DecodedUnit,
    EncodedUnit,
    Segments,
    StreamInfo,
)
from common.video import Picture, blank, picture_size
from proto.interleaver import loss_mask, segment_positions

FRAMES = 4
BLOCK = 16
PROFILE = "fake"
_HEADER = struct.Struct("!4sHHHBBBI")  # magic, width, height, fps in 1/100, frames, index, count, seed
_MAGIC = b"fake"


class ManualClock:
    """A clock that only moves when told to: call it for the time, `advance` to move it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Go on by `seconds`; return the new time."""
        self.now += seconds
        return self.now


class FakeEncoder:
    """A UnitEncoder. Remembers the budgets it was given."""

    def __init__(
        self, width: int, height: int, fps: float, frames_per_unit: int = FRAMES, segments: int = 4
    ) -> None:
        self._info = StreamInfo(PROFILE, width, height, fps, frames_per_unit)
        self._segments = segments
        self.budgets: list[Budget] = []

    @property
    def frames_per_unit(self) -> int:
        """How many pictures `encode` takes."""
        return self._info.frames_per_unit

    def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
        """The block means of the pictures as `segments` payloads (more when they would not fit)."""
        info = self._info
        if len(pictures) != info.frames_per_unit:
            raise ValueError(f"pictures: {info.frames_per_unit} make a unit (got {len(pictures)})")
        self.budgets.append(budget)
        values = np.concatenate([_means(picture).reshape(-1) for picture in pictures])
        room = budget.max_payload - _HEADER.size
        count = max(self._segments, -(-values.size // room))
        seed = unit & 0xFFFFFFFF
        payloads = []
        for index in range(count):
            fps = round(info.fps * 100)
            head = _HEADER.pack(
                _MAGIC, info.width, info.height, fps, info.frames_per_unit, index, count, seed
            )
            payloads.append(head + values[segment_positions(values.size, count, index, seed)].tobytes())
        wire = sum(len(payload) + budget.packet_overhead for payload in payloads)
        return EncodedUnit(payloads, quality=1, wire_bytes=wire, stages={"encode": 0.001})

    def report(self, unit: int, arrived: Sequence[bool] | None) -> None:
        """Units stand alone whatever arrived."""


class FakeDecoder:
    """A UnitDecoder: what did not arrive keeps the value of the unit before."""

    def __init__(self) -> None:
        self._info: StreamInfo | None = None
        self._values: npt.NDArray[np.uint8] = np.zeros(0, np.uint8)

    def decode(self, received: Segments | None) -> DecodedUnit:
        """See UnitDecoder. Raises CodecError for damaged payloads, or None before the first unit."""
        present = [] if received is None else [part for part in received.segments if part is not None]
        if present:
            self._info = fake_describe(present[0])
        info = self._info
        if info is None:
            raise CodecError("nothing arrived yet")
        blocks = (info.height // BLOCK, info.width // BLOCK)
        total = info.frames_per_unit * blocks[0] * blocks[1]
        if self._values.size != total:
            self._values = np.full(total, 128, np.uint8)
        mask = np.zeros(total, np.bool_)
        if received is not None and present:
            count, seed = _HEADER.unpack_from(present[0])[6:]
            if count != len(received.segments):
                raise CodecError(f"count: {count} contradicts {len(received.segments)} segments")
            arrived = [part is not None for part in received.segments]
            mask = loss_mask(total, count, arrived, seed)
            for index, part in enumerate(received.segments):
                if part is not None:
                    where = segment_positions(total, count, index, seed)
                    self._values[where] = _body(part, where.size)
        frames = self._values.reshape(info.frames_per_unit, *blocks)
        held = mask.reshape(frames.shape)
        trust = np.where(held.all(0), RECEIVED, np.where(held.any(0), RECOVERED, IMAGINED)).astype(np.uint8)
        pictures = [_picture(means) for means in frames]
        stages = {"parse": 0.0005, "recover": 0.001, "decode": 0.002}
        return DecodedUnit(pictures, trust, int(mask.sum()), total, info.fps, 1, stages)


def fake_describe(payload: bytes) -> StreamInfo:
    """Geometry of a fake payload, as common.codec.registry.describe gives it. Raises CodecError."""
    if len(payload) < _HEADER.size:
        raise CodecError(f"payload: {len(payload)} bytes are no header")
    magic, width, height, fps, frames, index, count, _ = _HEADER.unpack_from(payload)
    if magic != _MAGIC or not width or not height or width % BLOCK or height % BLOCK:
        raise CodecError("payload: not of the fake codec")
    if not (fps and frames and index < count):
        raise CodecError("payload: header out of range")
    return StreamInfo(PROFILE, width, height, fps / 100, frames)


def _body(payload: bytes, size: int) -> npt.NDArray[np.uint8]:
    body = np.frombuffer(payload, np.uint8, offset=_HEADER.size)
    if body.size != size:
        raise CodecError(f"payload: {body.size} values instead of {size}")
    return body


def _means(picture: Picture) -> npt.NDArray[np.uint8]:
    width, height = picture_size(picture)
    luma = picture[:height].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    means: npt.NDArray[np.uint8] = luma.mean(axis=(1, 3)).round().astype(np.uint8)
    return means


def _picture(means: npt.NDArray[np.uint8]) -> Picture:
    height, width = means.shape[0] * BLOCK, means.shape[1] * BLOCK
    picture = blank(width, height)
    picture[:height] = means.repeat(BLOCK, 0).repeat(BLOCK, 1)
    return picture
