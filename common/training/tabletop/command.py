"""Make tabletop videos: python -m common.training.tabletop --out DIR --videos N --workers W

Each video goes to its own folder: rgb.mp4, instances.mkv, classes.mkv, classes.json, meta.json (README.md here tells
what is in them). Seeded: the same seed gives the same videos. A run that was stopped goes on when it is started again.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from common.training.tabletop.settings import Settings, folder_of, missing

log = logging.getLogger("tabletop")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    args = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    lacking = [name for name in ("pybullet", "embreex") if importlib.util.find_spec(name) is None]
    if lacking:
        return _fail(f"needs {' and '.join(lacking)}; install: pip install 'semcast[tabletop]'")
    settings = Settings(args.seed, args.size, args.fps, args.seconds, args.crf)
    try:
        settings.hold(args.out)
        todo = missing(args.out, args.videos)
        log.info("%d of %d videos are there", args.videos - len(todo), args.videos)
        if todo:
            make(args.out, settings, todo, args.workers)
    except (OSError, ValueError) as error:
        return _fail(str(error))
    except BrokenProcessPool:
        return _fail(
            "a worker was killed, perhaps for want of memory (0.5 GB each at 512x512); try fewer --workers"
        )
    except KeyboardInterrupt:
        log.info("stopped; the same command goes on from here")
        return 130
    return 0


def make(out: Path, settings: Settings, todo: Sequence[int], workers: int) -> None:
    """Render the videos `todo`, several at a time, and log how far it is. Raises what `write_video` does."""
    begun, size = time.monotonic(), 0
    pool = ProcessPoolExecutor(
        min(workers, len(todo)), mp_context=multiprocessing.get_context("spawn"), initializer=_begin
    )
    try:
        jobs = [pool.submit(_job, out, settings, number) for number in todo]
        for done, job in enumerate(as_completed(jobs), 1):
            size += job.result()
            took = time.monotonic() - begun
            log.info(
                "%d of %d videos, %.2f frames/s, %s left; %.1f MB, %.1f MB when done, %.1f GB free",
                *(done, len(todo), done * settings.fps * settings.seconds / took),
                _span(took / done * (len(todo) - done)),
                *(size / 1e6, size / done * len(todo) / 1e6, shutil.disk_usage(out).free / 1e9),
            )
    finally:
        pool.shutdown(cancel_futures=True)


def _job(out: Path, settings: Settings, number: int) -> int:
    from common.training.tabletop.video import write_video

    return write_video(folder_of(out, number), settings, number)


def _begin() -> None:
    """A worker leaves Ctrl-C to the command, keeps to one thread and hides what PyBullet prints when loaded."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    shown, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        import common.training.tabletop.video  # noqa: F401
    finally:
        os.dup2(shown, 2)
        os.close(shown)
        os.close(nowhere)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m common.training.tabletop",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the set")
    parser.add_argument("--videos", type=int, default=1, metavar="N", help="how many (default 1)")
    parser.add_argument("--workers", type=int, default=1, metavar="W", help="processes (default 1)")
    parser.add_argument("--seed", type=int, default=1, help="of the set (default 1)")
    parser.add_argument("--size", type=int, default=512, help="side of the pictures in pixels (default 512)")
    parser.add_argument("--fps", type=int, default=10, help="frames a second (default 10)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a video (default 10)")
    parser.add_argument(
        "--crf", type=int, default=12, help="x264's, of the pictures: lower is finer (default 12)"
    )
    args = parser.parse_args(argv)
    for name, low, high in (("videos", 1, 99_999), ("workers", 1, 256), ("seed", 0, 2**63), ("crf", 0, 51)):
        if not low <= getattr(args, name) <= high:
            parser.error(f"--{name}: must be {low} to {high} (got {getattr(args, name)})")
    return args


def _fail(text: str) -> int:
    print(f"tabletop: {text}", file=sys.stderr)
    return 1


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min {rest:02} s"
