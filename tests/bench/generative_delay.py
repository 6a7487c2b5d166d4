"""Whether a stream whose pictures are coded one by one can be shown with a given delay: the bucket of its link."""

from __future__ import annotations

from collections.abc import Sequence


def lateness(units: Sequence[tuple[int, int]], places: Sequence[int], fps: float, kbps: float) -> float:
    """Seconds from capture to display that a stream takes at the least, on a link that carries `kbps`.

    units: (bytes on the wire, number in the order of display) of each picture, in the order of coding; places: which
    frame of the clip each number is, at `fps`. Coding takes no time, and starts when all that came before in the order
    of coding has been captured. What lies between two pictures is mixed of them, so it waits for the later one."""
    sent, captured, most = 0.0, 0.0, 0.0
    for size, number in units:
        captured = max(captured, (places[number] + 1) / fps)
        sent = max(sent, captured) + size / 125 / kbps
        needed = places[number - 1] + 1 if number else 0  # the first frame that this picture is part of
        most = max(most, sent - (needed + 1) / fps)
    return most
