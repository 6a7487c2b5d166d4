"""Label maps that the structure bench runs on: CamVid, DAVIS masks, tabletop clips, any folder of index PNGs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common.maps.base import LabelMap
from common.tabletop.classes import CLASSES
from common.tabletop.files import TabletopVideo, shipped

Labels = NDArray[np.uint8]

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
CAMVID_CLASSES = 11  # and void, which is label 11
DAVIS_MAPS = 48


@dataclass(frozen=True)
class Sequence:
    """Consecutive maps (H, W) of one scene, and the instances in them where the source tells."""

    name: str
    maps: list[Labels]
    instances: list[NDArray[np.uint16]] | None = None

    def given(self, start: int, end: int) -> list[LabelMap]:
        """Some of its maps, as a source of maps gives them."""
        ids = self.instances[start:end] if self.instances else [None] * len(self.maps[start:end])
        return [LabelMap(labels, one) for labels, one in zip(self.maps[start:end], ids, strict=True)]


@dataclass(frozen=True)
class MapSet:
    """Sequences with one set of classes; frames a second are what the rates in kbit/s are told for."""

    name: str
    sequences: list[Sequence]
    classes: int
    void: int | None
    fps: float

    @property
    def frames(self) -> int:
        """Of all sequences."""
        return sum(len(one.maps) for one in self.sequences)

    @property
    def pixels(self) -> int:
        """Of all frames."""
        return sum(len(one.maps) * one.maps[0].size for one in self.sequences)


def camvid(data: Path = DATA, most: int | None = None) -> MapSet:
    """Labels of CamVid val: 101 consecutive frames, every second of a video at 30 frames/s."""
    maps = read(data / "camvid" / "valannot", most)
    return MapSet("camvid", [Sequence("0016E5", maps)], CAMVID_CLASSES, CAMVID_CLASSES, 15.0)


def davis(data: Path = DATA, most: int | None = None, first: int = 1) -> MapSet:
    """Every second DAVIS sequence, DAVIS_MAPS of each: from 1 on those that nothing was tuned on; one object over a
    background."""
    folders = sorted(path for path in (data / "davis-masks").iterdir() if path.is_dir())[first::2]
    sequences = [
        Sequence(path.name, [(one > 0).astype(np.uint8) for one in read(path, most or DAVIS_MAPS)])
        for path in folders
    ]
    return MapSet("davis", sequences, 2, None, 24.0)


def tabletop(most: int | None = None, clips: list[TabletopVideo] | None = None) -> MapSet:
    """Class maps of the clips that come with the project (or others like them): 512x512, the table a class."""
    sequences = [
        Sequence(
            clip.folder.name,
            list(islice(clip.classes(), most)),
            [one.astype(np.uint16) for one in islice(clip.instances(), most)],
        )
        for clip in (shipped() if clips is None else clips)
    ]
    return MapSet("tabletop", sequences, len(CLASSES), None, 10.0)


def folder(path: Path, most: int | None = None, fps: float = 10.0) -> MapSet:
    """Index PNGs of a folder as one sequence, or of each of its folders as one; 255 is void."""
    folders = sorted(one for one in path.glob("*/")) or [path]
    sequences = [Sequence(one.name, maps) for one in folders if (maps := read(one, most))]
    if not sequences:
        raise SystemExit(f"{path}: no PNGs; give a folder of label maps, or of folders of them")
    labels = np.unique(np.concatenate([np.unique(maps) for one in sequences for maps in one.maps]))
    void = 255 if 255 in labels else None
    return MapSet(path.name, sequences, int(labels[labels < 255].max()) + 1, void, fps)


def lasting(maps: MapSet, seconds: float, most: int) -> MapSet:
    """The first sequences, played to and fro until each lasts `seconds`, for at most `most` maps in all (one sequence
    at the least)."""
    sequences, total = list[Sequence](), 0
    for one in maps.sequences:
        count = max(len(one.maps), math.ceil(seconds * maps.fps))
        if sequences and total + count > most:
            break
        total += count
        last = len(one.maps) - 1
        order = [last - abs(k % (2 * last) - last) if last else 0 for k in range(count)]
        ids = [one.instances[k] for k in order] if one.instances else None
        sequences.append(Sequence(one.name, [one.maps[k] for k in order], ids))
    return replace(maps, sequences=sequences)


def sequences_of(maps: dict[str, list[Labels]]) -> list[Sequence]:
    """Sequences by name."""
    return [Sequence(name, frames) for name, frames in maps.items()]


def read(path: Path, most: int | None) -> list[Labels]:
    """The maps in a folder, in the order of their names, at most so many."""
    files = sorted(path.glob("*.png"))[:most]
    if not files and not any(path.glob("*/")):
        raise SystemExit(f"{path}: no PNGs; say where the data are with --data")
    out = []
    for file in files:
        found = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if found is None or found.ndim != 2 or found.dtype != np.uint8:
            raise SystemExit(f"{file}: must be an 8-bit PNG of one channel")
        out.append(np.asarray(found, np.uint8))
    return out
