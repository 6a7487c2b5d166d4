"""Panels of sound; empty where none is sent."""

from __future__ import annotations

from tests.deploy.grafana import Panel, Query, Row
from tests.deploy.queries import BAD, increase, rate, rx, tx

SOUND = Row(
    "Sound",
    (
        Panel(
            "Units of sound",
            "Taken in, of these mended by parity, and lost for good; refused ones are of another version.",
            (
                Query(rate(rx("audio_units_total")), "taken in {{instance}}"),
                Query(rate(rx("audio_units_repaired_total")), "mended {{instance}}"),
                Query(rate(rx("audio_units_lost_total")), "lost {{instance}}", "red"),
                Query(rate(rx("audio_units_refused_total")), "refused: {{reason}} {{instance}}"),
            ),
            unit="short",
        ),
        Panel(
            "Sound that did not arrive",
            "Share of the time that is concealed (holes up to 120 ms) and silent (longer ones).",
            (
                Query(rate(rx("audio_concealed_seconds_total")), "concealed {{instance}}"),
                Query(rate(rx("audio_muted_seconds_total")), "silent {{instance}}", "red"),
            ),
            unit="percentunit",
            thresholds=((0.2, BAD),),
        ),
        Panel(
            "Lip sync",
            "By how much sound is ahead of its picture, negative where it lags: within 40 ms nobody notices.",
            (
                Query(rx("audio_offset_seconds"), "ahead {{instance}}"),
                Query(increase(rx("audio_jumps_total")), "jumps {{instance}}", axis="right"),
            ),
            unit="s",
            minimum=None,
        ),
        Panel(
            "Sound in time",
            "How long before its time the last unit came, and how much waits. Below 0: raise playout.delay_ms.",
            (
                Query(rx("audio_margin_seconds"), "margin {{instance}}"),
                Query(rx("audio_buffer_seconds"), "waiting {{instance}}"),
                Query(rate(rx("audio_frames_late_total")), "late frames {{instance}}", "red", "right"),
            ),
            unit="s",
            minimum=None,
        ),
        Panel(
            "Level captured",
            "Root mean square of what the sender hears: 0 is a dead microphone, 1 full scale.",
            (
                Query(tx("audio_level_ratio"), "level {{instance}}"),
                Query(increase(tx("audio_gaps_total")), "gaps {{instance}}", axis="right"),
            ),
            unit="percentunit",
        ),
        Panel(
            "Sound sent",
            "Bits of coded sound, without headers and parity; and parity packets.",
            (
                Query("8 * " + rate(tx("audio_payload_bytes_total")), "sound {{instance}}"),
                Query(rate(tx("audio_parity_total")), "parity packets/s {{instance}}", axis="right"),
            ),
            unit="bps",
        ),
    ),
    collapsed=True,
)
