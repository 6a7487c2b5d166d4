"""The readings of the last minute, and what they tell now.  Pure: `now` comes with each reading."""

from __future__ import annotations

import math
from collections import deque

from common.stats.daemons import DAEMONS
from common.stats.report import Daemon, Report, Span
from common.stats.scrape import Scrape, StatsError

TREND_LENGTH = 300
"""Values of a trend that are kept: a wide terminal shows more than the last minute."""
PAST_S = 10.0
"""Quantiles are over this time."""
STARTED = "process_start_time_seconds"


class Watch:
    """Follows one daemon.  Bounded: the readings of the last ten seconds and five minutes of trends."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.trends: dict[str, deque[float]] = {}
        self.lost: str | None = None
        """Why the daemon cannot be read now; None while it can."""
        self.lost_at = 0.0
        self._scrapes: deque[Scrape] = deque()

    def add(self, scrape: Scrape) -> None:
        """Take in a reading.  Raises StatsError when it is that of something else."""
        check(scrape, self.daemon)
        if self._scrapes and scrape.get(STARTED) != self._scrapes[-1].get(STARTED):
            self._scrapes.clear()  # another process: its counters began anew
        self.lost = None
        self._scrapes.append(scrape)
        while len(self._scrapes) > 2 and scrape.at - self._scrapes[1].at >= PAST_S:
            self._scrapes.popleft()
        if len(self._scrapes) > 1:
            self._trend({trend.key: trend.value for trend in self.report().trends})

    def gone(self, reason: str, now: float) -> None:
        """The daemon did not answer."""
        if self.lost is None:
            self.lost_at = now
        self.lost = reason
        self._trend(dict.fromkeys(self.trends, math.nan))

    @property
    def interval(self) -> float:
        """Seconds between the last two readings; 0 before the second."""
        return self._scrapes[-1].at - self._scrapes[-2].at if len(self._scrapes) > 1 else 0.0

    def report(self) -> Report:
        """What there is to show; rates are unknown before the second reading.  Call after `add`."""
        now = self._scrapes[-1]
        before = self._scrapes[-2] if len(self._scrapes) > 1 else now
        return self.daemon.describe(Span(now, before, self._scrapes[0], self.daemon.prefix))

    def _trend(self, values: dict[str, float]) -> None:
        for key, value in values.items():
            self.trends.setdefault(key, deque(maxlen=TREND_LENGTH)).append(value)


def check(scrape: Scrape, daemon: Daemon) -> None:
    """Raises StatsError with the fix when the figures are not those of such a daemon."""
    names = [name for name, _ in scrape.samples]
    if any(name.startswith(daemon.prefix) for name in names):
        return
    for other in DAEMONS:
        if any(name.startswith(other.prefix) for name in names):
            raise StatsError(
                f"that is a {other.name}; use `{other.name} --stats`, or give the {daemon.name}'s address"
            )
    raise StatsError(f"that is no {daemon.name} of ours; give its address")
