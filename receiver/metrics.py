"""The receiver's figures for Prometheus, read from the plain counters of its parts at each scrape."""

from __future__ import annotations

import math
from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from common.clock import monotonic
from common.codec.base import DecodedUnit
from common.metrics import LATENCY_BUCKETS, STAGE_BUCKETS, Exporter
from proto.session import ReceiverEndpoint
from proto.streams import VIDEO
from receiver.decode import DecodeWorker
from receiver.play.base import Shown, SignalState, Sink
from receiver.player import Player
from receiver.replies import Replies
from receiver.text import TextLog

PREFIX = "semcast_receiver_"


class ReceiverMetrics:
    """Registers everything; `unit` and `shown` feed the histograms (event loop thread)."""

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
        exporter = Exporter(registry, PREFIX)
        self._stages = exporter.histogram(
            "stage_seconds", "Time that one access unit spent in a stage.", STAGE_BUCKETS, ["stage"]
        )
        self._latency = exporter.histogram(
            "capture_to_display_seconds",
            "Time from capture at the sender to display; right if the clocks of both hosts are in step.",
            LATENCY_BUCKETS,
        )
        _link(exporter, endpoint, player)
        exporter.counter("reports_total", "Reports sent to the sender.", lambda: replies.sent)
        exporter.counter(
            "handshakes_total", "Handshakes that a sender has confirmed.", lambda: endpoint.handshakes
        )
        exporter.counter("text_lines_total", "Lines of the operator's text received.", lambda: text.lines)
        exporter.counter(
            "text_refused_total", "Messages of the text stream that were no text.", lambda: text.refused
        )
        _pictures(exporter, player, worker, sinks)

    def unit(self, unit: DecodedUnit, seconds: float) -> None:
        """A unit was decoded or concealed."""
        for stage, spent in unit.stages.items():
            self._stages.labels(stage).observe(spent)
        self._stages.labels("unit").observe(seconds)

    def shown(self, shown: Shown) -> None:
        """A picture was shown."""
        if not shown.concealed and not shown.repeated:
            self._latency.observe(max(0.0, shown.shown_at - shown.captured_at))


def _link(exporter: Exporter, endpoint: ReceiverEndpoint, player: Player) -> None:
    tally = endpoint.tallies[VIDEO.id]
    exporter.counter("packets_total", "Packets that authenticated.", lambda: endpoint.packets)
    exporter.counter(
        "bytes_total", "Bytes of these on the wire, IP and UDP headers included.", lambda: endpoint.wire_bytes
    )
    exporter.counter_by(
        "packets_dropped_total",
        "Packets refused, by reason.",
        "reason",
        lambda: {str(reason): count for reason, count in endpoint.dropped.items()},
    )
    exporter.counter(
        "packets_lost_total",
        "Packets missing when their unit was closed (raw loss), those withheld by the sender too.",
        lambda: tally.lost,
    )
    exporter.counter("units_total", "Access units of which something arrived.", lambda: tally.units_closed)
    exporter.counter(
        "units_missed_total", "Access units of which nothing arrived in time.", lambda: tally.units_missed
    )
    exporter.gauge(
        "packet_loss_ratio",
        "Share of packets lost over the last 2 seconds (raw loss); NaN when nothing came that could tell.",
        lambda: player.figures.share("lost", "sent", monotonic(), math.nan),
    )
    exporter.gauge(
        "imagined_ratio",
        "Share of the picture that is imagined over the last 2 seconds (loss after recovery); NaN before it.",
        lambda: player.figures.share("imagined", "cells", monotonic(), math.nan),
    )
    exporter.gauge(
        "rate_bits_per_second",
        "Wire rate received over the last 2 seconds.",
        lambda: 8 * player.figures.rate("bytes", monotonic()),
    )
    exporter.gauge("sessions", "Runs of senders with state.", lambda: endpoint.sessions)
    exporter.counter(
        "takeovers_total", "Runs of senders that became the one on show.", lambda: endpoint.takeovers
    )
    exporter.gauge_by(
        "signal_state",
        "1 for the state that the viewer is told.",
        "state",
        lambda: {str(state): float(state is player.state) for state in SignalState},
    )


def _pictures(exporter: Exporter, player: Player, worker: DecodeWorker, sinks: Sequence[Sink]) -> None:
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
    exporter.counter("frames_shown_total", "Pictures shown.", lambda: player.shown)
    exporter.counter(
        "frames_concealed_total", "Of these, pictures of which nothing had arrived.", lambda: player.concealed
    )
    exporter.counter("frames_repeated_total", "Of these, repeated ones.", lambda: player.repeated)
    exporter.counter(
        "frames_dropped_total", "Pictures decoded too late to be shown.", lambda: player.late_pictures
    )
    exporter.counter_by(
        "sink_frames_dropped_total",
        "Pictures that a sink was too slow to take.",
        "sink",
        lambda: {sink.name: sink.dropped for sink in sinks},
    )
    exporter.counter(
        "freeze_seconds_total",
        "Time a picture stood because no other was ready.",
        lambda: player.frozen_seconds,
    )
    exporter.counter(
        "units_damaged_total",
        "Access units that authenticated but could not be decoded.",
        lambda: worker.damaged + player.damaged,
    )
    exporter.counter("decoder_failures_total", "Breakdowns of the decoder.", lambda: worker.failures)
    _playout(exporter, player)


def _playout(exporter: Exporter, player: Player) -> None:
    exporter.gauge("playout_delay_seconds", "The playout delay in force.", lambda: player.delay)
    exporter.counter(
        "path_jumps_total", "Times that the path had become longer at once.", lambda: player.path_jumps
    )
    exporter.gauge(
        "clock_drift_ppm",
        "How much faster the sender's clock runs than this host's, parts per million; NaN until it can be told.",
        lambda: math.nan if player.drift is None else player.drift * 1e6,
    )
    exporter.gauge(
        "silence_seconds",
        "Time since the last packet while the signal is lost, else 0.",
        lambda: player.silence(monotonic()),
    )
