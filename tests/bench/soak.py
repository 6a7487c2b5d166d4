"""Both daemons for minutes on end: `python -m tests.bench.soak --minutes 10 --loss 0.5 [--kbps 60]`.

Receiver with the page, lossy relay and sender run as real processes on loopback. Half-way the sender is restarted
and random bytes are shot at the receiver's port. Prints what each daemon used and showed; the exit code is 1 when
something grew, too few pictures were shown, or a daemon ended.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from socket import SOCK_STREAM

from tests.demo.process import Child, free_port
from tests.demo.scrape import Figures
from tests.demo.settings import DemoError
from tests.e2e.daemons import RX, Bench, daemons, random_bytes

SAMPLE_SECONDS = 5.0
SETTLE_SECONDS = 120.0  # caches and pools fill up at first
WINDOW_SECONDS = 30.0  # medians over so much at the start and end of what is judged
NOISE_SECONDS = 10.0
MAX_MEMORY_GROWTH = 0.05
MIN_FPS = 14.5
FIGURES = (
    *("packets_total", "packets_lost_total", "packets_dropped_total", "sessions", "takeovers_total"),
    *("units_total", "units_missed_total", "units_damaged_total", "decoder_failures_total"),
    *("frames_shown_total", "frames_concealed_total", "frames_repeated_total", "frames_dropped_total"),
    *("freeze_seconds_total", "playout_delay_seconds"),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process uses at one moment."""

    at: float  # seconds since it was first sampled
    memory_mb: float
    open_files: int
    threads: int
    cpu_seconds: float


class Series:
    """The samples of one process."""

    def __init__(self, child: Child, now: float) -> None:
        self.child = child
        self.samples: list[Sample] = []
        self._begun = now

    def sample(self, now: float) -> None:
        """Raises DemoError when the process has ended."""
        self.child.check()
        child = self.child
        self.samples.append(
            Sample(
                now - self._begun,
                child.memory_mb(),
                child.open_files(),
                child.threads(),
                child.cpu_seconds(),
            )
        )


@dataclass(frozen=True, slots=True)
class Change:
    """Medians of a short while after settling and of the last while."""

    memory_mb: tuple[float, float]
    open_files: tuple[float, float]
    threads: tuple[float, float]

    def complaints(self) -> list[str]:
        """What grew."""
        found = []
        before, after = self.memory_mb
        if after > before * (1 + MAX_MEMORY_GROWTH):
            found.append(f"memory grew from {before:.1f} to {after:.1f} MB")
        for what, (before, after) in (("open files", self.open_files), ("threads", self.threads)):
            if after > before:
                found.append(f"{what} grew from {before:g} to {after:g}")
        return found


def change(samples: Sequence[Sample]) -> Change | None:
    """None when the process did not live long enough to be judged."""
    if not samples or samples[-1].at < SETTLE_SECONDS + 2 * WINDOW_SECONDS:
        return None
    last = samples[-1].at - WINDOW_SECONDS
    early = [s for s in samples if SETTLE_SECONDS <= s.at < SETTLE_SECONDS + WINDOW_SECONDS]
    late = [s for s in samples if s.at >= last]
    if not early:
        return None

    def medians(value: Callable[[Sample], float]) -> tuple[float, float]:
        return statistics.median(map(value, early)), statistics.median(map(value, late))

    return Change(
        medians(lambda s: s.memory_mb), medians(lambda s: s.open_files), medians(lambda s: s.threads)
    )


def cpu_percent(samples: Sequence[Sample]) -> float:
    """Of one core, from the first sample to the last."""
    if len(samples) < 2:
        return 0.0
    first, last = samples[0], samples[-1]
    return 100 * (last.cpu_seconds - first.cpu_seconds) / max(1e-9, last.at - first.at)


def fps_shown(first: Figures, last: Figures, seconds: float) -> float:
    """Pictures a second between two scrapes, without those that were only repeated."""
    fresh = [f.get(RX + "frames_shown_total") - f.get(RX + "frames_repeated_total") for f in (first, last)]
    return (fresh[1] - fresh[0]) / seconds


def row(name: str, samples: Sequence[Sample]) -> str:
    """One line of the table."""
    found = change(samples)
    text = f"{name:12} {samples[-1].at:6.0f} {cpu_percent(samples):6.1f} {max(s.memory_mb for s in samples):8.1f}"
    if found is None:
        return text + "   too short to judge"
    pairs = (found.memory_mb, found.open_files, found.threads)
    return text + "".join(f"{before:10.1f} ->{after:7.1f}" for before, after in pairs)


