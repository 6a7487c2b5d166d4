"""Folders of tabletop videos: what lies in them and how it is read.

One folder a video, as `python -m common.training.tabletop` writes it; the shipped ones are in `CLIPS`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

CLIPS = Path(__file__).parent / "clips"
PICTURES, INSTANCES, CLASSES = "rgb.mp4", "instances.mkv", "classes.mkv"
LEGEND, FACTS = "classes.json", "meta.json"


class VideoError(ValueError):
    """A file of a video is missing, or not what it should be."""


@dataclass(frozen=True, slots=True)
class TabletopVideo:
    """One video of a folder. Its iterators read from the first frame and raise VideoError."""

    folder: Path

    def pictures(self) -> Iterator[Picture]:
        """(S, S, 3) sRGB, as decoded from what was stored nearly without loss."""
        return _frames(self.folder / PICTURES, "rgb24")

    def instances(self) -> Iterator[Picture]:
        """(S, S) exact: 0 the table, else the object's number in `legend`."""
        return _frames(self.folder / INSTANCES, "gray")

    def classes(self) -> Iterator[Picture]:
        """(S, S) exact: 0 the table, else a number of common.tabletop.classes.CLASSES."""
        return _frames(self.folder / CLASSES, "gray")

    def legend(self) -> dict[int, str]:
        """Class names of the instances, by number."""
        path = self.folder / LEGEND
        try:
            return {
                int(number): str(name) for number, name in json.loads(path.read_text())["instances"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise VideoError(f"{path}: no legend of a tabletop video: {error}") from None


def shipped() -> list[TabletopVideo]:
    """The clips that come with the project, in order."""
    return videos(CLIPS)


def videos(folder: Path) -> list[TabletopVideo]:
    """All complete videos of a set, in order."""
    return [TabletopVideo(path.parent) for path in sorted(folder.glob(f"*/{FACTS}"))]


def _frames(path: Path, form: str) -> Iterator[Picture]:
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format=form).astype(np.uint8, copy=False)
    except (av.FFmpegError, OSError, IndexError) as error:
        raise VideoError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
