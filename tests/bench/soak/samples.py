"""What a process uses over its life, and whether it grew. Pure but for `Life.sample`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from common.stats.scrape import Scrape
from tests.demo.process import Child

SETTLE_SECONDS = 120.0  # caches and pools fill up at first
WINDOW_SECONDS = 60.0  # medians over so much at the start and end of what is judged
MAX_MEMORY_GROWTH = 0.05


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process uses at one moment."""

    at: float  # seconds since the soak began
    memory_mb: float
    open_files: int
    threads: int
    cpu_seconds: float
    tasks: float = 0.0  # of its event loop; nan where its metrics could not be read


@dataclass(slots=True)
class Life:
    """One process from its start to its end."""

    daemon: str  # sender, receiver
    samples: list[Sample] = field(default_factory=list)

    def sample(self, child: Child, figures: Scrape, at: float) -> None:
        """Take a sample of it. Raises DemoError when the process has ended."""
        child.check()
        used = child.memory_mb(), child.open_files(), child.threads(), child.cpu_seconds()
        tasks = figures.get(f"semcast_{self.daemon}_tasks")
        self.samples.append(Sample(at, *used, tasks))

    @property
    def seconds(self) -> float:
        """From the first sample to the last."""
        return self.samples[-1].at - self.samples[0].at if self.samples else 0.0

    @property
    def cpu_percent(self) -> float:
        """Of one core."""
        if len(self.samples) < 2:
            return 0.0
        spent = self.samples[-1].cpu_seconds - self.samples[0].cpu_seconds
        return 100 * spent / max(1e-9, self.seconds)

    def change(self) -> Change | None:
        """Early against late; None where it did not live long enough to be judged."""
        if self.seconds < SETTLE_SECONDS + 2 * WINDOW_SECONDS:
            return None
        first, last = self.samples[0].at + SETTLE_SECONDS, self.samples[-1].at - WINDOW_SECONDS
        early = [s for s in self.samples if first <= s.at < first + WINDOW_SECONDS]
        late = [s for s in self.samples if s.at >= last]
        return (
            Change(*(_before_and_after(early, late, value) for value in VALUES)) if early and late else None
        )


@dataclass(frozen=True, slots=True)
class Change:
    """What was typical in a while after settling and in the last while."""

    memory_mb: tuple[float, float]
    open_files: tuple[float, float]
    threads: tuple[float, float]
    tasks: tuple[float, float]

    def complaints(self) -> list[str]:
        """What grew."""
        found = []
        before, after = self.memory_mb
        if after > before * (1 + MAX_MEMORY_GROWTH):
            found.append(f"memory grew from {before:.1f} to {after:.1f} MB")
        counts = (("open files", self.open_files), ("threads", self.threads), ("tasks", self.tasks))
        found += [
            f"{what} grew from {before:g} to {after:g}" for what, (before, after) in counts if after > before
        ]
        return found


VALUES: tuple[Callable[[Sample], float], ...] = (
    lambda sample: sample.memory_mb,
    lambda sample: sample.open_files,
    lambda sample: sample.threads,
    lambda sample: sample.tasks,
)


def _before_and_after(
    early: Sequence[Sample], late: Sequence[Sample], value: Callable[[Sample], float]
) -> tuple[float, float]:
    """Medians of memory; the least of what is counted, as a request that happens to be answered is no leak."""
    typical = statistics.median if value is VALUES[0] else min
    return typical(map(value, early)), typical(map(value, late))
