"""How much faster the sender's clock runs than ours, from nothing but when its packets arrive.

Pure: `now` is passed in.  A packet's transit, arrival minus media time, is the way that it could not avoid, plus
queueing, which is never negative, plus what the clocks have drifted apart.  So drift is the slope of the line
under all transits.  Of the lines that no point is below, the one with the least sum of distances to the points is
wanted (Moon, Skelly and Towsley, "Estimation and removal of clock skew from network delay measurements", INFOCOM
1999).  That sum is the number of points times (their mean minus the line at their mean time), so it is the line
that is highest at the mean time: the edge of the lower convex hull there.  Jitter above the line has no influence.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

WINDOW_S, BUCKET_S = 300.0, 2.0
"""The smallest transit of each bucket is kept: WINDOW_S / BUCKET_S points at any packet rate.  Timestamps have steps
of 4 ms, so that a minute of them tells some tens of ppm and five minutes less than ten."""

MIN_SPAN_S = 30.0
MIN_POINTS = 8
"""Less than this is no estimate."""

MAX_DRIFT = 1000e-6
"""Two clocks of 500 ppm each, the most that NTP slews a clock by (RFC 5905); beyond it something else changed."""

Point = tuple[float, float]


class DriftEstimator:
    """One per session; owned by the event loop thread."""

    def __init__(self) -> None:
        self._points: deque[tuple[int, float, float]] = deque()  # (bucket number, time, its smallest transit)

    def observe(self, transit: float, now: float) -> None:
        """A packet arrived at `now` with this `now - media time`, seconds."""
        bucket = int(now // BUCKET_S)
        if self._points and self._points[-1][0] >= bucket:
            if transit < self._points[-1][2]:
                self._points[-1] = (self._points[-1][0], now, transit)
        else:
            self._points.append((bucket, now, transit))
        while self._points[0][1] < now - WINDOW_S:
            self._points.popleft()

    def forget(self) -> None:
        """The path has changed: transits of before are not comparable."""
        self._points.clear()

    @property
    def drift(self) -> float | None:
        """Seconds that the sender's clock gains on ours in a second; None before it can be told."""
        points = [(time, transit) for _, time, transit in self._points]
        if len(points) < MIN_POINTS or points[-1][0] - points[0][0] < MIN_SPAN_S:
            return None
        slope = envelope_slope(points)
        return None if abs(slope) > MAX_DRIFT else -slope


def envelope_slope(points: list[Point]) -> float:
    """The slope of the best line under all points: two or more, in rising order of time, no time twice."""
    mean = sum(time for time, _ in points) / len(points)
    for (t0, y0), (t1, y1) in pairwise(lower_hull(points)):
        if t1 >= mean:
            return (y1 - y0) / (t1 - t0)
    raise ValueError("points: need at least two")


def lower_hull(points: list[Point]) -> list[Point]:
    """The lower convex hull of points in rising order of time (Andrew's monotone chain)."""
    hull: list[Point] = []
    for t, y in points:
        while len(hull) >= 2:
            (t0, y0), (t1, y1) = hull[-2:]
            if (t1 - t0) * (y - y0) > (y1 - y0) * (t - t0):
                break
            hull.pop()
        hull.append((t, y))
    return hull
