"""Figures of recordings and captures for Prometheus, the same for both daemons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from common.capture.writer import CaptureWriter
from common.metrics import Exporter
from common.record.recording import Recording


def export(
    exporter: Exporter, recordings: Callable[[], Sequence[Recording[Any]]], captures: Sequence[CaptureWriter]
) -> None:
    """Register readers. One series for each recording, by the name it was asked for under; `recordings` may change."""

    def everything() -> list[Recording[Any]]:
        return [*recordings(), *(capture.recording for capture in captures)]

    def by(name: str, help: str, read: str) -> None:
        exporter.counter_by(
            name, help, "recording", lambda: {one.name: float(getattr(one, read)) for one in everything()}
        )

    by("recording_bytes_total", "Bytes written to recordings and captures.", "bytes")
    by("recording_files_total", "Files begun.", "files")
    by(
        "recording_pauses_total",
        "Times that a recording paused because the disk was full or failed.",
        "pauses",
    )
    by("recording_skipped_total", "Pictures, or batches of packets, not recorded because of that.", "skipped")
    exporter.counter_by(
        "recording_files_deleted_total",
        "Old files deleted to keep within record.keep_gb.",
        "recording",
        lambda: {one.name: one.storage.deleted for one in everything()},
    )
    exporter.gauge_by(
        "recording_paused",
        "1 while nothing can be recorded.",
        "recording",
        lambda: {one.name: float(one.paused) for one in everything()},
    )
    exporter.counter_by(
        "capture_records_dropped_total",
        "Records missing from a capture because the disk was too slow or full.",
        "recording",
        lambda: {capture.recording.name: capture.dropped for capture in captures},
    )
