"""The sender's figures of the link: what the receiver tells, the rate that follows from it, and the keys in use."""

from __future__ import annotations

import math
from collections.abc import Callable

from common.clock import Clock
from common.metrics import Exporter
from proto.report import PlayoutState, Report
from proto.wire import Mode
from sender.congestion import State
from sender.control import Control
from sender.feedback import Feedback
from sender.text import TextStream


def export_link(exporter: Exporter, control: Control, clock: Clock) -> None:
    """Register what the conversation with the receiver tells."""
    _rate(exporter, control)
    _lengths(exporter, control)
    _reports(exporter, control)
    _told(exporter, control.feedback, clock)
    _keys(exporter, control)
    _text(exporter, control.text)


def _rate(exporter: Exporter, control: Control) -> None:
    gauge, congestion = exporter.gauge, control.congestion
    gauge(
        "rate_target_bytes_per_second",
        "Wire rate aimed at now, headers included.",
        lambda: control.kbps * 125,
    )
    gauge(
        "rate_limit_bytes_per_second",
        "The most that the target may become (`rate.kbps`).",
        lambda: congestion.cap * 125,
    )
    gauge(
        "rate_capacity_bytes_per_second",
        "What the path carried when it was last over-used; NaN while that is not known, or out of date.",
        lambda: math.nan if congestion.capacity is None else congestion.capacity * 125,
    )
    exporter.counter(
        "rate_cuts_total", "Times that the rate was cut because of a queue.", lambda: congestion.cuts
    )
    exporter.gauge_by(
        "rate_state",
        "1 for what the rate control is doing.",
        "state",
        lambda: {str(state): float(state is congestion.state) for state in State},
    )
    gauge(
        "queue_seconds",
        "Time that packets stand in a queue of the path at least (the standing queue), as last seen.",
        lambda: congestion.standing,
    )
    gauge(
        "queue_longest_seconds",
        "The longest that one of the last packets waited in a queue of the path.",
        congestion.queue.longest,
    )
    gauge(
        "link_loss_ratio",
        "Loss that is the link's own, which a lower rate would not cure.",
        lambda: congestion.losses.usual,
    )


def _lengths(exporter: Exporter, control: Control) -> None:
    lengths = control.lengths
    exporter.gauge(
        "payload_limit_bytes",
        "The most bytes that a payload of the last unit could have: lower where shorter packets lose less.",
        lambda: control.payload_limit,
    )
    exporter.counter(
        "packet_length_trials_total",
        "Units cut into shorter or longer packets to see what becomes of them.",
        lambda: 0 if lengths is None else lengths.trials,
    )


def _reports(exporter: Exporter, control: Control) -> None:
    feedback = control.feedback
    exporter.counter("reports_total", "Reports of the receiver taken in.", lambda: feedback.reports)
    exporter.counter_by(
        "reports_refused_total",
        "Reports that were of no use: stale (older than one before), strange (of another session), malformed.",
        "reason",
        lambda: {"stale": feedback.stale, "strange": feedback.strange, "malformed": control.malformed},
    )
    exporter.gauge(
        "report_loss_ratio",
        "Share of reports that are lost on their way back; NaN before one.",
        lambda: math.nan if feedback.last is None else feedback.report_loss,
    )
    exporter.gauge(
        "feedback_alive", "1 while reports come in under agreed keys.", lambda: control.heard().alive
    )
    exporter.counter_by(
        "replies_dropped_total",
        "Datagrams from the receiver that were refused, by reason.",
        "reason",
        lambda: {str(reason): count for reason, count in control.session.dropped.items()},
    )


def _told(exporter: Exporter, feedback: Feedback, clock: Clock) -> None:
    """NaN before the first report, and the last value when reports stop: see `feedback_alive`."""

    def last(read: Callable[[Report], float]) -> Callable[[], float]:
        return lambda: math.nan if feedback.last is None else read(feedback.last)

    gauge = exporter.gauge
    gauge(
        "rtt_seconds",
        "Round-trip time, smoothed; NaN before a report.",
        lambda: math.nan if feedback.rtt is None else feedback.rtt,
    )
    gauge(
        "rtt_min_seconds",
        "The smallest round-trip time; NaN before a report.",
        lambda: feedback.min_rtt if math.isfinite(feedback.min_rtt) else math.nan,
    )
    gauge(
        "reported_loss_ratio",
        "Share of packets lost over the last 10 s, before recovery, as reported; NaN before a report.",
        last(lambda _: feedback.loss(clock())),
    )
    gauge(
        "reported_residual_loss_ratio",
        "Share of units of which nothing could be shown over the last 10 s (loss after recovery), as reported; NaN "
        "before a report.",
        last(lambda _: feedback.residual_loss(clock())),
    )
    gauge(
        "reported_jitter_seconds",
        "Jitter that the receiver sees; NaN before a report.",
        last(lambda report: report.jitter_ms / 1000),
    )
    gauge(
        "reported_delay_gradient_ratio",
        "Seconds a second by which units take longer, as reported; NaN before a report.",
        last(lambda report: report.gradient / 1000),
    )
    gauge(
        "reported_playout_delay_seconds",
        "The receiver's playout delay; NaN before a report.",
        last(lambda report: report.playout_delay_ms / 1000),
    )
    exporter.gauge_by(
        "reported_state",
        "1 for what the receiver last said that it shows.",
        "state",
        lambda: {
            state.name.lower(): float(feedback.last is not None and state is feedback.state)
            for state in PlayoutState
        },
    )


def _keys(exporter: Exporter, control: Control) -> None:
    session = control.session
    exporter.gauge_by(
        "session_mode",
        "1 for the mode that is configured.",
        "mode",
        lambda: {str(mode): float(mode is session.mode) for mode in Mode},
    )
    exporter.gauge(
        "two_way", "1 while packets go out under keys agreed with the receiver.", lambda: session.two_way
    )
    exporter.counter("handshakes_total", "Handshakes done with a receiver.", lambda: session.handshakes)
    exporter.gauge(
        "session_number", "How often the keys without a handshake have been renewed.", lambda: session.number
    )
    exporter.gauge(
        "key_packets_remaining",
        "Packets that the keys in use may still seal. They are renewed when 2^30 of 2^32 are used, or after an hour.",
        lambda: session.remaining,
    )


def _text(exporter: Exporter, text: TextStream) -> None:
    exporter.counter("text_lines_total", "Lines of the operator's text taken.", lambda: text.lines)
    exporter.counter(
        "text_dropped_total", "Of these, lines that found too many waiting.", lambda: text.dropped
    )
    exporter.gauge("text_waiting", "Lines that the receiver has not acknowledged.", lambda: text.waiting)
