"""Which figures of the receiver and of the sender are shown, and what they are called.  Pure."""

from __future__ import annotations

import math

from common.stats.report import Daemon, Mood, Report, Row, Section, Span, Trend, process, stages, uptime
from common.stats.values import NONE, written
from common.stats.values import span as clock

LATENCY = "capture_to_display_seconds"


def receiver(span: Span) -> Report:
    """A running receiver."""
    state = span.which("signal_state", "state")
    moods: dict[str, Mood] = {"live": "good", "lost": "bad"}
    loss, imagined = span.get("packet_loss_ratio"), span.get("imagined_ratio")
    return Report(
        state=f"signal lost {clock(span.get('silence_seconds'))}" if state == "lost" else _signal(state),
        mood=moods.get(state, "warning"),
        uptime=uptime(span.now),
        trends=(
            Trend("rate_bits_per_second", "rate", span.bits("rate_bytes_per_second"), "bit/s"),
            Trend("packet_loss_ratio", "loss", loss, "share", 1.0),
            Trend("imagined_ratio", "imagined", imagined, "share", 1.0),
            Trend("latency_p50_seconds", "latency", span.quantile(0.5, LATENCY, recent=True), "s"),
        ),
        sections=(
            _receiver_link(span),
            _receiver_session(span),
            _receiver_picture(span),
            *_sound(span),
            process(span),
        ),
        stages=stages(span),
    )


def _receiver_link(span: Span) -> Section:
    return Section(
        "link",
        (
            Row("packets_per_second", "packets", span.rate("packets_total"), "/s"),
            Row("packets_lost_per_second", "lost", span.rate("packets_lost_total"), "/s"),
            Row("packets_refused", "refused", span.counts("packets_dropped_total", "reason")),
            Row("units_missed", "units missed", span.get("units_missed_total")),
            Row("units_damaged", "units damaged", span.get("units_damaged_total")),
            Row("jitter_seconds", "jitter", span.get("jitter_seconds"), "s", detail=True),
            Row("packets_reordered", "reordered", span.get("packets_reordered_total"), detail=True),
            Row("path_jumps", "path jumps", span.get("path_jumps_total"), detail=True),
            Row(
                "clock_drift_ppm",
                "clock drift",
                1e6 * span.get("clock_drift_ratio"),
                "ppm",
                detail=True,
            ),
        ),
    )


def _receiver_session(span: Span) -> Section:
    return Section(
        "session",
        (
            Row("sessions", "senders", span.get("sessions")),
            Row("two_way", "keys agreed", _yes(span.get("two_way"))),
            Row("handshakes", "handshakes", span.get("handshakes_total")),
            Row("reports_per_second", "reports", span.rate("reports_total"), "/s"),
            Row("takeovers", "takeovers", span.get("takeovers_total"), detail=True),
            Row("signal_losses", "signal losses", span.get("signal_losses_total"), detail=True),
            Row("text_lines", "text lines", span.get("text_lines_total"), detail=True),
        ),
    )


def _receiver_picture(span: Span) -> Section:
    return Section(
        "picture",
        (
            Row("frames_per_second", "shown", span.rate("frames_shown_total"), "frames/s"),
            Row("frames_concealed", "concealed", span.get("frames_concealed_total")),
            Row("frames_repeated", "repeated", span.get("frames_repeated_total")),
            Row("freeze_seconds", "frozen", span.get("freeze_seconds_total"), "s"),
            Row("latency_p50_10s_seconds", "latency p50", span.quantile(0.5, LATENCY), "s"),
            Row("latency_p95_10s_seconds", "latency p95", span.quantile(0.95, LATENCY), "s"),
            Row("playout_delay_seconds", "playout delay", span.get("playout_delay_seconds"), "s"),
            Row("recovered_ratio", "recovered", _recovered(span), "share", detail=True),
            Row("profile", "profile", span.which("profile", "profile"), detail=True),
            Row("frames_late", "decoded late", span.get("frames_dropped_total"), detail=True),
            Row(
                *("sink_frames_dropped", "dropped by sinks"),
                span.counts("sink_frames_dropped_total", "sink"),
                detail=True,
            ),
            Row(
                *("decoder_failures", "decoder failures", span.get("decoder_failures_total")),
                detail=True,
            ),
        ),
    )


def _sound(span: Span) -> tuple[Section, ...]:
    """Where the sender says that it sends some."""
    if span.get("audio_announced") != 1:
        return ()
    lost, units = span.rate("audio_units_lost_total"), span.rate("audio_units_total")
    rows = (
        Row("audio_units_per_second", "units", units, "/s"),
        Row("audio_lost_ratio", "lost", lost / (lost + units) if lost + units > 0 else math.nan, "share"),
        Row("audio_concealed_ratio", "concealed", span.rate("audio_concealed_seconds_total"), "share"),
        Row("audio_silent_ratio", "silent", span.rate("audio_muted_seconds_total"), "share"),
        Row("audio_offset_seconds", "ahead of picture", span.get("audio_offset_seconds"), "s"),
        Row("audio_margin_seconds", "in time by", span.get("audio_margin_seconds"), "s", detail=True),
        Row("audio_units_repaired", "mended", span.get("audio_units_repaired_total"), detail=True),
        Row("audio_frames_late", "late", span.get("audio_frames_late_total"), detail=True),
    )
    return (Section("sound", rows),)


