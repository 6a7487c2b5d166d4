"""Maps that the user has in files: a video, or a sequence of images, played in step with the source.

The time of a frame is its number at the source divided by the session's frame rate, which is where a recording is
too. Maps of another size are brought to the frame's just as the source's pictures are.
"""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from common.maps.base import LabelMap
from common.service import EX_NOINPUT, ServiceError
from common.values import Size
from common.video import Frame
from sender.capture.file import explain
from sender.capture.playback import ROUNDING, NoPictures, Playback
from sender.capture.playlist import ListError, is_pattern, natural, read_entries
from sender.maps.decode import LabelReader
from sender.maps.fit import fit
from sender.maps.legend import Coding

IMAGES = (".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".pgm", ".ppm")
MAX_IMAGES = 1_000_000
_NUMBER = re.compile(r"%(?:0\d+)?d")

Labels = NDArray[np.uint8]


class MapFileError(ServiceError):
    """There are no such maps, or they cannot be read; the daemon ends with exit code 66."""

    def __init__(self, path: str, reason: object) -> None:
        super().__init__(f"maps: cannot read {path}: {reason}", EX_NOINPUT)


class SequenceMaps:
    """An image a map, in the order of their numbers, again and again."""

    def __init__(self, spec: str, coding: Coding, size: Size, session_fps: float, fps: float | None) -> None:
        """`fps`: maps a second, one a frame where None. Raises MapFileError; the first image is read."""
        self.legend = coding.legend
        self._paths = list_images(spec)
        self._size, self._session_fps = size, session_fps
        self._fps = session_fps if fps is None else fps
        self._reader = LabelReader(coding)
        self._shown: tuple[int, LabelMap] | None = None
        try:
            self._at(0)
        except ValueError as error:
            raise MapFileError(spec, error) from None

    def map(self, frame: Frame) -> LabelMap | None:
        """See MapSource."""
        return self._at(int((frame.index / self._session_fps + ROUNDING) * self._fps) % len(self._paths))

    def _at(self, number: int) -> LabelMap:
        if self._shown is None or self._shown[0] != number:
            path = self._paths[number]
            try:
                labels = self._reader.labels(_image(path))
            except (av.FFmpegError, OSError, ValueError, StopIteration, IndexError) as error:
                raise ValueError(f"{path}: {_reason(error)}") from None
            self._shown = number, LabelMap(fit(labels, self._size))
        return self._shown[1]

    def reset(self) -> None:
        """Nothing is kept: the number of the frame says which map it is."""

    def close(self) -> None:
        """Nothing is held."""


class VideoMaps:
    """A video of maps, again and again."""

    def __init__(self, path: str, coding: Coding, size: Size, session_fps: float) -> None:
        """Raises MapFileError; the first map is read."""
        self.legend = coding.legend
        self._path, self._size, self._fps = path, size, session_fps
        self._reader = LabelReader(coding)
        self._playback: Playback | None = None
        self._last = 0.0
        self._shown: tuple[av.VideoFrame, LabelMap] | None = None
        try:
            self._at(0.0)
        except ValueError as error:
            self.close()
            raise MapFileError(path, error) from None

    def map(self, frame: Frame) -> LabelMap | None:
        """See MapSource."""
        return self._at(frame.index / self._fps)

    def _at(self, seconds: float) -> LabelMap:
        try:
            if self._playback is None or seconds < self._last:
                self.close()
                self._playback = Playback(self._path, self._size, loop=True)
            self._last = seconds
            found = self._playback.frame_at(seconds)
        except (av.FFmpegError, NoPictures, OSError, ValueError) as error:
            self.close()
            raise ValueError(f"{explain(error)}") from None
        if found is None:
            raise ValueError("it holds no pictures")
        if self._shown is None or self._shown[0] is not found:
            self._shown = found, LabelMap(fit(self._reader.labels(found), self._size))
        return self._shown[1]

    def reset(self) -> None:
        """Nothing to forget: the number of the frame says which map it is."""

    def close(self) -> None:
        """See MapSource."""
        if self._playback is not None:
            self._playback.close()
            self._playback = None


def is_images(spec: str) -> bool:
    """Whether it names images and not a video: a pattern, a folder, an image."""
    path = Path(spec)
    return (
        bool(_NUMBER.search(path.name)) or is_pattern(spec) or path.is_dir() or path.suffix.lower() in IMAGES
    )


def list_images(spec: str) -> list[Path]:
    """The images that `maps/%06d.png`, `'maps/*.png'`, a folder or a path names, in order. Raises MapFileError."""
    path = Path(spec)
    try:
        if _NUMBER.search(path.name) and not path.exists():
            found = _numbered(path)
        elif path.is_dir():
            found = sorted(
                (one for one in path.iterdir() if one.suffix.lower() in IMAGES),
                key=lambda one: natural(one.name),
            )
        elif is_pattern(spec):
            found = [Path(name) for name in read_entries(spec)]
        else:
            found = [path]
    except (OSError, ListError, ValueError) as error:
        raise MapFileError(spec, explain(error)) from None
    if not found:
        raise MapFileError(spec, "no image matches; give maps/%06d.png, 'maps/*.png' or a folder of PNGs")
    return found[:MAX_IMAGES]


def _numbered(path: Path) -> list[Path]:
    """What lies there under names like `%06d.png`, by number, from whichever it begins with."""
    pieces = _NUMBER.split(path.name)
    if len(pieces) != 2:
        raise ValueError("the name can hold one number (%06d)")
    width = re.search(r"%0(\d+)d", path.name)
    number = rf"(\d{{{int(width[1])},}})" if width else r"(\d+)"
    name = re.compile(re.escape(pieces[0]) + number + re.escape(pieces[1]))
    found = [(int(match[1]), one) for one in path.parent.iterdir() if (match := name.fullmatch(one.name))]
    return [one for _, one in sorted(found)]


def _image(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def _reason(error: BaseException) -> str:
    return "it holds no picture" if isinstance(error, StopIteration | IndexError) else explain(error)
