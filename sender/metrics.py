"""The sender's figures: what each is called, what it means, and where it is read."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from common.clock import Clock, monotonic
from common.codec.registry import PROFILES
from common.handoff import DropOldest
from common.metrics import LATENCY_BUCKETS, STAGE_BUCKETS, Exporter
from common.metrics_process import export_process
from common.video import Frame
from proto.packet import Segment
from sender.capture.base import Source
from sender.control import Control
from sender.encode import EncodeStage
from sender.metrics_link import export_link
from sender.pacer import Pacer
from sender.transmit import Transmitter

PREFIX = "semcast_sender_"
STAGES = ("capture", "encode", "map", "contours")
QUIET_SECONDS = 10.0
"""Without a packet for so long the sender counts as failing."""


class SenderMetrics:
    """Exports one sender's parts. `stage_seconds` may be called by any thread, the rest in the event loop."""

    def __init__(self, registry: CollectorRegistry, clock: Clock = monotonic) -> None:
        exporter = self.exporter = Exporter(registry, PREFIX)
        export_process(exporter)
        self._stages = exporter.histogram(
            "stage_seconds",
            "Time that one step of a stage took: capture (decoding and scaling a frame), encode (an access unit), map "
            "(making the map of a frame), contours (coding a unit of maps).",
            STAGE_BUCKETS,
            "stage",
            STAGES,
        )
        self._to_send = exporter.histogram(
            "capture_to_send_seconds",
            "Time from the capture of a unit's first frame until each of its packets left.",
            LATENCY_BUCKETS,
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
        transmit.delayed = self._to_send.observe
        _capture(self.exporter, source, frames, encode)
        _encode(self.exporter, frames, encode)
        _packets(self.exporter, encode, pacer, transmit)
        export_link(self.exporter, control, self._clock)

    def profile(self, current: Callable[[], str], switches: Callable[[], int]) -> None:
        """Which profile is in force, and how often `--profile auto` has changed it."""
        self.exporter.gauge_by(
            "profile",
            "1 for the profile of the last unit.",
            "profile",
            lambda: {name: float(name == current()) for name in PROFILES},
        )
        self.exporter.counter("profile_switches_total", "Changes of the profile.", switches)

    def health(self, source: Source, transmit: Transmitter) -> tuple[bool, dict[str, object]]:
        """Whether packets leave, and what a person would ask next."""
        now = self._clock()
        quiet = now - (self._started if transmit.last_media is None else transmit.last_media)
        details: dict[str, object] = {
            "source": source.name,
            "source_connected": source.stats.connected,
            "source_reconnects": source.stats.reconnects,
            "packets": transmit.packets,
            "seconds_since_packet": None if transmit.last_media is None else round(quiet, 3),
            "uptime_seconds": round(now - self._started, 3),
        }
        return quiet < QUIET_SECONDS, details


def _capture(exporter: Exporter, source: Source, frames: DropOldest[Frame], encode: EncodeStage) -> None:
    counter, stats = exporter.counter, source.stats
    exporter.gauge("source_connected", "1 while the source delivers.", lambda: stats.connected)
    counter("source_reconnects_total", "Times the source was lost.", lambda: stats.reconnects)
    counter(
        "source_entries_broken_total",
        "Entries of a file list passed over because they could not be played.",
        lambda: stats.broken,
    )
    counter(
        "source_publishers_refused_total",
        "Requests and offers of WHIP publishers turned away (wrong token, bad offer, another site).",
        lambda: stats.refused,
    )
    counter("frames_captured_total", "Frames taken from the source.", lambda: stats.frames)
    counter("frames_repeated_total", "Frames sent again because the camera is slow.", lambda: stats.repeated)
    exporter.counter_by(
        "frames_dropped_total",
        "Frames not sent: queue (encoding is slow), late (capture is slow), incomplete (no whole unit), "
        "keys (a two-way session has none yet).",
        "reason",
        lambda: {
            "queue": frames.dropped,
            "late": stats.skipped,
            "incomplete": encode.frames_incomplete,
            "keys": encode.frames_withheld,
        },
    )


def _encode(exporter: Exporter, frames: DropOldest[Frame], encode: EncodeStage) -> None:
    exporter.counter("frames_encoded_total", "Frames handed to the encoder.", lambda: encode.frames_encoded)
    exporter.counter("units_total", "Access units encoded.", lambda: encode.units)
    exporter.gauge("queue_frames", "Frames that wait for the encoder.", lambda: len(frames))
    exporter.gauge(
        "quality_index", "Quality chosen for the last unit, higher is better.", lambda: encode.quality
    )


def _packets(exporter: Exporter, encode: EncodeStage, pacer: Pacer[Segment], transmit: Transmitter) -> None:
    counter, gauge = exporter.counter, exporter.gauge
    counter("packets_total", "Datagrams sent, of all streams.", lambda: transmit.packets)
    counter(
        "bytes_total",
        "Bytes of these on the wire, 28 of IP and UDP a datagram included.",
        lambda: transmit.wire_bytes,
    )
    counter("packets_unsent_total", "Datagrams that could not be sent.", lambda: transmit.unsent)
    counter(
        "packets_withheld_total",
        "Datagrams not sent because the target rate is below the codec's lowest.",
        lambda: encode.packets_withheld,
    )
    counter("packets_stale_total", "Datagrams dropped because newer units waited.", lambda: pacer.dropped)
    counter("network_errors_total", "Errors that the network reported.", lambda: transmit.errors)
    gauge(
        "rate_bytes_per_second", "Wire rate of the last 4 s, headers included.", lambda: transmit.rate() / 8
    )
    gauge("queue_packets", "Datagrams that wait for their time.", lambda: pacer.waiting)
