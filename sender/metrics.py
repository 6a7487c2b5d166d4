"""The sender's figures: what each is called, what it means, and where it is read."""

from __future__ import annotations

import math

from prometheus_client import CollectorRegistry

from common.clock import Clock, monotonic
from common.codec.registry import PROFILES
from common.handoff import DropOldest
from common.metrics import Exporter
from common.video import Frame
from proto.packet import Segment
from sender.capture.base import Source
from sender.choose import ChoosingEncoder
from sender.congestion import State
from sender.control import Control
from sender.encode import EncodeStage
from sender.pacer import Pacer
from sender.transmit import Transmitter

PREFIX = "semcast_sender_"
QUIET_SECONDS = 10.0
"""Without a packet for so long the sender counts as failing."""


class SenderMetrics:
    """Exports one sender's parts. `stage_seconds` may be called by any thread, the rest in the event loop."""

    def __init__(self, registry: CollectorRegistry, clock: Clock = monotonic) -> None:
        self.exporter = Exporter(registry, PREFIX)
        self._stages = self.exporter.histogram(
            "stage_seconds", "Time that one step of a stage took", labels=["stage"]
        )
        self._clock = clock
        self._started = clock()

    def stage_seconds(self, stage: str, seconds: float) -> None:
        """A stage (capture, encode) took so long for one frame or unit."""
        self._stages.labels(stage).observe(seconds)

    def export(
        self,
        source: Source,
        frames: DropOldest[Frame],
        encode: EncodeStage,
        pacer: Pacer[Segment],
        transmit: Transmitter,
        control: Control,
    ) -> None:
        """Register readers for everything the parts count."""
        counter, gauge = self.exporter.counter, self.exporter.gauge
        self._conversation(control)
        counter("packets_total", "Datagrams sent", lambda: transmit.packets)
        counter(
            "bytes_total",
            "Bytes on the wire, 28 of IP and UDP a datagram included",
            lambda: transmit.wire_bytes,
        )
        counter("packets_unsent_total", "Datagrams that could not be sent", lambda: transmit.unsent)
        counter(
            "packets_withheld_total",
            "Datagrams not sent because the target rate is below the codec's lowest",
            lambda: encode.packets_withheld,
        )
        counter("packets_stale_total", "Datagrams dropped because newer units waited", lambda: pacer.dropped)
        counter("network_errors_total", "Errors that the network reported", lambda: transmit.errors)
        counter("frames_captured_total", "Frames taken from the source", lambda: source.stats.frames)
        counter("frames_encoded_total", "Frames handed to the encoder", lambda: encode.frames_encoded)
        self.exporter.counter_by(
            "frames_dropped_total",
            "Frames not sent: queue (encoding is slow), late (capture is slow), incomplete (no whole unit), "
            "keys (a two-way session has none yet)",
            "reason",
            lambda: {
                "queue": frames.dropped,
                "late": source.stats.skipped,
                "incomplete": encode.frames_incomplete,
                "keys": encode.frames_withheld,
            },
        )
        counter(
            "frames_repeated_total",
            "Frames sent again because the camera is slow",
            lambda: source.stats.repeated,
        )
        counter("source_reconnects_total", "Times the source was lost", lambda: source.stats.reconnects)
        gauge("source_connected", "1 while the source delivers", lambda: source.stats.connected)
        counter("units_total", "Access units encoded", lambda: encode.units)
        gauge("rate_bits_per_second", "Wire rate of the last 4 s, headers included", transmit.rate)
        gauge("quality_index", "Quality chosen for the last unit, higher is better", lambda: encode.quality)
        gauge("queue_frames", "Frames that wait for the encoder", lambda: len(frames))
        gauge("queue_packets", "Datagrams that wait for their time", lambda: pacer.waiting)

    def profile(self, encoder: ChoosingEncoder) -> None:
        """Which profile `--profile auto` has chosen."""
        self.exporter.gauge_by(
            "profile",
            "1 for the profile of the last unit",
            "profile",
            lambda: {name: float(name == encoder.profile) for name in PROFILES},
        )
        self.exporter.counter("profile_switches_total", "Changes of the profile", lambda: encoder.switches)

    def _conversation(self, control: Control) -> None:
        """What the receiver tells, and what follows from it."""
        counter, gauge = self.exporter.counter, self.exporter.gauge
        feedback, session = control.feedback, control.session
        gauge(
            "rate_target_bits_per_second",
            "Wire rate aimed at now, headers included",
            lambda: control.kbps * 1000,
        )
        self.exporter.gauge_by(
            "rate_state",
            "1 for what the rate control is doing",
            "state",
            lambda: {str(state): float(state is control.congestion.state) for state in State},
        )
        gauge(
            "two_way", "1 while packets go out under keys agreed with the receiver", lambda: session.two_way
        )
        counter("handshakes_total", "Handshakes done with a receiver", lambda: session.handshakes)
        self.exporter.counter_by(
            "replies_dropped_total",
            "Datagrams from the receiver that were refused, by reason",
            "reason",
            lambda: {str(reason): count for reason, count in session.dropped.items()},
        )
        counter("reports_total", "Reports of the receiver taken in", lambda: feedback.reports)
        counter("reports_malformed_total", "Reports that could not be read", lambda: control.malformed)
        text = control.text
        counter("text_lines_total", "Lines of the operator's text taken", lambda: text.lines)
        counter("text_dropped_total", "Of these, lines that found too many waiting", lambda: text.dropped)
        gauge("text_waiting", "Lines that the receiver has not acknowledged", lambda: text.waiting)
        gauge(
            "rtt_seconds",
            "Round-trip time; NaN before a report",
            lambda: math.nan if feedback.rtt is None else feedback.rtt,
        )
        gauge(
            "reported_loss_ratio",
            "Share of packets lost over the last 10 s, as reported",
            lambda: feedback.loss(self._clock()),
        )
        gauge(
            "reported_residual_loss_ratio",
            "Share of units of which nothing could be shown over the last 10 s, as reported",
            lambda: feedback.residual_loss(self._clock()),
        )

    def health(self, source: Source, transmit: Transmitter) -> tuple[bool, dict[str, object]]:
        """Whether packets leave, and what a person would ask next."""
        now = self._clock()
        quiet = now - (self._started if transmit.last_media is None else transmit.last_media)
        details: dict[str, object] = {
            "source": source.name,
            "source_connected": source.stats.connected,
            "packets": transmit.packets,
            "seconds_since_packet": None if transmit.last_media is None else round(quiet, 3),
            "uptime_seconds": round(now - self._started, 3),
        }
        return quiet < QUIET_SECONDS, details
