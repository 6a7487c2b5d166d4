"""A quantiser for each picture, which x265 through FFmpeg lacks: regions of interest, offsets to the quantiser of parts
of a picture, are passed on, and one region may be the whole picture (FFmpeg's filter `addroi` makes it)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import av
from av.filter import Graph

RANGE = 51  # quantisers by which an offset may move one, at most, either way
Mark = Callable[[av.VideoFrame], av.VideoFrame]


def offset(width: int, height: int, by: int) -> Mark:
    """What marks pictures of a size for a quantiser `by` coarser."""
    graph = Graph()
    source = graph.add_buffer(
        width=width, height=height, format=av.VideoFormat("yuv420p", width, height), time_base=Fraction(1, 15)
    )
    region = graph.add("addroi", f"x=0:y=0:w=iw:h=ih:qoffset={by}/{RANGE}")
    sink = graph.add("buffersink")
    source.link_to(region)
    region.link_to(sink)
    graph.configure()

    def mark(frame: av.VideoFrame) -> av.VideoFrame:
        graph.push(frame)
        marked = graph.pull()
        assert isinstance(marked, av.VideoFrame)
        return marked

    return mark
