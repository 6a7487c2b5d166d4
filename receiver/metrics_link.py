"""The receiver's figures of the link: packets, losses, rate, keys, and what erasure codes have mended."""

from __future__ import annotations

import math
from collections.abc import Mapping

from common.clock import monotonic
from common.metrics import Exporter
from proto.recover import RecoverTally
from proto.report import RUN_LIMITS
from proto.session import ReceiverEndpoint
from proto.streams import STREAMS, VIDEO, DeliveryClass
from proto.wire import Mode
from receiver.player import Player
from receiver.replies import Replies


def export_link(exporter: Exporter, endpoint: ReceiverEndpoint, player: Player, replies: Replies) -> None:
    """Register what is known of packets and of the path that they take."""
    _packets(exporter, endpoint)
    _loss(exporter, endpoint, player, replies)
    _path(exporter, player, replies)
    _sessions(exporter, endpoint, replies)
    export_recovery(exporter, endpoint.recovered)


def _packets(exporter: Exporter, endpoint: ReceiverEndpoint) -> None:
    tally = endpoint.tallies[VIDEO.id]
    exporter.counter("packets_total", "Packets that authenticated, of all streams.", lambda: endpoint.packets)
    exporter.counter(
        "bytes_total", "Bytes of these on the wire, IP and UDP headers included.", lambda: endpoint.wire_bytes
    )
    exporter.counter_by(
        "packets_dropped_total",
        "Packets refused, by reason. Undecryptable: forged (wrong key, damage or forgery), short, oversized, version. "
        "Copies and replays: replayed, duplicate. Too late for display: late.",
        "reason",
        lambda: {str(reason): count for reason, count in endpoint.dropped.items()},
    )
    exporter.counter("video_packets_total", "Packets of video that were taken in.", lambda: tally.received)
    exporter.counter("units_total", "Access units of which something arrived.", lambda: tally.units_closed)
    exporter.counter(
        "units_missed_total", "Access units of which nothing arrived in time.", lambda: tally.units_missed
    )


def _loss(exporter: Exporter, endpoint: ReceiverEndpoint, player: Player, replies: Replies) -> None:
    tally, path = endpoint.tallies[VIDEO.id], replies.reporter.tally
    exporter.counter(
        "packets_lost_total",
        "Packets of video missing when their unit was closed (raw loss), late and withheld ones too.",
        lambda: tally.lost,
    )
    exporter.gauge(
        "packet_loss_ratio",
        "Share of packets lost over the last 2 seconds (raw loss); NaN when nothing came that could tell.",
        lambda: player.figures.share("lost", "sent", monotonic(), math.nan),
    )
    exporter.counts(
        "loss_burst_packets",
        "Lengths of runs of packets lost on the way, all streams of the sender on show; the sum is the packets lost.",
        RUN_LIMITS,
        lambda: (path.runs, path.lost),
    )
    exporter.counter(
        "packets_reordered_total", "Packets that came after a later one.", lambda: path.reordered
    )


def _path(exporter: Exporter, player: Player, replies: Replies) -> None:
    exporter.gauge(
        "rate_bytes_per_second",
        "Wire rate received over the last 2 seconds.",
        lambda: player.figures.rate("bytes", monotonic()),
    )
    exporter.gauge(
        "jitter_seconds",
        "Interarrival jitter of the access units (RFC 3550 section 6.4.1); NaN before any.",
        lambda: _known(replies.reporter.jitter),
    )
    exporter.gauge(
        "delay_gradient_ratio",
        "Seconds a second by which units take longer and longer: above 0 a queue builds up; NaN before any.",
        lambda: _known(replies.reporter.gradient),
    )
    exporter.counter(
        "path_jumps_total", "Times that the path had become longer at once.", lambda: player.path_jumps
    )


def _sessions(exporter: Exporter, endpoint: ReceiverEndpoint, replies: Replies) -> None:
    exporter.gauge("sessions", "Runs of senders with state.", lambda: endpoint.sessions)
    exporter.counter(
        "takeovers_total", "Runs of senders that became the one on show.", lambda: endpoint.takeovers
    )
    exporter.counter(
        "handshakes_total", "Handshakes that a sender has confirmed.", lambda: endpoint.handshakes
    )
    exporter.gauge(
        "session_number",
        "How often the sender on show has renewed its keys without a handshake; NaN without a sender.",
        lambda: math.nan if endpoint.active is None else endpoint.active.number,
    )
    exporter.gauge(
        "two_way",
        "1 while the sender on show and this receiver have agreed on keys.",
        lambda: endpoint.active is not None and endpoint.active.two_way is not None,
    )
    exporter.gauge_by(
        "session_mode",
        "1 for the mode that is configured.",
        "mode",
        lambda: {str(mode): float(mode is endpoint.mode) for mode in Mode},
    )
    exporter.counter("reports_total", "Reports sent to the sender.", lambda: replies.sent)


def export_recovery(exporter: Exporter, tallies: Mapping[int, RecoverTally]) -> None:
    """Register what became of protected streams: `tallies` by stream."""
    protected = [spec for spec in STREAMS.values() if spec.delivery is DeliveryClass.PROTECTED]
    nothing = RecoverTally()

    def by_stream(field: str) -> dict[str, float]:
        return {spec.name: getattr(tallies.get(spec.id, nothing), field) for spec in protected}

    for name, field, help in (
        ("blocks_total", "windows_closed", "Blocks of protected streams of which something arrived."),
        ("blocks_recovered_total", "windows_recovered", "Of these, made whole with the help of parity."),
        ("blocks_failed_total", "windows_failed", "Of these, closed with units missing."),
        ("blocks_broken_total", "windows_broken", "Of these, with parity that contradicts itself."),
        ("protected_units_total", "units_delivered", "Units of protected streams that were whole."),
        ("protected_units_repaired_total", "units_repaired", "Of these, units that parity was needed for."),
        ("protected_units_lost_total", "units_lost", "Units of protected streams missing for good."),
    ):
        exporter.counter_by(name, help, "stream", lambda field=field: by_stream(field))  # type: ignore[misc]


def _known(value: float | None) -> float:
    return math.nan if value is None else value