def memory_by_minute(samples: Sequence[Sample]) -> str:
    """MB at the start of each minute: shows whether it grew by a step or all the time."""
    minutes = {int(s.at // 60): s.memory_mb for s in reversed(samples)}
    return " ".join(f"{minutes[minute]:.1f}" for minute in sorted(minutes))


HEADER = (
    f"{'':12} {'s':>6} {'cpu %':>6} {'peak MB':>8}{'memory MB':>20}{'open files':>20}{'threads':>20}"
    f"   (after {SETTLE_SECONDS:g} s -> at the end)"
)


def poll(web_port: int) -> None:
    """What a browser asks for: the page, the figures, a picture, an event. Raises OSError."""
    for path, size in (("", -1), ("stats.json", -1), ("events", 100), ("stream.mjpeg", 4000)):
        with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/{path}", timeout=5.0) as answer:
            if not answer.read(None if size < 0 else size):
                raise OSError(f"/{path}: empty")


class Soak:
    """One run; `series` and `complaints` fill while it goes on."""

    def __init__(self, bench: Bench, args: argparse.Namespace) -> None:
        self._bench, self._args = bench, args
        self._web_port = free_port(SOCK_STREAM)
        self.series: dict[str, Series] = {}
        self.complaints: list[str] = []
        self.figures = Figures()

    def run(self) -> None:
        """Raises DemoError when a process ends by itself."""
        bench, seconds = self._bench, 60 * self._args.minutes
        backend = ("--decode.backend", self._args.backend)
        web = ("--play", "web", "--web.listen", f"127.0.0.1:{self._web_port}")
        receiver = bench.receiver(*web, *backend, frame_log=False)
        _, port = bench.relay("--loss", str(self._args.loss), "--seed", "1")
        sender = self._sender(port)
        bench.wait("the first picture", lambda: bench.figures().get(RX + "frames_shown_total") > 0)
        first, begun = bench.figures(), time.monotonic()
        self.series = {"receiver": Series(receiver, begun), "sender": Series(sender, begun)}
        self._watch(begun, begun + seconds / 2)
        if code := bench.stop(sender):
            self.complaints.append(f"sender: exit code {code} when stopped")
        self.series["restarted"] = Series(self._sender(port), time.monotonic())
        with random_bytes(bench.udp_port):
            self._watch(begun, time.monotonic() + min(NOISE_SECONDS, seconds / 4), {"sender"})
        self._watch(begun, begun + seconds, {"sender"})
        self.figures = bench.figures()
        fps = fps_shown(first, self.figures, time.monotonic() - begun)
        print(f"\n{fps:.2f} pictures a second shown")
        if not fps >= MIN_FPS:
            self.complaints.append(f"{fps:.2f} pictures a second shown, at least {MIN_FPS} wanted")

    def _sender(self, port: int) -> Child:
        rate = ("--rate.kbps", f"{self._args.kbps:g}")
        return self._bench.sender(port, None, *rate)

    def _watch(self, begun: float, until: float, ended: Collection[str] = ()) -> None:
        """Samples and polls until then."""
        while (now := time.monotonic()) < until:
            for name, series in self.series.items():
                if name not in ended:
                    series.sample(now)
            try:
                poll(self._web_port)
            except OSError as error:
                self.complaints.append(f"page at {now - begun:.0f} s: {error}")
            if sys.stderr.isatty():
                print(f"\r{now - begun:6.0f} s", end="", file=sys.stderr, flush=True)
            time.sleep(max(0.0, min(now + SAMPLE_SECONDS, until) - time.monotonic()))

    def report(self) -> None:
        """The tables; adds to the complaints what grew."""
        print(HEADER)
        for name, series in self.series.items():
            if series.samples:
                print(row(name, series.samples))
                print(f"{'':12} MB by minute: {memory_by_minute(series.samples)}")
            found = change(series.samples)
            self.complaints += [f"{name}: {text}" for text in (found.complaints() if found else [])]
        for name in FIGURES:
            print(f"{RX + name:44} {self.figures.get(RX + name):12.6g}")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--loss", type=float, default=0.5)
    parser.add_argument("--kbps", type=float, default=60.0)
    parser.add_argument("--backend", choices=("auto", "onnxruntime", "openvino"), default="auto")
    args = parser.parse_args(argv)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="semcast-soak-")))
        soak = Soak(stack.enter_context(daemons(folder)), args)
        try:
            soak.run()
        except DemoError as error:
            soak.complaints.append(str(error))
        soak.report()
    for complaint in soak.complaints:
        print(f"FAILED {complaint}")
    return 1 if soak.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
