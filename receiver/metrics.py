"""The receiver's figures for Prometheus, read from the plain counters of its parts at each scrape."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry

from common.clock import monotonic
from common.codec.base import DecodedUnit
from common.codec.registry import PROFILES
from common.log import redact
from common.metrics import LATENCY_BUCKETS, STAGE_BUCKETS, Exporter
from common.metrics_process import export_process
from proto.session import ReceiverEndpoint
from receiver.decode import DecodeWorker
from receiver.metrics_link import export_link
from receiver.play.base import Shown, SignalState, Sink
from receiver.play.push.sink import PushSink
from receiver.player import Player
from receiver.replies import Replies
from receiver.text import TextLog

PREFIX = "semcast_receiver_"
STAGES = ("collect", "parse", "recover", "decode", "unit", "ready")
TRUST = ("received", "recovered", "imagined")


class ReceiverMetrics:
    """Registers everything; `unit`, `stage` and `shown` feed the histograms (event loop thread)."""

    def __init__(
        self,
        registry: CollectorRegistry,
        endpoint: ReceiverEndpoint,
        player: Player,
        worker: DecodeWorker,
        sinks: Sequence[Sink],
        replies: Replies,
        text: TextLog,
    ) -> None:
        exporter = self.exporter = Exporter(registry, PREFIX)
        export_process(exporter)
        self._stages = exporter.histogram(
            "stage_seconds",
            "Time that one access unit spent in a stage: collect (first packet until handed to the decoder), parse, "
            "recover, decode, unit (all work on it), ready (decoded until its first picture is shown).",
            STAGE_BUCKETS,
            "stage",
            STAGES,
        )
        self._path = exporter.histogram(
            "capture_to_arrival_seconds",
            "Time from the capture of a unit's first frame to its first packet; right if the clocks of both hosts are "
            "in step.",
            LATENCY_BUCKETS,
        )
        self._latency = exporter.histogram(
            "capture_to_display_seconds",
            "Time from capture at the sender to display; right if the clocks of both hosts are in step.",
            LATENCY_BUCKETS,
        )
        export_link(exporter, endpoint, player, replies)
        _pictures(exporter, player)
        _decoder(exporter, player, worker)
        _playout(exporter, player)
        _sinks(exporter, sinks)
        _pushes(exporter, sinks)
        _text(exporter, text)

    def unit(self, unit: DecodedUnit, seconds: float) -> None:
        """A unit was decoded or concealed."""
        for stage, spent in unit.stages.items():
            self._stages.labels(stage).observe(spent)
        self._stages.labels("unit").observe(seconds)

    def stage(self, stage: str, seconds: float) -> None:
        """A unit has passed a station, see Player.on_stage."""
        (self._path if stage == "path" else self._stages.labels(stage)).observe(seconds)

    def shown(self, shown: Shown) -> None:
        """A picture was shown."""
        if not shown.concealed and not shown.repeated:
            self._latency.observe(max(0.0, shown.shown_at - shown.captured_at))


def _pictures(exporter: Exporter, player: Player) -> None:
    exporter.counter("frames_shown_total", "Pictures shown.", lambda: player.shown)
    exporter.counter(
        "frames_concealed_total", "Of these, pictures of which nothing had arrived.", lambda: player.concealed
    )
    exporter.counter("frames_repeated_total", "Of these, repeated ones.", lambda: player.repeated)
    exporter.counter(
        "frames_dropped_total", "Pictures decoded too late to be shown.", lambda: player.late_pictures
    )
    exporter.counter_by(
        "shown_regions_total",
        "Regions (16x16) of the pictures shown, by how far they can be trusted.",
        "trust",
        lambda: dict(zip(TRUST, map(float, player.trust), strict=True)),
    )
    exporter.counter(
        "freezes_total", "Times that a picture stood because no other was ready.", lambda: player.freezes
    )
    exporter.counter(
        "freeze_seconds_total",
        "Time a picture stood because no other was ready.",
        lambda: player.frozen_seconds,
    )


def _decoder(exporter: Exporter, player: Player, worker: DecodeWorker) -> None:
    exporter.counter("elements_total", "Coded elements expected.", lambda: player.elements)
    exporter.counter(
        "elements_lost_total", "Coded elements that did not arrive (raw loss).", lambda: player.elements_lost
    )
    exporter.counter("regions_total", "Picture regions (16x16) decoded, once a unit.", lambda: player.cells)
    exporter.counter(
        "regions_imagined_total",
        "Of these, regions with nothing received to go by (loss after recovery).",
        lambda: player.cells_imagined,
    )
    exporter.gauge(
        "imagined_ratio",
        "Share of the picture that is imagined over the last 2 seconds (loss after recovery); NaN before it.",
        lambda: player.figures.share("imagined", "cells", monotonic(), math.nan),
    )
    exporter.counter(
        "units_damaged_total",
        "Access units that authenticated but could not be decoded.",
        lambda: worker.damaged + player.damaged,
    )
    exporter.counter(
        "units_unreferenced_total",
        "Access units that are predicted from one that is not there: lost, late, or sent before this receiver began.",
        lambda: worker.unreferenced,
    )
    exporter.counter("decoder_failures_total", "Breakdowns of the decoder.", lambda: worker.failures)
    exporter.gauge_by(
        "profile",
        "1 for the profile of the last unit.",
        "profile",
        lambda: {name: float(name == player.profile) for name in PROFILES},
    )


def _playout(exporter: Exporter, player: Player) -> None:
    exporter.gauge_by(
        "signal_state",
        "1 for the state that the viewer is told.",
        "state",
        lambda: {str(state): float(state is player.state) for state in SignalState},
    )
    exporter.counter("signal_losses_total", "Times that the signal was lost.", lambda: player.signal_losses)
    exporter.gauge(
        "silence_seconds",
        "Time since the last packet while the signal is lost, else 0.",
        lambda: player.silence(monotonic()),
    )
    exporter.gauge("playout_delay_seconds", "The playout delay in force.", lambda: player.delay)
    exporter.gauge(
        "playout_delay_limit_seconds",
        "The most that the playout delay may become; NaN before the first picture.",
        lambda: player.longest_delay,
    )
    exporter.gauge(
        "clock_drift_ratio",
        "How much faster the sender's clock runs than this host's, in seconds a second (1e-6: one part per million); "
        "NaN until it can be told.",
        lambda: math.nan if player.drift is None else player.drift,
    )


def _sinks(exporter: Exporter, sinks: Sequence[Sink]) -> None:
    """A sink's name may be an address with a password."""
    exporter.gauge_by(
        "sink_up",
        "1 while a sink takes pictures; 0 once it has ended or broken down. Sinks are those of `play`.",
        "sink",
        lambda: {redact(sink.name): float(not sink.ended) for sink in sinks},
    )
    exporter.counter_by(
        "sink_frames_dropped_total",
        "Pictures that a sink was too slow to take.",
        "sink",
        lambda: {redact(sink.name): sink.dropped for sink in sinks},
    )


