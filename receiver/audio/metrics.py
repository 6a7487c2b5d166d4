"""The figures of sound at the receiver, for Prometheus and for viewers."""

from __future__ import annotations

import math
from collections.abc import Callable

from common.metrics import Exporter
from proto.recover import RecoverTally
from receiver.audio.player import AudioPlayer


def export_audio(
    exporter: Exporter, player: AudioPlayer, tally: RecoverTally, announced: Callable[[], bool]
) -> None:
    """Register readers for what the parts count. `tally`: of the audio stream; `announced`: whether the sender on
    show says that it sends sound."""
    counter, gauge, playout = exporter.counter, exporter.gauge, player.playout
    gauge("audio_announced", "1 when the sender on show says that it sends sound.", announced)
    counter("audio_units_total", "Units of the audio stream taken in.", lambda: playout.units)
    counter("audio_units_lost_total", "Units that never became whole.", lambda: tally.units_lost)
    counter("audio_units_repaired_total", "Units that parity was needed for.", lambda: tally.units_repaired)
    exporter.counter_by(
        "audio_units_refused_total",
        "Units refused: malformed, or of another time base.",
        "reason",
        lambda: {"malformed": playout.malformed, "strange": playout.strange},
    )
    counter("audio_frames_late_total", "Frames of sound that came after their time.", lambda: playout.late)
    counter("audio_frames_damaged_total", "Frames of sound that did not decode.", lambda: playout.damaged)
    counter(
        "audio_concealed_seconds_total",
        "Sound that stands for lost sound.",
        lambda: playout.concealed_seconds,
    )
    counter(
        "audio_muted_seconds_total",
        "Silence in place of sound, where a hole was too long to conceal.",
        lambda: playout.muted_seconds,
    )
    counter("audio_jumps_total", "Times that sound was moved to be in step again.", lambda: playout.jumps)
    counter("audio_blocks_total", "Blocks of 20 ms handed to the sinks.", lambda: player.blocks)
    gauge("audio_buffer_seconds", "Sound that waits to be heard.", lambda: playout.buffered)
    gauge(
        "audio_offset_seconds",
        "Lip sync: by how much sound is ahead of its picture; negative where it lags.",
        lambda: playout.offset,
    )
    gauge(
        "audio_margin_seconds",
        "How long before its time the last unit came; negative: too late. NaN before one.",
        lambda: math.nan if playout.margin is None else playout.margin,
    )


def audio_status(player: AudioPlayer) -> dict[str, object]:
    """What viewers are told, ready for JSON; None where no sound has come yet."""
    playout = player.playout
    heard = player.heard
    return {
        "audio": heard,
        "audio_buffer_ms": playout.buffered * 1000 if heard else None,
        "audio_offset_ms": playout.offset * 1000 if heard else None,
        "audio_concealed_seconds": playout.concealed_seconds,
    }
