"""Who codes the small pictures in tests.bench.texture: ours, `resilient` as it is, SVT-AV1 and x265, each in units of
as many pictures, one packet a copy, at a quarter of each side or at half.

The peers are given what they would not have for nothing: their parameter sets cost no bytes, and what lies between
coded pictures is mixed. Where they are protected every unit is sent several times, which for one packet is what an
ideal erasure code of that rate does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from common.codec import av1
from common.codec.base import Budget
from common.codec.decoder import ResilientDecoder
from common.codec.encoder import ResilientEncoder
from common.codec.header import FRAMES
from common.codec.hevc import stream as hevc
from common.codec.texture.decoder import TextureDecoder
from common.codec.texture.encoder import TextureEncoder
from common.codec.texture.header import MOST_SAMPLES
from common.codec.texture.scaling import shrink
from common.codec.weights import load_model
from common.video import Picture, picture_size
from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES

OVERHEAD = OVERHEAD_BYTES + IP_UDP_BYTES
HEADER = 6  # that a peer would need in each packet, as ours does
MAX_PAYLOAD = 1143
QUARTER, HALF = "quarter size", "half size"
COARSE, FINE = 4, 2  # sides of the pictures over those that are coded
CHAIN = 2  # units from key picture to key picture of x265

Unit = list[Picture]
Masks = Sequence[Sequence[bool]]


class Coded(Protocol):
    """A clip as one contestant has coded it."""

    sizes: list[list[int]]
    """Bytes on the wire of the packets of each unit."""

    def shown(self, masks: Masks) -> list[Picture]:
        """Small pictures, from the packets that arrived."""
        ...


@dataclass(frozen=True, slots=True)
class Got:
    """What arrived of a unit."""

    unit: int
    segments: tuple[bytes | None, ...]


@dataclass
class _Ours:
    payloads: list[list[bytes]]
    sizes: list[list[int]]
    frames: int
    decoder: Callable[[], TextureDecoder | ResilientDecoder]
    size: tuple[int, int]
    step: int = 1

    def shown(self, masks: Masks) -> list[Picture]:
        decoder, out = self.decoder(), list[Picture]()
        grey = np.full((self.size[1] * 3 // 2, self.size[0]), 128, np.uint8)
        begun = False
        for number, (payloads, mask) in enumerate(zip(self.payloads, masks, strict=True)):
            begun = begun or any(mask)
            if not begun:
                out += [grey] * self.frames
                continue
            got = Got(number, tuple(p if came else None for p, came in zip(payloads, mask, strict=True)))
            decoded = decoder.decode(got if any(mask) else None)
            if isinstance(decoder, TextureDecoder):
                small = list(decoder.small)
                while len(small) < self.frames:  # a lost unit is concealed in parts
                    decoder.decode(None)
                    small += decoder.small
                out += small[: self.frames]
            else:
                taken = [shrink(picture, *self.size) for picture in decoded.pictures]
                out += [picture for picture in taken for _ in range(self.step)]
        return out


def ours(units: Sequence[Unit], fps: float, wire: float, scale: int) -> Coded:
    """The texture codec; at a quarter where a unit of half size would be too large."""
    size = picture_size(units[0][0])
    if math.prod(smaller(size, scale)) * len(units[0]) > MOST_SAMPLES:
        scale = COARSE
    coder = TextureEncoder(*size, fps, len(units[0]), scale)
    payloads = [
        coder.encode(unit, number, Budget(wire, OVERHEAD, MAX_PAYLOAD)).payloads
        for number, unit in enumerate(units)
    ]
    return _Ours(payloads, _sizes(payloads), len(units[0]), TextureDecoder, smaller(size, scale))


def resilient(units: Sequence[Unit], fps: float, wire: float) -> Coded:
    """The profile `resilient` with four pictures of each unit; sides rounded up to what it takes."""
    size = picture_size(units[0][0])
    wide, high = (-(-side // (16 * COARSE)) * 16 for side in size)
    model, step = load_model("resilient"), len(units[0]) // FRAMES
    coder = ResilientEncoder(model.model_id, wide, high, fps / step)
    payloads = []
    for number, unit in enumerate(units):
        taken = [shrink(picture, wide, high) for picture in unit[step // 2 :: step]]
        payloads.append(coder.encode(taken, number, Budget(wire, OVERHEAD, MAX_PAYLOAD)).payloads)
    small = smaller(size, COARSE)
    return _Ours(payloads, _sizes(payloads), len(units[0]), lambda: ResilientDecoder(model), small, step)


def smaller(size: tuple[int, int], scale: int) -> tuple[int, int]:
    """(width, height) of what is coded, both even."""
    width, height = (-(-side // (2 * scale)) * 2 for side in size)
    return width, height


def _sizes(payloads: Sequence[Sequence[bytes]]) -> list[list[int]]:
    return [[len(payload) + OVERHEAD for payload in unit] for unit in payloads]


@dataclass
class _Peer:
    pictures: list[list[Picture]]  # coded ones of each unit, decoded
    keys: list[bool]
    places: list[int]
    frames: int
    sizes: list[list[int]]

    def shown(self, masks: Masks) -> list[Picture]:
        out: list[Picture] = []
        last = np.full_like(self.pictures[0][0], 128)
        whole = False
        for coded, key, mask in zip(self.pictures, self.keys, masks, strict=True):
            whole = any(mask) and (key or whole)
            if whole:
                out += mixed(coded, self.places, self.frames)
                last = out[-1]
            else:
                out += [last] * self.frames
        return out


def mixed(coded: Sequence[Picture], places: Sequence[int], frames: int) -> list[Picture]:
    """All pictures of a unit from those that were coded, at `places`."""
    stack = np.stack(coded).astype(np.float32)
    out = []
    for time in range(frames):
        after = int(np.searchsorted(places, time))
        low, high = max(0, after - 1), min(len(places) - 1, after)
        share = (time - places[low]) / (places[high] - places[low]) if high > low else 0.0
        out.append(np.rint(stack[low] + share * (stack[high] - stack[low])).astype(np.uint8))
    return out


def places(count: int, frames: int) -> list[int]:
    """Which pictures of a unit are coded."""
    return [int(frames / count * (index + 0.5)) for index in range(count)]


def svtav1(
    units: Sequence[Unit], fps: float, wire: float, count: int, copies: int, scale: int = COARSE
) -> Coded:
    """SVT-AV1: `count` pictures of each unit, which stands alone."""
    at = places(count, len(units[0]))
    room = min(MAX_PAYLOAD, wire / copies - OVERHEAD) - HEADER
    pictures, sizes = [], []
    level = 50.0
    for unit in units:
        taken = [shrink(unit[place], *smaller(picture_size(unit[0]), scale)) for place in at]
        data, level = _fit(partial(av1.encode, taken, preset=4), room, level)
        pictures.append(av1.decode(data, *picture_size(taken[0]), count))
        sizes.append([_av1_bytes(data) + HEADER + OVERHEAD] * copies)
    return _Peer(pictures, [True] * len(units), at, len(units[0]), sizes)


def _av1_bytes(data: bytes) -> int:
    return len(data) - (2 + data[1])  # without its sequence header


def _fit(code: Callable[[float], bytes], room: float, level: float) -> tuple[bytes, float]:
    low, high = av1.FINEST, av1.COARSEST
    best: bytes | None = None
    at = level
    for _ in range(7):
        data = code(at)
        if _av1_bytes(data) <= room:
            best, high, level = data, at, at
        else:
            low = at
        at = (low + high) / 2
    return (best, level) if best is not None else (code(av1.COARSEST), av1.COARSEST)


def x265(
    units: Sequence[Unit],
    fps: float,
    wire: float,
    count: int,
    copies: int,
    scale: int = COARSE,
    chain: int = CHAIN,
) -> Coded:
    """x265: `count` pictures of each unit, a key picture each `chain` units, whose others refer to the one before."""
    at = places(count, len(units[0]))
    room = min(MAX_PAYLOAD, wire / copies - OVERHEAD) - HEADER
    size = smaller(picture_size(units[0][0]), scale)
    pictures: list[list[Picture]] = []
    sizes: list[list[int]] = []
    past: list[tuple[Picture, int]] = []
    decoder = hevc.Decoder(*size)
    for number, unit in enumerate(units):
        taken = [shrink(unit[place], *size) for place in at]
        if number % chain == 0:
            past, decoder = [], hevc.Decoder(*size)
        low, high, best = hevc.FINEST, hevc.COARSEST, None
        while low <= high:
            middle = (low + high) // 2
            coded = _x265(past, taken, middle, size)
            if sum(map(_hevc_bytes, coded)) <= room or middle == hevc.COARSEST:
                best, high = (coded, middle), middle - 1
            else:
                low = middle + 1
        assert best is not None
        coded, quantiser = best
        past += [(picture, quantiser) for picture in taken]
        pictures.append([decoder.decode(part) for part in coded])
        sizes.append([sum(map(_hevc_bytes, coded)) + HEADER + OVERHEAD] * copies)
    keys = [number % chain == 0 for number in range(len(units))]
    return _Peer(pictures, keys, at, len(units[0]), sizes)


def _x265(
    past: Sequence[tuple[Picture, int]], taken: Sequence[Picture], quantiser: int, size: tuple[int, ...]
) -> list[bytes]:
    coder = hevc.Coder(size[0], size[1], "slow")
    for picture, before in past:
        coder.encode(picture, before)
    return [coder.encode(picture, quantiser) for picture in taken]


def _hevc_bytes(data: bytes) -> int:
    """Without parameter sets, in one byte a picture of length."""
    parts = [part for part in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if part]
    return 1 + sum(len(part) for part in parts if part[0] >> 1 & 63 < 32)


Code = Callable[[Sequence[Unit], float, float], Coded]


_PEERS = (
    *((COARSE, 1, 1), (COARSE, 1, 2), (COARSE, 4, 1), (COARSE, 4, 2)),
    *((FINE, 1, 1), (FINE, 4, 1)),
)  # scale, pictures of a unit that are coded, copies


def scale_of(setting: str) -> int:
    """Sides of the pictures over those that a setting codes."""
    return FINE if HALF in setting else COARSE


def contestants() -> dict[tuple[str, str], Code]:
    """By name and setting."""
    out: dict[tuple[str, str], Code] = {
        ("texture", QUARTER): partial(ours, scale=COARSE),
        ("texture", HALF): partial(ours, scale=FINE),
        ("resilient", ""): resilient,
    }
    for scale, count, copies in _PEERS:
        label = f"{count} of a unit" + (f", code 1/{copies}" if copies > 1 else "")
        label += f", {HALF}" * (scale == FINE)
        out["svtav1", label] = partial(svtav1, count=count, copies=copies, scale=scale)
        out["x265", label] = partial(x265, count=count, copies=copies, scale=scale)
    return out
