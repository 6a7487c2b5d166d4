"""Writes a scene to a folder: pictures nearly without loss, maps without, legend and facts."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from common.tabletop import files
from common.tabletop.classes import CLASSES
from common.training.tabletop.render import Picture
from common.training.tabletop.scene import TabletopScene
from common.training.tabletop.settings import Settings

LICENCE = "Apache-2.0"
_PICTURES = {"preset": "medium", "crf": "12"}
_MAPS = {"level": "3", "coder": "1", "context": "1", "slicecrc": "0"}


class _Writer:
    """One video file; bit-exact, so that the same frames give the same bytes."""

    def __init__(
        self, path: Path, codec: str, form: str, settings: Settings, options: dict[str, str]
    ) -> None:
        self._container = av.open(str(path), "w", options={"fflags": "+bitexact"})
        stream = self._container.add_stream(codec, rate=settings.fps, options=dict(options))
        assert isinstance(stream, VideoStream)
        stream.width = stream.height = settings.size
        stream.pix_fmt = form
        stream.codec_context.thread_count = 1
        if form != "gray":
            stream.codec_context.colorspace, stream.codec_context.color_range = 6, 1  # BT.601, limited
        self._stream, self._form, self._fps, self._count = stream, form, settings.fps, 0

    def __enter__(self) -> _Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def write(self, picture: Picture) -> None:
        if self._form == "gray":
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
        else:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format=self._form, dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG
            )
        frame.pts, frame.time_base = self._count, Fraction(1, self._fps)
        self._container.mux(self._stream.encode(frame))
        self._count += 1


def write_video(folder: Path, settings: Settings, number: int) -> int:
    """Render video `number` of a set into `folder` and return its size in bytes.

    The folder appears under its name when it is complete. Raises OSError, for example of a full disk.
    """
    partial = folder.with_name(folder.name + ".partial")
    for unfinished in (partial, folder):
        shutil.rmtree(unfinished, ignore_errors=True)
    partial.mkdir(parents=True)
    scene = TabletopScene(settings, number)
    maps = {**_MAPS, "g": str(scene.frame_count)}
    shown: set[int] = set()
    with (
        _Writer(
            partial / files.PICTURES, "libx264", "yuv420p", settings, _PICTURES | {"crf": str(settings.crf)}
        ) as rgb,
        _Writer(partial / files.INSTANCES, "ffv1", "gray", settings, maps) as instances,
        _Writer(partial / files.CLASSES, "ffv1", "gray", settings, maps) as classes,
    ):
        for frame in scene.frames():
            rgb.write(frame.picture)
            instances.write(frame.instances)
            classes.write(frame.classes)
            shown |= {int(value) for value in np.unique(frame.instances)}
    legend = {
        "classes": {str(entry.number): {"name": entry.name, "colour": entry.colour} for entry in CLASSES},
        "instances": {str(key): name for key, name in scene.instances.items() if key in shown},
    }
    facts = {
        "number": number,
        "frames": scene.frame_count,
        **asdict(settings),
        **scene.facts(),
        "licence": LICENCE,
        "made_by": "python -m common.training.tabletop",
    }
    (partial / files.LEGEND).write_text(json.dumps(legend, indent=1) + "\n")
    (partial / files.FACTS).write_text(json.dumps(facts, indent=1) + "\n")
    size = sum(path.stat().st_size for path in partial.iterdir())
    partial.rename(folder)
    return size
