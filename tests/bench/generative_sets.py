"""Clips that the generative bench runs on, each with its source of maps: street scenes, tables, public clips.

Every clip is played to and fro until it is as long as is asked for, so that what a stream costs at its start does not
decide; the last frames are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from common.maps.base import LabelMap, MapSource
from common.maps.legends import TABLETOP
from common.maps.networks import MatteMaps, StreetMaps
from common.tabletop.files import PICTURES, TabletopVideo, shipped, videos
from common.values import Size
from common.video import Frame, Picture, Resizer, from_planes, planes
from sender.maps.fit import fit

STREET, TABLES, CLIPS = "camvid", "tabletop", "clips"
SETS = (STREET, TABLES, CLIPS)
CHOSEN = ("foreman_square", "cups_square", "football_square", "mother-daughter_square", "bunny_square")
"""Public clips in the order in which they are taken: faces, things on a table, sport, animation."""
TAIL = 8
"""Last frames of a clip that nobody is measured by: of the pictures that peers leave out the last have none to be
mixed with."""
PAN = 32  # pixels
TRAINING = ("droid", "bgslibrary", "ask-anything", "dinet")


@dataclass(frozen=True)
class Clip:
    """Pictures to send at `fps`; those from `since` on are measured, but for the last TAIL. `maps` makes its source of
    maps, anew for each stream; `judge` names the network that finds classes in pictures: street or matte."""

    set: str
    name: str
    pictures: list[Picture]
    fps: float
    since: int
    judge: str
    maps: Callable[[], MapSource]

    @property
    def size(self) -> Size:
        """Of its pictures."""
        rows, width = self.pictures[0].shape
        return Size(width, rows * 2 // 3)

    @property
    def measured(self) -> list[Picture]:
        """What the measures see."""
        return self.pictures[self.since : -TAIL]


class Exact:
    """Maps of a rendered clip, which is played to and fro."""

    def __init__(self, maps: Sequence[LabelMap]) -> None:
        self.legend = TABLETOP
        self._maps = maps

    def map(self, frame: Frame) -> LabelMap | None:
        """See MapSource."""
        return self._maps[there_and_back(frame.index, len(self._maps))]

    def reset(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is held."""


def there_and_back(position: int, count: int) -> int:
    """Index into `count` frames that are played to and fro."""
    last = count - 1
    return last - abs(position % (2 * last) - last) if last else 0


def judge_of(name: str, size: Size) -> MapSource:
    """The network that finds classes in pictures of this size."""
    return StreetMaps(size) if name == "street" else MatteMaps(size)


def fitted(width: int, height: int, side: int) -> Size:
    """The size with a short side of `side` and both sides multiples of 32, as the decoder takes them."""
    scale = side / min(width, height)
    return Size(*(max(32, 32 * round(length * scale / 32)) for length in (width, height)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much of each set: short side, frames measured, seconds coded, clips of a set."""

    side: int = 256
    frames: int = 16
    seconds: float = 10.0
    clips: int = 2


def evaluation(name: str, data: Path, wanted: Wanted) -> Iterator[Clip]:
    """The clips of a set that nothing was trained on or tuned by."""
    if name == STREET:
        files = sorted((data / "camvid" / "val").glob("*.jpg"))
        if files:
            yield street(files, "0016E5", 15.0, wanted)
    elif name == TABLES:
        for video in shipped()[: wanted.clips]:
            yield table(video, wanted)
    else:
        paths = [data / "eval" / f"{one}.mp4" for one in CHOSEN]
        for path in [path for path in paths if path.exists()][: wanted.clips]:
            yield public(path, wanted)


def training(name: str, data: Path, wanted: Wanted, tables: Path) -> Iterator[Clip]:
    """Clips of the same kinds that the decoder has been trained on: settings are chosen by these."""
    if name == STREET:
        for path in sorted((data / "camvid" / "train").glob("*.jpg"))[:: 367 // wanted.clips + 1]:
            yield panned(path, wanted)
    elif name == TABLES:
        for video in videos(tables)[: wanted.clips]:
            yield table(video, wanted)
    else:
        found = [sorted((data / "train").glob(f"{one}*.mp4")) for one in TRAINING]
        for paths in [paths for paths in found if paths][: wanted.clips]:
            yield public(paths[0], wanted)


def street(files: Sequence[Path], name: str, fps: float, wanted: Wanted) -> Clip:
    """Pictures of a drive, cut to 4:3 less 8 lines, as the daemon's 480x352."""
    pictures, size = _images(files, wanted)
    return _clip(STREET, name, pictures, fps, "street", lambda: StreetMaps(size), wanted)


def panned(path: Path, wanted: Wanted) -> Clip:
    """A street's picture over which the camera moves: the training half has no video."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    size = fitted(frame.width, frame.height, wanted.side)
    large = Resizer(size.width + 2 * PAN, size.height + 2 * PAN).convert(frame)
    luma, *chroma = planes(large)
    pictures = []
    for shift in range(0, 2 * PAN, 2):
        parts = [luma[PAN:-PAN, shift:][:, : size.width]]
        parts += [one[PAN // 2 : -PAN // 2, shift // 2 :][:, : size.width // 2] for one in chroma]
        pictures.append(from_planes(*parts))
    return _clip(STREET, path.stem, pictures, 15.0, "street", lambda: StreetMaps(size), wanted)


def table(video: TabletopVideo, wanted: Wanted) -> Clip:
    """A rendered clip with its exact classes and instances."""
    size = Size(wanted.side, wanted.side)
    with av.open(str(video.folder / PICTURES)) as container:
        pictures = [Resizer(*_sides(size)).convert(frame) for frame in container.decode(video=0)]
    maps = [
        LabelMap(fit(classes, size), fit(ids, size).astype(np.uint16))
        for classes, ids in zip(video.classes(), video.instances(), strict=True)
    ]
    return _clip(TABLES, video.folder.name, pictures, 10.0, "matte", lambda: Exact(maps), wanted)


def public(path: Path, wanted: Wanted) -> Clip:
    """A video at about 15 frames/s; its maps are mattes."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        size = fitted(stream.width, stream.height, wanted.side)
        step = max(1, round(float(stream.average_rate or 15) / 15))
        resizer = Resizer(*_sides(size))
        pictures = [
            resizer.convert(frame)
            for index, frame in enumerate(container.decode(video=0))
            if index % step == 0
        ]
        fps = float(stream.average_rate or 15) / step
    return _clip(CLIPS, path.stem, pictures, fps, "matte", lambda: MatteMaps(size), wanted)


def _clip(
    set_: str,
    name: str,
    there: list[Picture],
    fps: float,
    judge: str,
    maps: Callable[[], MapSource],
    wanted: Wanted,
) -> Clip:
    count = max(wanted.frames + TAIL, round(wanted.seconds * fps))
    pictures = [there[there_and_back(index, len(there))] for index in range(count)]
    return Clip(set_, name, pictures, fps, count - TAIL - wanted.frames, judge, maps)


def _images(files: Sequence[Path], wanted: Wanted) -> tuple[list[Picture], Size]:
    pictures, size = [], Size(0, 0)
    for path in files:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            size = fitted(frame.width, frame.height, wanted.side)
            pictures.append(Resizer(*_sides(size)).convert(frame))
    return pictures, size


def _sides(size: Size) -> tuple[int, int]:
    return size.width, size.height
