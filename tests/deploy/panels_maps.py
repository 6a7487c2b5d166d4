"""Panels of maps of classes; empty where none are sent."""

from __future__ import annotations

from tests.deploy.grafana import Panel, Query, Row
from tests.deploy.queries import BAD, rate, rx, tx

MAPS = Row(
    "Maps (profile structure)",
    (
        Panel(
            "Rate of contours",
            "On the wire without parity, and payload alone; the rest is headers.",
            (
                Query(rate(tx("contours_bytes_total")) + " * 8", "on the wire {{instance}}"),
                Query(rate(tx("contours_payload_bytes_total")) + " * 8", "payload {{instance}}"),
            ),
            unit="bps",
        ),
        Panel(
            "Mean IoU of the maps sent",
            "As one decodes them that gets everything, and what is aimed at, by the rate.",
            (
                Query(tx("contours_miou_ratio"), "reached {{instance}}"),
                Query(tx("contours_aim_ratio"), "aimed at {{instance}}"),
            ),
            unit="percentunit",
        ),
        Panel(
            "Frames without a map",
            "queue: making maps is slow (a smaller size, fewer contours.fps); rate: too little of it.",
            (Query(rate(tx("contours_frames_dropped_total")), "{{reason}} {{instance}}"),),
            unit="short",
        ),
        Panel(
            "Map units received",
            "Decoded, missed (nothing came in time), and refused.",
            (
                Query(rate(rx("contours_units_total")), "decoded {{instance}}"),
                Query(rate(rx("contours_units_missed_total")), "missed {{instance}}", "red"),
                Query(rate(rx("contours_refused_total")), "refused: {{reason}} {{instance}}"),
            ),
            unit="short",
        ),
        Panel(
            "Age of the map on show",
            "How much older than its picture; above 0.5 s it is held over.",
            (Query(rx("contours_age_seconds"), "age {{instance}}"),),
            unit="s",
            thresholds=((0.5, BAD),),
        ),
    ),
)
