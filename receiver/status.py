"""What viewers are told beside the picture: the page, the window and `--stats` show the same figures."""

from __future__ import annotations

from dataclasses import asdict

from proto.endpoint import ReceiverEndpoint
from proto.streams import AUDIO, CONTOURS, VIDEO, StreamSpec
from proto.wire import Reason
from receiver.contours.figures import shares
from receiver.play.base import Shown
from receiver.player import Player
from receiver.text import TextLog

UNNAMED = "unnamed"
"""A map whose legend has not been told, or has no name."""


def status(
    endpoint: ReceiverEndpoint, player: Player, text: TextLog, now: float, recording: bool = False
) -> dict[str, object]:
    """The figures at `now`, ready for JSON; rates and shares are over the last 2 seconds. Event loop thread."""
    sums = player.figures
    latencies = sums.total("latencies", now)
    latency = sums.total("latency", now) / latencies * 1000 if latencies else None
    origin = None if endpoint.active is None else endpoint.active.id
    senders, choice = endpoint.senders(now), endpoint.choice
    active = next((sender for sender in senders if sender.active), None)
    loss = sums.share("lost", "sent", now)
    if len(senders) > 1 and active is not None and active.loss is not None:
        loss = active.loss  # the sums are over all senders
    return {
        "state": str(player.state),
        "sender": (active.name or None) if active else None,
        "recording": recording,
        "sound": announces(endpoint, AUDIO),
        "maps": announces(endpoint, CONTOURS),
        "loss": loss,
        "imagined": sums.share("imagined", "cells", now),
        "recovered": sums.share("recovered", "cells", now),
        "latency_ms": latency,
        "playout_delay_ms": player.delay * 1000,
        "drift_ppm": None if player.drift is None else player.drift * 1e6,
        "rate_kbps": sums.rate("bytes", now) * 8 / 1000,
        "contours_kbps": sums.rate("contours", now) * 8 / 1000,
        "fps_shown": sums.rate("pictures", now),
        "frames_shown": player.shown,
        "frames_concealed": player.concealed,
        "frozen_seconds": player.frozen_seconds,
        "packets_lost": endpoint.tallies[VIDEO.id].lost,
        "text": text.last(origin),
        "text_age_s": text.age(origin, now),
        **map_figures(player.last),
        "packets_forged": endpoint.dropped[Reason.FORGED],
        "senders": [asdict(sender) for sender in senders],
        "chosen": None if choice is None else {"id": choice.id.hex(), "name": choice.name},
    }


def map_figures(shown: Shown | None) -> dict[str, object]:
    """Of the map of classes on show: the name of its legend (None: there is no map; never empty, as a map is shown
    before its legend is told), how much older than the picture it is, and the shares of it that are held over for a
    while and for long."""
    found = None if shown is None else shown.map
    if found is None:
        return {"map": None}
    held, lost = shares(found.trust)
    name = found.legend.name or UNNAMED
    return {"map": name, "map_age_ms": found.age_s * 1000, "map_held": held, "map_lost": lost}


def wishes(endpoint: ReceiverEndpoint, profile: str) -> bool:
    """Whether the sender on show says that its pictures are of a profile."""
    announcement = None if endpoint.active is None else endpoint.active.announcement
    streams = () if announcement is None else announcement.streams
    return any(stream.id == VIDEO.id and stream.profile == profile for stream in streams)


def announces(endpoint: ReceiverEndpoint, spec: StreamSpec) -> bool:
    """Whether the sender on show says that it sends a stream."""
    announcement = None if endpoint.active is None else endpoint.active.announcement
    return announcement is not None and any(stream.id == spec.id for stream in announcement.streams)
