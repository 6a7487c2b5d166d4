"""The figures of maps at the receiver, for Prometheus and for viewers."""

from __future__ import annotations

import math
from collections.abc import Callable

from common.metrics import Exporter
from receiver.contours.player import ContourPlayer


def export_contours(exporter: Exporter, player: ContourPlayer, announced: Callable[[], bool]) -> None:
    """Register readers for what the parts count; parts lost and brought back are told by stream with those of sound.
    `announced`: whether the sender on show says that it sends maps."""
    counter, gauge, worker = exporter.counter, exporter.gauge, player.worker
    gauge("contours_announced", "1 when the sender on show says that it sends maps.", announced)
    counter(
        "contours_payload_bytes_total", "Bytes of contours, without headers.", lambda: player.payload_bytes
    )
    counter("contours_units_total", "Map units decoded.", lambda: worker.units)
    counter("contours_units_missed_total", "Map units of which nothing came in time.", lambda: player.missed)
    counter(
        "contours_units_dropped_total",
        "Map units that this host was too slow to decode.",
        lambda: worker.dropped,
    )
    counter("contours_maps_total", "Maps decoded.", lambda: worker.maps)
    exporter.counter_by(
        "contours_refused_total",
        "Parts refused: malformed, strange (of another time base), late (their unit was decoded), damaged (its "
        "contours could not be), legend (a malformed one).",
        "reason",
        lambda: player.refused | {"damaged": worker.damaged + worker.failures},
    )
    counter(
        "contours_left_out_total",
        "Polygons left out of maps, for painting them would cost too much.",
        lambda: worker.left_out,
    )
    gauge("contours_instances", "Instances known after the last map unit.", lambda: worker.instances)
    gauge(
        "contours_age_seconds",
        "How much older than the picture on show its map is; NaN while it has none.",
        lambda: math.nan if player.age is None else player.age,
    )
    counter("contours_decode_seconds_total", "Time that decoding map units took.", lambda: worker.seconds)


def contour_status(player: ContourPlayer) -> dict[str, object]:
    """What viewers are told, ready for JSON; None where there is no map."""
    age = player.age
    return {
        "map_age_s": age,
        "map_instances": None if age is None else player.worker.instances,
        "map_units_lost": player.missed,
    }
