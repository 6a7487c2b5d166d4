"""The sender put together: capture thread -> encoding thread -> event loop with pacer and socket."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from common import service
from common.clock import monotonic
from common.codec.base import UnitEncoder
from common.handoff import DropOldest
from common.log import Log
from common.log import setup as log_setup
from common.maps.base import MapSource
from common.metrics_server import MetricsServer
from common.record.metrics import export as export_recordings
from common.reload import Reloads
from common.video import Frame
from proto.packet import Segment
from proto.session import SenderSession
from sender import build
from sender.audio.sending import AudioSending
from sender.audio.stage import AudioStage
from sender.capture import create_source
from sender.capture.base import Source
from sender.ceiling import Ceiling
from sender.config import SenderConfig
from sender.control import Control
from sender.encode import CodedUnit, EncodeStage
from sender.lines import check_lines
from sender.metrics import SenderMetrics
from sender.pacer import Pacer
from sender.record import Capture, Recorder
from sender.text_sending import TextSending
from sender.transmit import Transmitter
from sender.worker import Worker

if TYPE_CHECKING:
    from sender.contours.sending import ContourSending

log = Log("sender")

REPORT_SECONDS = 10.0
JOIN_SECONDS = 2.0
"""How long the end waits for each thread; one that hangs in a driver is left behind."""

SWITCH_SECONDS = 0.0003
"""Two threads code maps and pictures: each short call into OpenCV or NumPy gives the interpreter away, and would wait
for Python's usual 5 ms to have it back, hundreds of times a unit."""

LIVE = ("rate.", "codec.profile", "log.")
"""Settings that change without a restart."""


async def run(
    config: SenderConfig,
    make_encoder: build.MakeEncoder = build.make_encoder,
    reloads: Reloads[SenderConfig] | None = None,
) -> None:
    """Send until the source has ended or the task is cancelled. `reloads`: whence new settings come while it runs."""
    session = build.make_session(config)
    if config.text is not None:
        check_lines(config.text)
    audio = await asyncio.to_thread(build.make_audio, config)
    source = create_source(config.source, build.capture_options(config, audio))
    encoder = await asyncio.to_thread(make_encoder, config)
    maps = await asyncio.to_thread(build.make_maps, config, source)
    if maps is not None:
        sys.setswitchinterval(SWITCH_SECONDS)
    sender = Sender(config, session, source, encoder, audio, maps)
    if reloads is not None:
        reloads.follow(LIVE, sender.reconfigure)
    await sender.run()


