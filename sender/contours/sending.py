"""Contours on their way out: the stage in its thread, the stream in the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from common.clock import monotonic
from common.maps.base import MapSource
from common.metrics import Exporter
from sender.ceiling import Ceiling
from sender.config import SenderConfig
from sender.contours.metrics import export_contours
from sender.contours.share import ContourShare
from sender.contours.stage import ContourStage, MapUnit
from sender.contours.stream import ContourStream
from sender.control import Control
from sender.worker import Worker


class ContourSending:
    """Made and used in the event loop, which starts `worker`."""

    def __init__(
        self,
        source: MapSource,
        config: SenderConfig,
        control: Control,
        ceiling: Ceiling,
        poll: Callable[[], None],
        exporter: Exporter,
        stage_seconds: Callable[[str, float], None],
        pictures_s: float,
    ) -> None:
        """`ceiling`: of the session's wire rate; `poll`: sends what `control` holds; `pictures_s`: seconds of pictures
        in a unit."""
        self._loop = asyncio.get_running_loop()
        limit, every = control.session.payload_limit, config.contours.every(config.fps, config.rate.kbps)
        share = ContourShare(
            lambda kbps: config.contours.part(kbps, ceiling.loss),
            *(config.fps / every, control.kbps, ceiling, pictures_s),
        )
        self._stream = ContourStream(limit, source.legend, share, ceiling)
        control.contours = self._stream
        self._poll = poll
        self.stage = ContourStage(
            *(source, config.size, config.fps, self._stream),
            every=every,
            highest=config.contours.miou,
            payload_limit=limit,
            deliver=self._deliver,
            ready=lambda: control.ready,
            stage_seconds=stage_seconds,
        )
        export_contours(exporter, self.stage, self._stream)
        self.worker = Worker("contours", self.stage.run)

    def _deliver(self, unit: MapUnit) -> None:
        """Called by the thread of maps."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            self._loop.call_soon_threadsafe(self._send, unit)

    def _send(self, unit: MapUnit) -> None:
        self._stream.push(unit.parts, unit.timestamp, unit.duration, monotonic())
        self._poll()
