"""What the stages train on: pictures of all sources at one scale, with their maps, as memory-mapped arrays.

A folder holds, for each source NAME, `NAME.frames.npy` (N, H, W, 3) RGB, `NAME.labels.npy` (N, H, W) in the label
space of common.models.diffusion.vocabulary where there are maps, and `NAME.json`, the facts. Sides are multiples of 16.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from common.maps.base import VOID
from common.models.diffusion import vocabulary
from common.tabletop import files as tabletop
from common.training.data import load_clips

log = logging.getLogger("corpus")

Pictures = NDArray[np.uint8]  # (N, H, W, 3)
Labels = NDArray[np.uint8]  # (N, H, W)

FPS = 10.0
SIDE = 256  # largest short side
WIDEST = 384
UNIT = 16


class CorpusError(ValueError):
    """The corpus lacks what is asked of it; the message says what."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source is. `still`: its pictures do not follow each other."""

    kind: str
    still: bool
    fps: float


@dataclass(frozen=True, slots=True)
class Source:
    """One source of the folder, opened."""

    name: str
    facts: Facts
    frames: Pictures
    labels: Labels | None


def write(
    folder: Path, name: str, facts: Facts, frames: list[NDArray[np.uint8]], labels: list[NDArray[np.uint8]]
) -> None:
    """Store a source; the facts last, so that what is there is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    _store(folder / f"{name}.frames.npy", np.stack(frames))
    if labels:
        _store(folder / f"{name}.labels.npy", np.stack(labels))
    (folder / f"{name}.json").write_text(json.dumps(asdict(facts)) + "\n")


def add_labels(folder: Path, name: str, labels: Labels) -> None:
    """Maps of a source that is there without."""
    _store(folder / f"{name}.labels.npy", labels)


def _store(path: Path, values: NDArray[np.uint8]) -> None:
    partial = path.with_name(path.stem + ".partial.npy")
    np.save(partial, values)
    partial.replace(path)


def read(folder: Path) -> list[Source]:
    """All sources, in order of their names. Raises FileNotFoundError where there are none."""
    sources = []
    for path in sorted(folder.glob("*.json")):
        name = path.stem
        facts = Facts(**json.loads(path.read_text()))
        labels = folder / f"{name}.labels.npy"
        sources.append(
            Source(
                name,
                facts,
                np.load(folder / f"{name}.frames.npy", mmap_mode="r"),
                np.load(labels, mmap_mode="r") if labels.exists() else None,
            )
        )
    if not sources:
        raise FileNotFoundError(
            f"{folder}: no sources; make them with `data` and --clips, --camvid or --tabletop"
        )
    return sources


def fitted(picture: NDArray[np.uint8], exact: bool = False) -> NDArray[np.uint8]:
    """(H, W[, 3]) scaled down to SIDE where it is larger, its middle cut to whole units; `exact`: labels."""
    height, width = picture.shape[:2]
    if min(height, width) > SIDE:
        scale = SIDE / min(height, width)
        size = round(width * scale), round(height * scale)
        how = cv2.INTER_NEAREST if exact else cv2.INTER_AREA
        picture = np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)
        height, width = picture.shape[:2]
    high, wide = (min(side, WIDEST) // UNIT * UNIT for side in (height, width))
    top, left = (height - high) // 2, (width - wide) // 2
    return np.ascontiguousarray(picture[top : top + high, left : left + wide])


def add_clips(folder: Path, clips: Path, decoded: Path, longest: dict[str, int]) -> None:
    """Video files, at FPS; `decoded`: where load_clips keeps their frames; `longest`: frames of a clip by prefix."""
    for name, rate, frames in load_clips(clips, decoded):
        if (folder / f"{name}.json").exists():
            continue
        most = next((count for prefix, count in longest.items() if name.startswith(prefix)), longest[""])
        stride = max(1.0, rate / FPS)
        count = min(most, int((frames.shape[0] - 1) / stride) + 1)
        if count < 4:
            continue
        rows = [fitted(_rgb(frames[round(k * stride)])) for k in range(count)]
        write(folder, name, Facts("clip", False, min(rate, FPS)), rows, [])


def _rgb(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_YUV2RGB_I420), np.uint8)


def add_street(folder: Path, camvid: Path) -> None:
    """CamVid's training frames with their maps, one source a size (they are a second apart). Raises
    FileNotFoundError."""
    if (folder / "street-camvid.json").exists():
        return
    for name in ("train", "trainannot"):
        if not (camvid / name).is_dir():
            raise FileNotFoundError(f"{camvid}: no CamVid, its folder {name} is missing")
    frames, labels = [], []
    for path in sorted((camvid / "train").iterdir()):
        with av.open(str(path)) as container:
            frames.append(fitted(next(container.decode(video=0)).to_ndarray(format="rgb24").astype(np.uint8)))
        drawn = cv2.imread(str(camvid / "trainannot" / f"{path.stem}.png"), cv2.IMREAD_UNCHANGED)
        if drawn is None:
            raise FileNotFoundError(f"{camvid / 'trainannot'}: no map of {path.stem}")
        drawn = fitted(np.asarray(drawn, np.uint8), exact=True)
        labels.append(
            np.where(drawn < len(vocabulary.STREET_NAMES), drawn + vocabulary.STREET, VOID).astype(np.uint8)
        )
    write(folder, "street-camvid", Facts("street", True, 1.0), frames, labels)


def add_tabletop(folder: Path, videos: Path) -> int:
    """Every whole video of a set that is not there yet; how many were added. Raises FileNotFoundError where there is
    no video, VideoError for one that cannot be read, CorpusError for one with more pictures than maps or fewer."""
    added, found = 0, tabletop.videos(videos)
    if not found:
        raise FileNotFoundError(f"{videos}: no tabletop videos; make them with common.training.tabletop")
    for video in found:
        name = f"tabletop-{video.folder.name}"
        if (folder / f"{name}.json").exists():
            continue
        frames = [fitted(picture) for picture in video.pictures()]
        labels = [fitted(drawn, exact=True) + np.uint8(vocabulary.OBJECTS) for drawn in video.classes()]
        if len(labels) != len(frames):
            raise CorpusError(
                f"{video.folder}: {len(frames)} pictures and {len(labels)} maps; remove it and render it again"
            )
        write(folder, name, Facts("tabletop", False, FPS), frames, labels)
        added += 1
    return added


def kinds(sources: list[Source]) -> Iterator[tuple[str, int, int]]:
    """(kind, sources, pictures) of each kind."""
    for kind in sorted({source.facts.kind for source in sources}):
        own = [source for source in sources if source.facts.kind == kind]
        yield kind, len(own), sum(source.frames.shape[0] for source in own)
