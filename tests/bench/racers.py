"""Who races in the speed benchmark: our codec on one backend, and ordinary encoders on one thread; lap by lap.

A lap is one access unit, encoded and decoded. All racers of one size live in one process and take turns, so that the
noise of the machine meets all of them; what counts is the ratio of their times.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol, TypeVar

import av
import numpy as np

from common.codec.base import Budget
from common.codec.effort import Effort
from common.codec.registry import NEURAL, create_decoder, create_encoder
from common.runtime.base import BACKENDS
from common.values import Size
from common.video import Picture, to_video_frame
from proto.wire import IP_UDP_BYTES, MAX_DATAGRAM, OVERHEAD_BYTES, max_payload
from tests.bench.contestant import unit_frames

Result = TypeVar("Result")

BASE_KBPS, BASE_PIXELS = 60.0, 256 * 256
PEERS = ("x265", "svtav1")
NEEDS = {"torch": ("torch", "safetensors")}  # what a backend imports beyond the package of its name
MEMORY_LAPS = 3

ENCODERS = {"x265": "libx265", "svtav1": "libsvtav1"}
DECODERS = {"x265": "hevc", "svtav1": "libdav1d"}
OPTIONS = {
    "x265": {
        "preset": "medium",
        "tune": "zerolatency",
        "x265-params": "log-level=none:info=0:pools=none:frame-threads=1:keyint=-1",
    },
    "svtav1": {"preset": "8", "svtav1-params": "pred-struct=1:lp=1:rc=2:keyint=-1"},
}


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one step: on the wall clock, and of the processor in all threads of the process together."""

    wall: float
    processor: float


@dataclass(frozen=True, slots=True)
class Lap:
    """One unit of `frames` pictures. `stages`: seconds of parts, for example "encode: network"."""

    frames: int
    encode: Cost
    decode: Cost
    wire_bytes: int
    stages: dict[str, float]


