"""One contestant sends one clip at one wire rate: a row for each loss it is put through."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from av.error import FFmpegError

from common.video import Picture, picture_size
from tests.bench.contestant import (
    RATE_TOLERANCE,
    Adaptive,
    Contestant,
    Encoded,
    Queue,
    Shown,
    unit_frames,
)
from tests.bench.erasures import Kind, LossyLink, TwoWay, evenly, seed_of, weather
from tests.bench.measures import Quality, measure
from tests.bench.quality import SMALLEST_SIDE, pictures, psnr
from tests.bench.rows import NO_FEEDBACK, Row

DECIMALS = {"psnr": 3, "ms_ssim": 4, "ssim_db": 3, "vmaf": 3, "haarpsi": 4, "frozen_share": 4}


class TrialError(RuntimeError):
    """A contestant or a clip that cannot be measured; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What all rows have in common. `limit`: at most so many frames of a clip."""

    fps: float
    delay_ms: float
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """What a clip is sent through. `rtt_ms`: of reports; without, there are none."""

    loss: float
    channel: Kind
    rtt_ms: float | None
    seed: int

    @property
    def feedback(self) -> str:
        """As a row tells it."""
        return NO_FEEDBACK if self.rtt_ms is None else f"{self.rtt_ms:g}"


@dataclass(frozen=True)
class Trial:
    """See the module."""

    who: Contestant
    clip: Path
    kbps: float
    settings: Settings
    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        return f"{self.clip.stem}, {self.who.name} {self.who.code_rate}".rstrip() + f", {self.kbps:g} kbit/s"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a clip became under one condition, in every way that a player might show it. `late`: units not sent."""

    condition: Condition
    encoded: Encoded
    ways: Shown
    late: int


def rows_of(trial: Trial) -> Iterator[Row]:
    """A row for each condition, in their order. Raises TrialError."""
    try:
        sent = read_clip(trial.clip, trial.settings.limit)
        judge = Judge(sent, trial.settings.fps)
        for outcome in outcomes(trial, sent):
            yield _row(trial, outcome, judge.best(outcome.ways))
    except (ValueError, RuntimeError, OSError, FFmpegError) as error:
        raise TrialError(f"{trial}: {error}") from error


def outcomes(trial: Trial, sent: list[Picture]) -> Iterator[Outcome]:
    """One for each condition, in their order; the clip is encoded once, unless feedback tells the encoder more."""
    encoded: Encoded | None = None
    last, ways = b"", [sent]
    for condition in trial.conditions:
        if condition.rtt_ms is not None and isinstance(trial.who, Adaptive):
            yield _converse(trial.who, trial, sent, condition)
            continue
        encoded = encoded or trial.who.encode(sent, trial.settings.fps, trial.kbps)
        path = _link(trial, condition, max(trial.kbps, _kbps(encoded, trial.settings.fps)))
        units = zip(encoded.unit_bytes, encoded.unit_packets, strict=True)
        arrived = [path.send(unit, evenly(*sizes)) for unit, sizes in enumerate(units)]
        if (fate := np.concatenate(arrived).tobytes()) != last:  # without loss all seeds are one
            last, ways = fate, trial.who.decode(encoded, arrived)
        yield Outcome(condition, encoded, ways, path.late)


def _link(trial: Trial, condition: Condition, kbps: float) -> LossyLink:
    """A contestant that cannot go down to the wire rate gets a link of the rate it needs, and a mark in its row."""
    seed = seed_of(condition.seed, condition.loss, trial.clip.stem)
    queue = Queue(trial.settings.fps, kbps, trial.settings.delay_ms)
    return LossyLink(weather(condition.channel, condition.loss, seed), queue)


