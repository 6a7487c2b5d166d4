"""What is in a recording, read without decoding it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
from av.video.stream import VideoStream

GAP = 1.5
"""Picture times between two pictures from which on one is missing."""

MOST_CAPTIONS = 3


def examine(path: Path) -> dict[str, Any]:
    """Streams, pictures, duration, gaps, the last captions. Raises OSError, av.FFmpegError."""
    with av.open(str(path)) as container:
        tracks = {stream.index: _track(stream) for stream in container.streams}
        last: dict[int, float] = {}
        captions: list[str] = []
        for packet in container.demux():
            track = tracks[packet.stream_index]
            if packet.pts is None or packet.time_base is None:
                continue
            at = float(packet.pts * packet.time_base)
            track["packets"] += 1
            track["bytes"] += packet.size
            if track["kind"] == "subtitle":
                captions = [*captions, bytes(packet).decode("utf-8", "replace")][-MOST_CAPTIONS:]
            before = last.get(packet.stream_index)
            if before is not None and track["fps"] and at - before > GAP / track["fps"]:
                track["gaps"] += 1
            last[packet.stream_index] = max(at, before or 0.0)
            track["seconds"] = round(
                last[packet.stream_index] + (1 / track["fps"] if track["fps"] else 0.0), 3
            )
        return {
            "kind": "recording",
            "name": str(path),
            "bytes": path.stat().st_size,
            "format": container.format.name,
            "closed": container.duration is not None,
            "tracks": list(tracks.values()),
            "captions": captions,
        }


def _track(stream: Any) -> dict[str, Any]:
    video = isinstance(stream, VideoStream)
    rate = stream.guessed_rate or stream.average_rate if video else None
    return {
        "kind": stream.type,
        "codec": stream.codec_context.name if stream.codec_context is not None else "",
        "size": f"{stream.width}x{stream.height}" if video else "",
        "fps": round(float(rate), 3) if rate else 0.0,
        "packets": 0,
        "bytes": 0,
        "seconds": 0.0,
        "gaps": 0,
    }