def _text(exporter: Exporter, text: TextLog) -> None:
    exporter.counter("text_lines_total", "Lines of the operator's text received.", lambda: text.lines)
    exporter.counter(
        "text_refused_total", "Messages of the text stream that were no text.", lambda: text.refused
    )


def _pushes(exporter: Exporter, sinks: Sequence[Sink]) -> None:
    def by_push(read: Callable[[PushSink], float]) -> Callable[[], dict[str, float]]:
        return lambda: {sink.name: read(sink) for sink in sinks if isinstance(sink, PushSink)}

    exporter.gauge_by(
        "push_connected", "1 while the media server takes the stream.", "push", by_push(lambda p: p.connected)
    )
    exporter.counter_by(
        "push_connections_total",
        "Times that the media server took the stream; all but the first are reconnections.",
        "push",
        by_push(lambda p: p.connections),
    )
    exporter.counter_by(
        "push_failures_total",
        "Attempts that failed and connections that broke.",
        "push",
        by_push(lambda p: p.failures),
    )
    exporter.counter_by(
        "push_bytes_total", "Coded video handed to the media server.", "push", by_push(lambda p: p.bytes)
    )
    exporter.counter_by(
        "push_dropped_total",
        "Pictures that the media server, or the encoder, was too slow to take.",
        "push",
        by_push(lambda p: p.dropped),
    )
