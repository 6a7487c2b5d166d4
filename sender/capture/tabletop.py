"""The rendered tabletop clips that come with the project, as a source: needs no camera, and has exact maps."""

from __future__ import annotations

from dataclasses import replace

from common.tabletop.files import PICTURES, shipped
from sender.capture.base import CaptureOptions, SourceError
from sender.capture.file import FileSource

NAME = "tabletop"
FPS = 10
"""Frames a second of the clips."""


class TabletopSource(FileSource):
    """`--source tabletop` or `--source tabletop:NUMBER`. Plays one clip of 10 frames a second again and again."""

    def __init__(self, source: str, options: CaptureOptions) -> None:
        number, clips = source.partition(":")[2] or "0", shipped()
        if not clips:
            raise SourceError(f"source: {source}: the clips are not installed")
        if not number.isdecimal() or int(number) >= len(clips):
            raise SourceError(
                f"source: {source}: the number must be 0 to {len(clips) - 1}, for example tabletop:1"
            )
        self.video = clips[int(number)]
        """The clip, with its maps."""
        super().__init__(str(self.video.folder / PICTURES), replace(options, loop=True))
        self.name = source
