"""The sender put together: capture thread -> encoding thread -> event loop with pacer and socket."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from prometheus_client import CollectorRegistry

from common import service
from common.clock import monotonic
from common.codec import plan
from common.codec.base import UnitEncoder
from common.codec.effort import Effort
from common.codec.registry import create_switching_encoder
from common.codec.switching import SwitchingEncoder
from common.codec.weights import WeightsError
from common.config import ConfigError
from common.handoff import DropOldest
from common.log import Log
from common.log import setup as log_setup
from common.metrics_server import MetricsServer
from common.multicast import is_group
from common.record.metrics import export
from common.reload import Reloads
from common.video import Frame
from proto.announce import StreamInUse
from proto.crypto import KeyFileError, load_key
from proto.packet import Segment
from proto.session import Rules as SessionRules
from proto.session import SenderSession
from proto.streams import AUDIO, TEXT, VIDEO
from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES, Mode
from sender.audio.sending import AudioSending
from sender.audio.stage import OFF, AudioStage
from sender.capture import create_source
from sender.capture.base import CaptureOptions, Source
from sender.choose import ChoosingEncoder
from sender.config import AUTO, SenderConfig
from sender.congestion import RateLimits
from sender.control import Control
from sender.encode import CodedUnit, EncodeStage, UnitRecord
from sender.lines import check_lines, follow
from sender.metrics import SenderMetrics
from sender.pacer import Pacer
from sender.packet_length.adapt import PacketLength
from sender.packet_length.join import LateJoin
from sender.profile import ProfileController, Rules
from sender.rate import RateController
from sender.record import Capture, FrameLog, Recorder
from sender.transmit import Transmitter
from sender.worker import Worker

log = Log("sender")

REPORT_SECONDS = 10.0
TEXT_PAUSE = 0.02  # between two lines: somebody may pipe a book in
JOIN_SECONDS = 2.0
"""How long the end waits for each thread; one that hangs in a driver is left behind."""

LIVE = ("rate.", "codec.profile", "log.")
"""Settings that change without a restart."""

MakeEncoder = Callable[[SenderConfig], UnitEncoder]


def make_encoder(config: SenderConfig) -> UnitEncoder:
    """The encoder of every profile; reads networks. Raises ConfigError or ServiceError."""
    codec = config.codec
    effort = Effort(codec.effort, codec.threads, adaptive=True)
    try:
        return create_switching_encoder(config.size.width, config.size.height, config.fps, effort)
    except ValueError as error:
        raise ConfigError(f"codec: {error}") from None
    except WeightsError as error:
        raise service.ServiceError(f"codec: {error}") from None


async def run(
    config: SenderConfig,
    make_encoder: MakeEncoder = make_encoder,
    reloads: Reloads[SenderConfig] | None = None,
) -> None:
    """Send until the source has ended or the task is cancelled. `reloads`: whence new settings come while it runs."""
    try:
        session = SenderSession(
            load_key(config.key_file),
            config.packet.max_bytes,
            mode=session_mode(config),
            name=config.session.name,
            rules=SessionRules(rekey_seconds=60 * config.session.rekey_minutes),
        )
    except KeyFileError as error:
        raise ConfigError(f"key_file: {error}") from None
    if config.text is not None:
        check_lines(config.text)
    session.streams = streams_in_use(config)
    audio = await asyncio.to_thread(make_audio, config)
    source = create_source(config.source, capture_options(config, audio))
    encoder = await asyncio.to_thread(make_encoder, config)
    sender = Sender(config, session, source, encoder, audio)
    if reloads is not None:
        reloads.follow(LIVE, sender.reconfigure)
    await sender.run()


def streams_in_use(config: SenderConfig) -> tuple[StreamInUse, ...]:
    """What announcements tell of."""
    text = () if config.text is None else (StreamInUse(TEXT.id, TEXT.delivery),)
    audio = () if config.audio.source == OFF else (StreamInUse(AUDIO.id, AUDIO.delivery),)
    return (StreamInUse(VIDEO.id, VIDEO.delivery, config.codec.profile), *text, *audio)


def make_audio(config: SenderConfig) -> AudioStage | None:
    """The audio stage, None where sound is off. Raises SourceError."""
    audio = config.audio
    return None if audio.source == OFF else AudioStage(audio.source, audio.format, config.capture.loop)


def session_mode(config: SenderConfig) -> Mode:
    """The mode asked for; a multicast group has no way back. Raises ConfigError where these contradict."""
    mode = config.session.mode
    if not is_group(config.to.host):
        return mode
    if mode is Mode.TWO_WAY:
        raise ConfigError(
            "session.mode: two-way needs one receiver, and `to` is a multicast group; use one-way"
        )
    return Mode.ONE_WAY


def rate_limits(config: SenderConfig) -> RateLimits:
    """What the configuration allows the congestion control."""
    rate = config.rate
    least = min(rate.min_kbps, rate.kbps)
    return RateLimits(
        start=rate.kbps,
        minimum=least,
        cap=rate.kbps,
        safe=max(least, min(rate.safe_kbps, rate.kbps)),
        fixed=not rate.adapt or session_mode(config) is Mode.ONE_WAY,
    )


def pinned(config: SenderConfig) -> str | None:
    """The profile of every unit, None where the link decides."""
    return None if config.codec.profile == AUTO else config.codec.profile


def least_payload(config: SenderConfig) -> int:
    """Bytes of payload that no packet is cut below, so that each can show a picture by itself."""
    shown = plan.least_payload(config.size.width * config.size.height)
    return max(config.packet.min_bytes - OVERHEAD_BYTES, shown)


def packet_length(config: SenderConfig, session: SenderSession) -> PacketLength | None:
    """What adapts the length of packets; None where it is fixed, or nobody could tell."""
    if not config.packet.adapt or session.mode is Mode.ONE_WAY:
        return None
    return PacketLength(session.payload_limit, least_payload(config))


def late_join(config: SenderConfig) -> LateJoin | None:
    """How packets are cut while nobody reports; None where that changes nothing."""
    headers = config.packet.late_join
    return LateJoin(headers, least_payload(config)) if headers else None


def capture_options(config: SenderConfig, audio: AudioStage | None = None) -> CaptureOptions:
    """What the configuration says to the source."""
    capture = config.capture
    pairs = tuple((name, value) for name, _, value in (item.partition("=") for item in capture.ffmpeg))
    return CaptureOptions(
        config.size,
        config.fps,
        capture.loop,
        capture.pace,
        capture.timeout,
        pairs,
        wait=capture.wait,
        tls_cert=capture.tls_cert,
        tls_key=capture.tls_key,
        token_file=capture.token_file,
        sound=None if audio is None else audio.tap,
    )


class Sender:
    """One run of the sender. Made and run in the event loop."""

    def __init__(
        self,
        config: SenderConfig,
        session: SenderSession,
        source: Source,
        encoder: UnitEncoder,
        audio: AudioStage | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        self._loop = asyncio.get_running_loop()
        self._source = source
        self._stop = threading.Event()
        self._frames: DropOldest[Frame] = DropOldest()
        self._pacer: Pacer[Segment] = Pacer(config.pacing.spread)
        self.metrics = SenderMetrics(self.registry)
        source.prepared = lambda seconds: self.metrics.stage_seconds("capture", seconds)
        rate = RateController(
            config.rate.kbps,
            encoder.frames_per_unit / config.fps,
            packet_overhead=OVERHEAD_BYTES + IP_UDP_BYTES,
            max_payload=session.payload_limit,
        )
        self._control = Control(
            session,
            rate_limits(config),
            rate,
            self._pacer,
            packet_length(config, session),
            late_join=late_join(config),
        )
        self._transmit = Transmitter(
            config.to,
            self._pacer,
            self._control,
            hops=config.multicast.hops,
            interface=config.multicast.interface,
        )
        self._choosing: ChoosingEncoder | None = None
        if isinstance(encoder, SwitchingEncoder):
            rules = Rules.of_video(config.size.width, config.size.height, config.fps)
            encoder = self._choosing = chosen = ChoosingEncoder(
                encoder, ProfileController(rules), self._control.heard
            )
            chosen.pinned = pinned(config)
            self.metrics.profile(lambda: chosen.profile, lambda: chosen.switches)
        else:
            self.metrics.profile(lambda: config.codec.profile, lambda: 0)
        records = _records(config)
        self._encode = EncodeStage(
            self._frames,
            encoder,
            self._control,
            rate,
            config.fps,
            session.payload_limit,
            self._deliver,
            stage_seconds=self.metrics.stage_seconds,
            records=records,
        )
        self.metrics.export(source, self._frames, self._encode, self._pacer, self._transmit, self._control)
        capture = config.record.file(".smc")
        self._capture_file = None if capture is None else Capture(capture, config.record.rules, session)
        export(
            self.metrics.exporter,
            lambda: [record.recording for record in records if isinstance(record, Recorder)],
            [] if self._capture_file is None else [self._capture_file.writer],
        )
        self._capturing = Worker("capture", self._capture)
        self._audio = (
            AudioSending(
                *(audio, config.audio.parity, self._control, self._transmit.poll),
                *(self.metrics.exporter, self._stop),
            )
            if audio is not None
            else None
        )
        self._reading = Worker("text", self._read_text) if config.text is not None else None
        self._text = config.text
        self._encoding = Worker("encode", self._encode.run)
        self._server = (
            MetricsServer(
                self.registry, config.metrics.listen, lambda: self.metrics.health(source, self._transmit)
            )
            if config.metrics.listen
            else None
        )

    async def run(self) -> None:
        """Until the source has ended and everything is sent, or until cancelled; then close everything."""
        try:
            async with asyncio.TaskGroup() as group:
                if self._server is not None:
                    await self._server.start()
                if self._capture_file is not None:
                    self._capture_file.writer.start()
                background = [
                    group.create_task(self._transmit.run(), name="transmit"),
                    group.create_task(self._report(), name="report"),
                ]
                if self._audio is not None:
                    background.append(group.create_task(self._audio.run(), name="audio"))
                await group.create_task(self._flow(), name="flow")
                for task in background:
                    task.cancel()
        finally:
            self._stop.set()
            self._frames.close()
            if self._server is not None:
                await self._server.close()
            listening = None if self._audio is None else self._audio.worker
            for worker in filter(None, (self._capturing, self._encoding, self._reading, listening)):
                if not await asyncio.to_thread(worker.join, JOIN_SECONDS):
                    log.warning("a thread did not end", thread=worker.name)
            if self._capture_file is not None:
                await asyncio.to_thread(self._capture_file.writer.close)
            self._log_totals("stopped")

    async def reconfigure(self, config: SenderConfig) -> None:
        """Settings of LIVE have changed."""
        log_setup(config.log.level, config.log.format)
        self._control.limit(rate_limits(config), monotonic())
        self._control.session.streams = streams_in_use(config)
        if self._choosing is not None:
            self._choosing.pinned = pinned(config)

    async def _flow(self) -> None:
        """From the first frame to the last packet."""
        self._encoding.start()
        self._capturing.start()
        if self._reading is not None:
            self._reading.start()
        service.ready()
        ends = [asyncio.ensure_future(worker.wait()) for worker in (self._capturing, self._encoding)]
        try:
            # The first error of either thread ends the daemon; the end of capture ends encoding.
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
        finally:
            self._frames.close()

    def _read_text(self) -> None:
        """Body of the text thread."""
        assert self._text is not None
        follow(self._text, self._tell_text, self._stop)

    def _tell_text(self, line: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            self._loop.call_soon_threadsafe(self._send_text, line)
        self._stop.wait(TEXT_PAUSE)

    def _send_text(self, line: str) -> None:
        self._control.text.send(line, monotonic())
        self._transmit.poll()

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


def _records(config: SenderConfig) -> list[UnitRecord]:
    records: list[UnitRecord] = []
    if config.frame_log is not None:
        records.append(FrameLog(config.frame_log))
    movie = config.record.file(".mkv")
    if movie is not None:
        records.append(Recorder(movie, config.size, config.fps, config.record.rules))
    return records