class Sender:
    """One run of the sender. Made and run in the event loop."""

    def __init__(
        self,
        config: SenderConfig,
        session: SenderSession,
        source: Source,
        encoder: UnitEncoder,
        audio: AudioStage | None = None,
        maps: MapSource | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        self.metrics = SenderMetrics(self.registry)
        self._loop = asyncio.get_running_loop()
        self._config = config
        self._source = source
        source.prepared = lambda seconds: self.metrics.stage_seconds("capture", seconds)
        self._stop = threading.Event()
        self._frames: DropOldest[Frame] = DropOldest(build.frames_waiting(config, encoder.frames_per_unit))
        self._pacer: Pacer[Segment] = Pacer(config.pacing.spread)
        ceiling = build.make_ceiling(config)
        rate = build.rate_controller(config, session, encoder.frames_per_unit, ceiling)
        self._control = Control(
            *(session, build.rate_limits(config), rate, self._pacer, build.packet_length(config, session)),
            late_join=build.late_join(config),
        )
        self._control.ceiling = ceiling
        self._transmit = Transmitter(
            *(config.to, self._pacer, self._control),
            hops=config.multicast.hops,
            interface=config.multicast.interface,
        )
        self._choosing = build.choosing(config, encoder, self._control)
        self._records = build.make_records(config)
        self._encode = EncodeStage(
            *(self._frames, self._choosing or encoder, self._control, rate),
            *(config.fps, session.payload_limit, self._deliver),
            stage_seconds=self.metrics.stage_seconds,
            records=self._records,
        )
        capture = config.record.file(".smc")
        self._capture_file = None if capture is None else Capture(capture, config.record.rules, session)
        self._export()
        self._audio = None if audio is None else self._make_audio(audio)
        self._contours = None if maps is None or ceiling is None else self._make_contours(maps, ceiling)
        self._text = None if config.text is None else self._make_text(config.text)
        self._capturing = Worker("capture", self._capture)
        self._encoding = Worker("encode", self._encode.run)
        self._server = self._make_server()

    def _export(self) -> None:
        chosen = self._choosing
        if chosen is None:
            self.metrics.profile(lambda: self._config.codec.profile, lambda: 0)
        else:
            self.metrics.profile(lambda: chosen.profile, lambda: chosen.switches)
        self.metrics.export(
            self._source, self._frames, self._encode, self._pacer, self._transmit, self._control
        )
        export_recordings(
            self.metrics.exporter,
            lambda: [record.recording for record in self._records if isinstance(record, Recorder)],
            [] if self._capture_file is None else [self._capture_file.writer],
        )

    def _make_audio(self, stage: AudioStage) -> AudioSending:
        return AudioSending(
            *(stage, self._config.audio.parity, self._control, self._transmit.poll),
            *(self.metrics.exporter, self._stop),
        )

    def _make_contours(self, maps: MapSource, ceiling: Ceiling) -> ContourSending:
        from sender.contours.sending import ContourSending  # and OpenCV with it

        return ContourSending(
            *(maps, self._config, self._control, ceiling, self._transmit.poll),
            *(self.metrics.exporter, self.metrics.stage_seconds, self._encode.unit_duration),
        )

    def _make_text(self, path: str) -> TextSending:
        return TextSending(path, self._control, self._transmit.poll, self._stop)

    def _make_server(self) -> MetricsServer | None:
        listen = self._config.metrics.listen
        if not listen:
            return None
        return MetricsServer(self.registry, listen, lambda: self.metrics.health(self._source, self._transmit))

    async def run(self) -> None:
        """Until the source has ended and everything is sent, or until cancelled; then close everything."""
        try:
            if self._server is not None:
                await self._server.start()
            if self._capture_file is not None:
                self._capture_file.writer.start()
            beside = [self._transmit.run(), self._report()]
            if self._audio is not None:
                beside.append(self._audio.run())
            async with asyncio.TaskGroup() as group:
                background = [group.create_task(part) for part in beside]
                await group.create_task(self._flow())
                for task in background:
                    task.cancel()
        finally:
            await self._close()

    async def _close(self) -> None:
        self._stop.set()
        self._close_frames()
        if self._server is not None:
            await self._server.close()
        workers = [self._capturing, self._encoding]
        if self._text is not None:
            workers.append(self._text.worker)
        if self._contours is not None:
            workers.append(self._contours.worker)
        if self._audio is not None and self._audio.worker is not None:
            workers.append(self._audio.worker)
        for worker in workers:
            if not await asyncio.to_thread(worker.join, JOIN_SECONDS):
                log.warning("a thread did not end", thread=worker.name)
        if self._capture_file is not None:
            await asyncio.to_thread(self._capture_file.writer.close)
        self._log_totals("stopped")

    async def reconfigure(self, config: SenderConfig) -> None:
        """Settings of LIVE have changed."""
        log_setup(config.log.level, config.log.format)
        if config.codec.structured != self._config.codec.structured:
            log.warning(
                "codec.profile: only a restart changes to or from structure and generative",
                profile=config.codec.profile,
            )
            codec = config.codec.model_copy(update={"profile": self._config.codec.profile})
            config = config.model_copy(update={"codec": codec})
        self._control.limit(build.rate_limits(config), monotonic())
        self._control.session.streams = build.streams_in_use(config)
        if self._choosing is not None:
            self._choosing.pinned = build.pinned(config)

    async def _flow(self) -> None:
        """From the first frame to the last packet."""
        self._encoding.start()
        if self._contours is not None:
            self._contours.worker.start()
        self._capturing.start()
        if self._text is not None:
            self._text.worker.start()
        service.ready()
        workers = [self._capturing, self._encoding]
        if self._contours is not None:
            workers.append(self._contours.worker)
        ends = [asyncio.ensure_future(worker.wait()) for worker in workers]
        try:
            # The first error of any of these threads ends the daemon; the end of capture ends the others.
            await asyncio.gather(*ends)
        finally:
            for end in ends:
                end.cancel()
        log.info("source ended", source=self._source.name)
        await self._transmit.drained()

    def _capture(self) -> None:
        """Body of the capture thread."""
        try:
            for frame in self._source.frames(self._stop):
                self._frames.put(frame)
                if self._contours is not None:
                    self._contours.stage.frames.put(frame)
        finally:
            self._close_frames()

    def _close_frames(self) -> None:
        self._frames.close()
        if self._contours is not None:
            self._contours.stage.frames.close()

    def _deliver(self, unit: CodedUnit) -> None:
        """Called by the encoding thread."""
        self._loop.call_soon_threadsafe(self._transmit.submit, unit)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            self._log_totals("sending")

    def _log_totals(self, event: str) -> None:
        stats = self._source.stats
        log.info(
            event,
            kbps=round(self._transmit.rate() / 1000, 1),
            target=round(self._control.kbps, 1),
            loss=round(self._control.feedback.loss(monotonic()), 3)
            if self._control.session.two_way
            else None,
            packets=self._transmit.packets,
            units=self._encode.units,
            quality=self._encode.quality,
            dropped=self._frames.dropped + stats.skipped,
        )