class Racer(Protocol):
    """Encodes and decodes unit after unit of one video."""

    def lap(self, unit: int, video: Sequence[Picture]) -> Lap:
        """Unit number `unit` of the video, which starts again at its end."""
        ...

    def close(self) -> None:
        """After the last lap."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """Who takes part: a profile on a backend, or a peer (no backend)."""

    name: str
    backend: str
    threads: int

    def __str__(self) -> str:
        return " ".join(filter(None, (self.name, self.backend, f"x{self.threads}")))

    def racer(self, size: Size, fps: float) -> Racer:
        """Ready to start. Raises BackendError, WeightsError, ValueError."""
        return Ours(self, size, fps) if self.backend else Peer(self.name, size, fps)


def installed_backends() -> list[str]:
    """The backends that can be loaded here."""
    return [b for b in BACKENDS if all(find_spec(package) for package in NEEDS.get(b, (b,)))]


def entries(threads: Sequence[int]) -> list[Entry]:
    """Every profile on every backend at each number of threads, then the peers."""
    ours = [Entry(p, b, n) for p in NEURAL for b in installed_backends() for n in threads]
    return ours + [Entry(peer, "", 1) for peer in PEERS]


def kbps_of(size: Size) -> float:
    """The bit rate at which all race: the same for each pixel at every size."""
    return BASE_KBPS * size.width * size.height / BASE_PIXELS


def costed(step: Callable[[], Result]) -> tuple[Result, Cost]:
    """What a step gives, and what it costs."""
    wall, processor = time.perf_counter(), time.process_time()
    result = step()
    return result, Cost(time.perf_counter() - wall, time.process_time() - processor)


class Ours:
    """A profile of ours. The decoder gets every second packet."""

    def __init__(self, entry: Entry, size: Size, fps: float) -> None:
        self._entry = entry
        self._set_threads()
        self._encoder = create_encoder(
            entry.name, size.width, size.height, fps, Effort(threads=entry.threads)
        )
        self._decoder = create_decoder(entry.name, entry.backend, entry.threads)
        seconds = self._encoder.frames_per_unit / fps
        overhead = OVERHEAD_BYTES + IP_UDP_BYTES
        self._budget = Budget(kbps_of(size) * 1000 / 8 * seconds, overhead, max_payload(MAX_DATAGRAM))

    def lap(self, unit: int, video: Sequence[Picture]) -> Lap:
        """See Racer.lap."""
        self._set_threads()
        pictures = _unit(video, unit, self._encoder.frames_per_unit)
        encoded, encode = costed(lambda: self._encoder.encode(pictures, unit, self._budget))
        received = SimpleNamespace(unit=unit, segments=every_second(encoded.payloads))
        decoded, decode = costed(lambda: self._decoder.decode(received))
        stages = {f"encode: {name}": seconds for name, seconds in encoded.stages.items()}
        stages |= {f"decode: {name}": seconds for name, seconds in decoded.stages.items()}
        return Lap(len(pictures), encode, decode, encoded.wire_bytes, stages)

    def close(self) -> None:
        """See Racer.close."""

    def _set_threads(self) -> None:
        """torch has one number of threads for the whole process, not one for each network."""
        if self._entry.backend == "torch":
            import torch

            torch.set_num_threads(self._entry.threads)


class Peer:
    """x265 or SVT-AV1 on one thread, without delay, and FFmpeg's decoder for it. Nothing is lost on the way."""

    def __init__(self, name: str, size: Size, fps: float) -> None:
        os.environ.setdefault("SVT_LOG", "1")  # errors alone; SVT-AV1 prints its settings otherwise
        encoder = av.CodecContext.create(ENCODERS[name], "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt = size.width, size.height, "yuv420p"
        encoder.framerate = Fraction(fps).limit_denominator(1000)
        encoder.time_base = 1 / encoder.framerate
        encoder.bit_rate = round(1000 * kbps_of(size))
        encoder.options = OPTIONS[name]
        decoder = av.CodecContext.create(DECODERS[name], "r")
        assert isinstance(decoder, av.VideoCodecContext)
        encoder.thread_count = decoder.thread_count = 1
        self._encoder, self._decoder, self._sent = encoder, decoder, 0

    def lap(self, unit: int, video: Sequence[Picture]) -> Lap:
        """See Racer.lap. Both encoders hand out a picture's packet before they take the next picture, so nothing of
        a lap is left over for another's."""
        pictures = _unit(video, unit, unit_frames())
        frames = [to_video_frame(p, self._sent + k) for k, p in enumerate(pictures)]
        self._sent += len(frames)
        packets, encode = costed(lambda: [p for frame in frames for p in self._encoder.encode(frame)])
        shown, decode = costed(lambda: [f for packet in packets for f in self._decoder.decode(packet)])
        if len(packets) != len(frames) or len(shown) != len(frames):
            raise RuntimeError(
                f"{len(frames)} pictures made {len(packets)} packets and {len(shown)} pictures"
            )
        return Lap(len(frames), encode, decode, sum(p.size for p in packets), {})

    def close(self) -> None:
        """See Racer.close. SVT-AV1 complains when it is not told of the end."""
        self._encoder.encode(None)


def memory_mib(entry: Entry, size: Size, fps: float) -> float:
    """By how much loading encoder and decoder and running them makes a process of their own grow, at its peak, in MiB;
    the backend's library included. Raises what the racer raises."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_growth, entry, size, fps).result()


def _growth(entry: Entry, size: Size, fps: float) -> float:
    """The pictures are noise: a scene would need memory itself."""
    rng = np.random.default_rng(1)
    video = list(rng.integers(16, 236, (unit_frames(), size.height * 3 // 2, size.width), np.uint8))
    before = _resident("VmRSS")
    racer = entry.racer(size, fps)
    for unit in range(MEMORY_LAPS):
        racer.lap(unit, video)
    racer.close()
    return max(0.0, _resident("VmHWM") - before)


def _resident(field: str) -> float:
    """MiB of this process, now (VmRSS) or at its peak (VmHWM). getrusage() would not do: there a new process starts
    with the peak of the one that started it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def every_second(payloads: Sequence[bytes]) -> tuple[bytes | None, ...]:
    """The rest is lost."""
    return tuple(payload if k % 2 == 0 else None for k, payload in enumerate(payloads))


def _unit(video: Sequence[Picture], unit: int, frames: int) -> list[Picture]:
    return [video[(unit * frames + k) % len(video)] for k in range(frames)]
