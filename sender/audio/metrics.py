"""The figures of sound at the sender."""

from __future__ import annotations

from common.metrics import Exporter
from sender.audio.stage import AudioStage
from sender.protect import ProtectedStream


def export_audio(exporter: Exporter, stage: AudioStage, stream: ProtectedStream) -> None:
    """Register readers for what the parts count."""
    counter, gauge = exporter.counter, exporter.gauge
    counter("audio_seconds_total", "Sound captured and coded.", lambda: stage.seconds)
    counter("audio_units_total", "Units of the audio stream.", lambda: stage.units)
    counter("audio_payload_bytes_total", "Bytes of these, without headers.", lambda: stage.payload_bytes)
    counter("audio_parity_total", "Parity packets of sound.", lambda: stream.parity)
    counter(
        "audio_gaps_total", "Times that captured sound did not go on where it had ended.", lambda: stage.gaps
    )
    gauge(
        "audio_level_ratio",
        "Root mean square of the sound captured last; 1 is full scale.",
        lambda: stage.level,
    )
    gauge("audio_failed", "1 when sound could not be coded and pictures go on without.", lambda: stage.failed)
