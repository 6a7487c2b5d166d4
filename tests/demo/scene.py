"""Renders the demo's clip: `python -m tests.demo.scene OUT.mp4 [--size 256x256] [--fps 15] [--seconds 30]`.

The project's own synthetic scene with another seed than the live source, stored nearly without loss.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from common.values import Size, parse_size
from common.video import to_video_frame
from sender.capture.synthetic import SyntheticScene

SEED = 5
OPTIONS = {"preset": "fast", "crf": "4"}


def render(path: Path, size: Size, fps: float, seconds: float, seed: int = SEED) -> None:
    """Writes the clip; the file appears under its name when it is complete."""
    scene = SyntheticScene(size.width, size.height, fps, seed)
    partial = path.with_name(path.name + ".part")
    with av.open(str(partial), "w", format="mp4") as container:
        stream: VideoStream = container.add_stream(
            "libx264", rate=Fraction(fps).limit_denominator(1001), options=dict(OPTIONS)
        )
        stream.width, stream.height, stream.pix_fmt = size.width, size.height, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = 6, 1  # BT.601, limited
        stream.codec_context.thread_count = 2
        for index in range(round(seconds * fps)):
            container.mux(stream.encode(to_video_frame(scene.picture(index), index, 1 / Fraction(fps))))
        container.mux(stream.encode(None))
    partial.replace(path)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.demo.scene", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=parse_size, default=Size(256, 256))
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args(argv)
    render(args.out, args.size, args.fps, args.seconds, args.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
