"""Raw YUV4MPEG2 on standard output: `receiver --play - | ffplay -`."""

from __future__ import annotations

import os
import sys
from fractions import Fraction

import numpy as np

from common.video import picture_size
from receiver.play.base import Shown, ThreadedSink
from receiver.play.fit import Fitter
from receiver.play.mark import marked


class Y4mSink(ThreadedSink):
    """One frame per tick.  A reader that closes its end ends the sink, not the daemon's other sinks."""

    def __init__(self, descriptor: int | None = None, mark: bool = True) -> None:
        """`descriptor`: file descriptor to write to (standard output by default); it is not closed.  `mark`: show in
        the picture when the signal is lost."""
        super().__init__("-")
        self._mark = mark
        self._descriptor = sys.stdout.fileno() if descriptor is None else descriptor
        self._fitter: Fitter | None = None

    def write(self, shown: Shown) -> None:
        if self._fitter is None:
            width, height = picture_size(shown.picture)
            self._fitter = Fitter(width, height)
            self._put(header(width, height, shown.fps))
        picture = self._fitter.fit(marked(shown) if self._mark else shown.picture)
        self._put(b"FRAME\n" + np.ascontiguousarray(picture).tobytes())

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]


def header(width: int, height: int, fps: float) -> bytes:
    """The stream header: progressive, square pixels, 4:2:0 with MPEG-2 chroma siting, limited range."""
    rate = Fraction(fps).limit_denominator(1001)
    fields = f"YUV4MPEG2 W{width} H{height} F{rate.numerator}:{rate.denominator} Ip A1:1 C420mpeg2 XCOLORRANGE=LIMITED"
    return fields.encode() + b"\n"
