"""The procedural scene as a source: needs no camera and no file, and is the same on every run."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from common.log import Log
from common.video import Frame
from sender.capture.base import CaptureOptions, Source, SourceError
from sender.capture.synthetic import SyntheticScene

log = Log("sender.capture")
NAME = "synthetic"


class SyntheticSource(Source):
    """`--source synthetic` or `--source synthetic:SEED`. Never ends."""

    def __init__(self, source: str, options: CaptureOptions) -> None:
        super().__init__(source, options)
        seed = source.partition(":")[2] or "1"
        if not seed.isdecimal():
            raise SourceError(f"source: {source}: the seed must be a whole number, for example synthetic:7")
        self._seed = int(seed)
        self.scene: SyntheticScene | None = None
        """What is painted, once it has begun; its maps may be asked for by any thread."""

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        """See Source."""
        options = self.options
        try:
            scene = SyntheticScene(options.size.width, options.size.height, options.fps, self._seed)
        except ValueError as error:
            raise SourceError(f"source: {self.name}: {error}") from None
        self.scene = scene
        log.info("source opened", source=self.name)
        self.stats.connected = True
        try:
            yield from self.paced(scene.picture, stop)
        finally:
            self.stats.connected = False
