"""The figures of contours at the sender."""

from __future__ import annotations

from common.metrics import Exporter
from sender.contours.stage import ContourStage
from sender.contours.stream import ContourStream


def export_contours(exporter: Exporter, stage: ContourStage, stream: ContourStream) -> None:
    """Register readers for what the parts count."""
    counter, gauge, figures = exporter.counter, exporter.gauge, stage.figures
    counter("contours_units_total", "Map units sent.", lambda: figures.units)
    counter("contours_maps_total", "Maps in these.", lambda: figures.maps)
    exporter.counter_by(
        "contours_frames_dropped_total",
        "Frames without a map: queue (making maps is slow), none (the source of maps had none), failed, keys (none "
        "agreed yet), rate (not enough of it for a unit).",
        "reason",
        lambda: {
            "queue": stage.frames.dropped,
            "none": figures.empty,
            "failed": figures.failed,
            "keys": figures.unkeyed,
            "rate": figures.withheld,
        },
    )
    counter(
        "contours_restarts_total",
        "Times that the encoder of contours failed, and another took its place.",
        lambda: figures.restarts,
    )
    counter(
        "contours_payload_bytes_total", "Bytes of contours, without headers.", lambda: figures.payload_bytes
    )
    counter(
        "contours_bytes_total",
        "Bytes of these on the wire, headers included, without parity.",
        lambda: figures.wire_bytes,
    )
    counter("contours_parity_total", "Parity packets of contours.", lambda: stream.protected.parity)
    gauge("contours_instances", "Instances in the last map unit.", lambda: figures.instances)
    gauge(
        "contours_miou_ratio",
        "Mean IoU of the maps as one decodes them that gets everything, over the last dozens of units; NaN before one.",
        lambda: figures.miou,
    )
    gauge(
        "contours_aim_ratio",
        "Mean IoU aimed at, as the rate allows, up to `contours.miou`; NaN before a unit.",
        lambda: figures.aim,
    )
