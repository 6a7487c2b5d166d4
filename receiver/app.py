"""Wires the receiver together: socket -> endpoint -> player -> decode worker -> player -> sinks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping

from prometheus_client import CollectorRegistry

from common.clock import Clock, WallClock, monotonic
from common.codec import registry as codecs
from common.codec.base import UnitDecoder
from common.codec.weights import WeightsError
from common.config import ConfigError
from common.log import Log, setup
from common.metrics_server import MetricsServer
from common.multicast import is_group
from common.record.metrics import export as export_recordings
from common.reload import Reloads
from common.runtime.base import BackendError
from common.service import EX_UNAVAILABLE, ServiceError, ready
from proto.crypto import KeyFileError, load_key
from proto.report import PlayoutState
from proto.session import Message, ReceiverEndpoint, Recovered
from proto.streams import AUDIO, CONTOURS
from proto.wire import Mode
from receiver.audio.metrics import audio_status, export_audio
from receiver.audio.player import AudioPlayer
from receiver.capture import Capture
from receiver.config import ReceiverConfig
from receiver.contours.metrics import contour_status, export_contours
from receiver.contours.player import ContourPlayer
from receiver.decode import DecodeWorker, Outcome
from receiver.framelog import FrameLog
from receiver.generative.create import create as create_generative
from receiver.generative.create import prepare as prepare_generative
from receiver.generative.figures import export_generative, generative_status
from receiver.metrics import ReceiverMetrics
from receiver.play.base import Shown, SignalState
from receiver.play.create import create_pushes, create_sink
from receiver.play.file import FileSink
from receiver.player import Player
from receiver.program import Describe
from receiver.receive import Receive, open_socket
from receiver.replay.deck import Deck
from receiver.replay.engine import Replay
from receiver.replies import Replies
from receiver.sinks import Sinks
from receiver.status import announces, status, wishes
from receiver.text import TextLog

GENERATIVE = "generative"
"""What a sender announces that wishes for generated pictures."""

LIVE = (
    *("play", "playout.", "signal.lost_after", "log."),
    *("decode.lambda_c", "decode.lambda_r", "decode.lambda_t"),
)
"""Settings that change without a restart."""

PLAYOUT_STATES = {
    SignalState.WAITING: PlayoutState.WAITING,
    SignalState.LIVE: PlayoutState.PLAYING,
    SignalState.LOST: PlayoutState.LOST,
}

log = Log("app")


class App:
    """The receiver of one configuration.  `describe` and `create` stand for the codec, so that tests bring theirs."""

    def __init__(
        self,
        config: ReceiverConfig,
        describe: Describe = codecs.describe,
        create: Callable[[], UnitDecoder] | None = None,
    ) -> None:
        self.config = config
        self.registry = CollectorRegistry()
        self.port = 0
        """The UDP port in use, once `main` listens."""
        self.metrics_port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._frame_log: FrameLog | None = None
        deck = self._deck = Deck(config.replay) if config.replay.files else None
        self._clock: Clock = monotonic if deck is None else deck.clock
        self._wall = WallClock() if deck is None else deck.wall
        self.endpoint = _endpoint(config) if deck is None else ReceiverEndpoint(deck.key)
        self._worker = DecodeWorker(create or self._decoder, self._outcome)
        self.player = self._make_player(describe)
        self.replies = Replies(self.endpoint, self._playing)
        self.player.on_decoded = self.replies.decoded
        self.text = TextLog()
        self.receive = Receive(
            *(self.endpoint, self.replies, self.player.arrived, self.text.delivered, self._recovered),
            *(self._message, self._heard),
        )
        self._sinks = self._make_sinks()
        self.sinks = self._sinks.all
        self.audio = AudioPlayer(
            lambda: self.player.newest, self._sinks.hear, wall=self._wall, clock=self._clock
        )
        self.contours = ContourPlayer(lambda: self.player.newest, clock=self._clock, live=deck is None)
        self.player.maps = self.contours.at
        self.generative = self.player.painter = create_generative(
            *(config.decode, self.contours.store, lambda: wishes(self.endpoint, GENERATIVE)),
            *(self._clock, deck is None),
        )
        self.replay: Replay | None = None
        if deck is not None:
            self.replay = deck.load(self.receive, self.player, self._worker, self.sinks)
            self.replay.beside = (self.audio.step, self.contours.step)
            self.replay.paint = None if config.decode.generative == "off" else self.generative.work
        self.capture: Capture | None = None
        if config.record.capture is not None:
            self.capture = Capture(config.record.capture, config.record.rules, self.endpoint, self.player)
        self.metrics = self._make_metrics()

    def _make_player(self, describe: Describe) -> Player:
        return Player(
            self.endpoint,
            self._worker if self._deck is None else self._deck.jobs,
            describe,
            self._show,
            delay=self.config.playout.bounds,
            lost_after=self.config.signal.lost_after,
            wall=self._wall,
            clock=self._clock,
        )

    def _make_sinks(self) -> Sinks:
        """Raises SinkError."""
        pushes, choose = create_pushes(self.config), self.endpoint.choose
        return Sinks(
            _sinks(self.config), lambda name: create_sink(name, self.config, self.status, choose, pushes)
        )

    def _make_metrics(self) -> ReceiverMetrics:
        metrics = ReceiverMetrics(
            self.registry, self.endpoint, self.player, self._worker, self.sinks, self.replies, self.text
        )
        self.player.on_unit, self.player.on_stage = metrics.unit, metrics.stage
        recovered = self.endpoint.recovered[AUDIO.id]
        export_audio(metrics.exporter, self.audio, recovered, lambda: announces(self.endpoint, AUDIO))
        export_contours(metrics.exporter, self.contours, lambda: announces(self.endpoint, CONTOURS))
        export_generative(metrics.exporter, self.generative)
        export_recordings(
            metrics.exporter,
            lambda: [sink.recording for sink in self.sinks if isinstance(sink, FileSink)],
            [] if self.capture is None else [self.capture.writer],
        )
        return metrics

    async def main(self) -> None:
        """Receive and play until cancelled, or until every sink or the replay has ended."""
        self._loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack:
            await self._open(stack)
            if self.replay is None:
                await self._listen(stack)
            ready()
            live = self.player, self.audio, self.contours
            playing = [part.run() for part in live] if self.replay is None else [self.replay.run()]
            await self._until_first(*playing, self._sinks.until_ended())

    async def _open(self, stack: contextlib.AsyncExitStack) -> None:
        """Everything but the socket, so that the first packet finds it all there."""
        if self.config.frame_log is not None:
            self._frame_log = FrameLog(self.config.frame_log)
            stack.callback(self._frame_log.close)
        await asyncio.to_thread(self._prepare)
        if self.replay is None:
            for worker in (self._worker, self.contours.worker):
                worker.start()
                stack.callback(worker.close)
        stack.push_async_callback(asyncio.to_thread, self.generative.close)
        stack.push_async_callback(self._sinks.close)
        await self._sinks.start()
        if self.config.metrics.listen is not None:
            server = MetricsServer(self.registry, self.config.metrics.listen, self.health)
            self.metrics_port = (await server.start()).port
            stack.push_async_callback(server.close)
        if self.capture is not None:
            self.capture.start()
            stack.push_async_callback(asyncio.to_thread, self.capture.close)

    async def _listen(self, stack: contextlib.AsyncExitStack) -> None:
        socket = open_socket(self.config.listen, self.config.interface)
        self.port = socket.getsockname()[1]
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self.receive, sock=socket)
        stack.callback(transport.close)
        log.info("listening", address=str(self.config.listen), port=self.port)

    def health(self) -> tuple[bool, Mapping[str, object]]:
        """The receiver does its work also without a signal; only a dead decode thread is a failure."""
        return self._worker.alive or self.replay is not None, {
            "state": str(self.player.state),
            "shown": self.player.shown,
        }

    def status(self) -> dict[str, object]:
        """What viewers are told beside the picture."""
        recording = any(isinstance(sink, FileSink) and not sink.ended for sink in self.sinks)
        recording = (recording or self.capture is not None) and self.player.shown > 0
        figures = status(self.endpoint, self.player, self.text, self._clock(), recording)
        figures |= generative_status(self.generative, self.player.profile)
        return figures | audio_status(self.audio) | contour_status(self.contours)

    async def reconfigure(self, config: ReceiverConfig) -> None:
        """Settings of LIVE have changed."""
        setup(config.log.level, config.log.format)
        self.config = config
        self.player.set_delay(config.playout.bounds)
        self.player.set_lost_after(config.signal.lost_after)
        self.generative.lambdas = config.decode.lambdas
        await self._sinks.change(_sinks(config))

    def _recovered(self, event: Recovered, datagram_bytes: int, now: float) -> None:
        """A packet of a protected stream has come, perhaps with whole units."""
        if event.active:
            self.player.heard(event.stream, datagram_bytes, now)
        if event.active and event.stream == AUDIO.id:
            self.audio.recovered(event.origin, event.units, now)
        elif event.active and event.stream == CONTOURS.id:
            self.contours.recovered(event.origin, event.units, now)

    def _message(self, event: Message) -> None:
        """A message of a stream that carries no segments."""
        active = self.endpoint.active
        self.contours.message(event, None if active is None else active.id)

    def _heard(self, origin: bytes, now: float) -> None:
        """A sender has said something beside its streams."""
        active = self.endpoint.active
        if active is not None and active.id == origin:
            self.player.alive(now)

    def _playing(self) -> tuple[PlayoutState, float]:
        """What reports say of playback."""
        return PLAYOUT_STATES[self.player.state], self.player.delay

    def _decoder(self) -> UnitDecoder:
        return codecs.create_switching_decoder(self.config.decode.backend, self.config.decode.threads)

    def _prepare(self) -> None:
        """Load the decoder before the first packet (blocking).  Raises ServiceError with the fix."""
        try:
            self._worker.prepare()
            prepare_generative(self.config.decode, self.generative)
        except (BackendError, WeightsError, ValueError) as error:
            raise ServiceError(f"decode: {error}", EX_UNAVAILABLE) from None

    def _outcome(self, outcome: Outcome) -> None:
        """Called on the decode thread."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(self.player.decoded, outcome)

    def _show(self, shown: Shown) -> None:
        self._sinks.show(shown)
        self.metrics.shown(shown)
        if self._frame_log is not None:
            self._frame_log.write(shown)

    @staticmethod
    async def _until_first(*parts: Coroutine[None, None, None]) -> None:
        """Until one of them has ended; raises what any raises, in a group."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in parts]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()


async def main(config: ReceiverConfig, reloads: Reloads[ReceiverConfig]) -> None:
    """Run the receiver until it is told to stop."""
    setup(config.log.level, config.log.format)
    app = App(config)
    reloads.follow(LIVE, app.reconfigure)
    await app.main()


def _sinks(config: ReceiverConfig) -> tuple[str, ...]:
    """The names of what to open."""
    return tuple(dict.fromkeys((*config.play, *map(str, config.record.movies))))


def _endpoint(config: ReceiverConfig) -> ReceiverEndpoint:
    """A multicast group has no way back. Raises ConfigError where the key cannot be used."""
    assert config.key_file is not None  # every configuration without a replay has one
    try:
        key = load_key(config.key_file)
    except KeyFileError as error:
        raise ConfigError(f"key_file: {error}") from None
    return ReceiverEndpoint(key, mode=Mode.ONE_WAY if is_group(config.listen.host) else config.session.mode)