def _converse(who: Adaptive, trial: Trial, sent: list[Picture], condition: Condition) -> Outcome:
    fps, rtt_ms = trial.settings.fps, condition.rtt_ms or 0.0
    forth = _link(trial, condition, trial.kbps)
    seed = seed_of(condition.seed, condition.loss, trial.clip.stem)
    back = weather(condition.channel, condition.loss, seed, back=True)
    both = TwoWay(forth, back, trial.kbps * 125 * unit_frames() / fps, rtt_ms)
    encoded, ways = who.converse(sent, fps, trial.kbps, both, rtt_ms)
    return Outcome(condition, encoded, ways, forth.late)


def _kbps(encoded: Encoded, fps: float) -> float:
    return encoded.wire_bytes * 8e-3 * fps / encoded.frames


def _row(trial: Trial, outcome: Outcome, quality: Quality) -> Row:
    condition, kbps = outcome.condition, _kbps(outcome.encoded, trial.settings.fps)
    measured: dict[str, Any] = {
        name: round(value, DECIMALS.get(name, 3)) if isinstance(value, float) else value
        for name, value in asdict(quality).items()
    }
    return Row(
        contestant=trial.who.name,
        code_rate=trial.who.code_rate,
        clip=trial.clip.stem,
        wire_kbps_target=float(trial.kbps),
        wire_kbps=round(kbps, 2),
        over_rate=kbps > RATE_TOLERANCE * trial.kbps,
        loss=float(condition.loss),
        channel=condition.channel,
        feedback=condition.feedback,
        seed=condition.seed,
        late_units=outcome.late,
        fps=trial.settings.fps,
        delay_ms=trial.settings.delay_ms,
        frames_limit=trial.settings.limit,
        **measured,
    )


class Judge:
    """Measures what was shown against one clip; what is the same to the last sample only once.

    An erasure code shows the same pictures at every loss that it withstands, so this spares most of the work."""

    def __init__(self, sent: list[Picture], fps: float) -> None:
        self._sent, self._fps = sent, fps
        self._closeness: dict[bytes, float] = {}
        self._quality: dict[bytes, Quality] = {}

    def best(self, ways: Shown) -> Quality:
        """Of the way that `chosen` takes."""
        name, way = self._choose(ways)
        if name not in self._quality:
            self._quality[name] = measure(self._sent, way, self._fps)
        return self._quality[name]

    def chosen(self, ways: Shown) -> list[Picture]:
        """The way with the best PSNR, the first of equal ones."""
        return self._choose(ways)[1]

    def _choose(self, ways: Shown) -> tuple[bytes, list[Picture]]:
        distinct: dict[bytes, list[Picture]] = {}
        for way in ways:
            distinct.setdefault(_digest(way), way)
        if len(distinct) == 1:
            return next(iter(distinct.items()))
        return max(distinct.items(), key=lambda item: self._psnr(*item))

    def _psnr(self, name: bytes, way: list[Picture]) -> float:
        if name not in self._closeness:
            pairs = zip(self._sent, way, strict=True)
            self._closeness[name] = float(np.mean([psnr(a, b) for a, b in pairs]))
        return self._closeness[name]


def _digest(way: list[Picture]) -> bytes:
    state = hashlib.blake2b(digest_size=16)
    for picture in way:
        state.update(np.ascontiguousarray(picture).data)
    return state.digest()


@lru_cache(maxsize=2)
def read_clip(path: Path, limit: int | None = None) -> list[Picture]:
    """The first pictures of a clip in whole units. Raises ValueError where it cannot be read or measured."""
    try:
        sent = list(islice(pictures(path), limit))
    except (FFmpegError, LookupError) as error:
        raise ValueError(f"{path} cannot be read as a video ({error})") from error
    sent = sent[: len(sent) // unit_frames() * unit_frames()]
    if not sent:
        raise ValueError(f"shorter than the {unit_frames()} frames of one unit")
    if min(picture_size(sent[0])) < SMALLEST_SIDE:
        width, height = picture_size(sent[0])
        raise ValueError(f"{width}x{height} is too small: MS-SSIM needs {SMALLEST_SIDE} pixels a side")
    return sent