def _recovered(span: Span) -> float:
    """Share of the regions shown since the reading before that had been recovered."""
    parts = [span.rate("shown_regions_total", trust=trust) for trust in ("received", "recovered", "imagined")]
    return parts[1] / sum(parts) if sum(parts) > 0 else math.nan


def _signal(state: str) -> str:
    return {"live": "live", "waiting": "waiting for signal"}.get(state, "state unknown")


def sender(span: Span) -> Report:
    """A running sender."""
    state, mood = _sending(span)
    reported = span.get("reported_loss_ratio")
    return Report(
        state=state,
        mood=mood,
        uptime=uptime(span.now),
        trends=(
            Trend("rate_bits_per_second", "rate", span.bits("rate_bytes_per_second"), "bit/s"),
            Trend("reported_loss_ratio", "loss", reported, "share", 1.0),
            Trend("rtt_seconds", "round trip", span.get("rtt_seconds"), "s"),
            Trend("frames_encoded_per_second", "encoded", span.rate("frames_encoded_total"), "frames/s"),
        ),
        sections=(
            _sender_link(span),
            _sender_session(span),
            _sender_picture(span),
            *_sound_sent(span),
            process(span),
        ),
        stages=stages(span),
    )


def _sender_link(span: Span) -> Section:
    return Section(
        "link",
        (
            Row(
                *("rate_target_bits_per_second", "target rate"),
                *(span.bits("rate_target_bytes_per_second"), "bit/s"),
            ),
            Row("rate_state", "rate control", span.which("rate_state", "state")),
            Row("packets_per_second", "packets", span.rate("packets_total"), "/s"),
            Row(
                *("reported_residual_loss_ratio", "lost for good"),
                *(span.get("reported_residual_loss_ratio"), "share"),
            ),
            Row("network_errors", "network errors", span.get("network_errors_total")),
            Row("queue_seconds", "queue on the path", span.get("queue_seconds"), "s", detail=True),
            Row("packets_withheld", "withheld", span.get("packets_withheld_total"), detail=True),
            Row("packets_stale", "overtaken", span.get("packets_stale_total"), detail=True),
            Row("packets_unsent", "unsent", span.get("packets_unsent_total"), detail=True),
            Row("queue_packets", "waiting packets", span.get("queue_packets"), detail=True),
        ),
    )


def _sender_session(span: Span) -> Section:
    return Section(
        "session",
        (
            Row("two_way", "keys agreed", _yes(span.get("two_way"))),
            Row("handshakes", "handshakes", span.get("handshakes_total")),
            Row("reports_per_second", "reports", span.rate("reports_total"), "/s"),
            Row("feedback_alive", "heard", _yes(span.get("feedback_alive"))),
            Row("replies_refused", "refused", span.counts("replies_dropped_total", "reason")),
        ),
    )


def _sender_picture(span: Span) -> Section:
    return Section(
        "picture",
        (
            Row("source_connected", "source", _yes(span.get("source_connected"))),
            Row("source_reconnects", "reconnects", span.get("source_reconnects_total")),
            Row(
                *("frames_captured_per_second", "captured"),
                *(span.rate("frames_captured_total"), "frames/s"),
            ),
            Row("frames_dropped", "dropped", span.counts("frames_dropped_total", "reason")),
            Row("units_per_second", "units", span.rate("units_total"), "/s"),
            Row("quality_index", "quality index", span.get("quality_index")),
            Row("profile", "profile", span.which("profile", "profile"), optional=True),
            Row(
                "profile_switches",
                "switches",
                span.get("profile_switches_total"),
                detail=True,
                optional=True,
            ),
            Row("frames_repeated", "repeated", span.get("frames_repeated_total"), detail=True),
            Row("queue_frames", "waiting frames", span.get("queue_frames"), detail=True),
        ),
    )


def _sound_sent(span: Span) -> tuple[Section, ...]:
    """Where sound is on."""
    if math.isnan(span.get("audio_units_total")):
        return ()
    rows = (
        Row("audio_units_per_second", "units", span.rate("audio_units_total"), "/s"),
        Row("audio_bits_per_second", "coded", 8 * span.rate("audio_payload_bytes_total"), "bit/s"),
        Row("audio_level_ratio", "level", span.get("audio_level_ratio"), "share"),
        Row("audio_parity_per_second", "parity", span.rate("audio_parity_total"), "/s"),
        Row("audio_gaps", "gaps", span.get("audio_gaps_total"), detail=True),
    )
    return (Section("sound", rows),)


def _sending(span: Span) -> tuple[str, Mood]:
    if span.get("source_connected") == 0:
        return "no source", "bad"
    if not span.bits("rate_bytes_per_second") > 0:
        return "nothing sent", "bad"
    return f"sending {written(span.bits('rate_bytes_per_second'), 'bit/s')}", "good"


def _yes(value: float) -> str:
    return NONE if math.isnan(value) else "yes" if value else "no"


RECEIVER = Daemon("receiver", "semcast_receiver_", receiver)
SENDER = Daemon("sender", "semcast_sender_", sender)
DAEMONS = (RECEIVER, SENDER)
