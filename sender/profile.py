"""Which profile the next unit is sent in, for `--profile auto`: rules with hysteresis. Pure: `now` is passed in.

`classic` looks better where the rate is high enough and little is lost, but a unit that it loses costs every unit up
to the next key unit, and only reports tell the sender of it. So the first sign of trouble ends it, within one unit;
and only a link that has been good for a while gets it, the longer the more often it was left. The numbers come from
training clips: `python -m tests.bench.profiles`, table in tests/bench/results/profiles/.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

RESILIENT, CLASSIC = "resilient", "classic"
MINUTE = 60.0
LEAST_KBPS = 120.0
MEASURED = 256 * 256 * 15.0  # luma samples a second of the video that the rules were measured with


@dataclass(frozen=True, slots=True)
class Link:
    """What is known of the link when a unit is about to be encoded."""

    kbps: float  # target rate on the wire
    loss: float | None  # share of packets lost over the last second or two; None: nobody has told
    residual: float  # chance to lose a unit of `classic` as it would be protected now
    rtt: float | None  # seconds; None: unknown
    heard: bool  # reports come in
    congested: bool = False  # delay grows: the rate is being cut
    lost_units: int = 0  # units of `classic` that were reported lost since the last decision


@dataclass(frozen=True, slots=True)
class Rules:
    """Thresholds. What lies between one to enter and one to leave keeps the profile as it is."""

    least_kbps: float = LEAST_KBPS  # below about this `resilient` looks better at most losses
    kbps_margin: float = 0.15  # by which the rate must be above it to enter
    enter_loss: float = 0.10
    leave_loss: float = 0.20
    enter_residual: float = 0.003
    leave_residual: float = 0.02
    enter_rtt: float = 0.4  # s: a lost unit freezes the picture for about this and two units
    leave_rtt: float = 0.6
    good_seconds: float = 4.0  # that the link has to be good for before `classic`
    patience: float = 2.0  # by which that grows each time `classic` had to be left early
    most_seconds: float = 60.0  # to which it may grow
    early: float = 20.0  # s in `classic` after which leaving it is no failure
    dwell: float = 2.0  # s after a switch to `resilient` before good seconds count
    most_switches: int = 6  # within a minute, both ways together

    @classmethod
    def of_video(cls, width: int, height: int, fps: float) -> Rules:
        """For a size and frame rate: the same bits a sample."""
        return cls(least_kbps=LEAST_KBPS * width * height * fps / MEASURED)


class ProfileController:
    """Decides once a unit. Called by one thread. `profile` is what was decided last, `reason` why."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.profile = RESILIENT
        self.reason = "start"
        self._good_since = math.inf
        self._since = -math.inf  # of the profile
        self._needed = self.rules.good_seconds
        self._switches: deque[float] = deque(maxlen=self.rules.most_switches)

    @property
    def needed(self) -> float:
        """Seconds that the link has to be good for before the next `classic`."""
        return self._needed

    def decide(self, link: Link, now: float) -> str:
        """The profile of the next unit. `now`: monotonic seconds."""
        if self.profile == CLASSIC:
            if trouble := self._trouble(link):
                self._leave(trouble, now)
            elif now - self._since >= self.rules.early:
                self._needed = self.rules.good_seconds
        else:
            self._consider(link, now)
        return self.profile

    def _trouble(self, link: Link) -> str:
        """Why `classic` has to end; empty where it need not."""
        rules = self.rules
        if not link.heard or link.loss is None:
            return "no reports"
        if link.lost_units:
            return "unit lost"
        if link.loss >= rules.leave_loss:
            return "loss"
        if link.residual >= rules.leave_residual:
            return "residual loss"
        if link.kbps < rules.least_kbps:
            return "rate"
        if link.congested:
            return "delay"
        return "round trip" if link.rtt is not None and link.rtt >= rules.leave_rtt else ""

    def _good(self, link: Link) -> bool:
        rules = self.rules
        return (
            link.heard
            and link.loss is not None
            and link.loss <= rules.enter_loss
            and link.residual <= rules.enter_residual
            and link.kbps >= rules.least_kbps * (1 + rules.kbps_margin)
            and not link.lost_units
            and not link.congested
            and link.rtt is not None
            and link.rtt <= rules.enter_rtt
        )

    def _consider(self, link: Link, now: float) -> None:
        if not self._good(link):
            self._good_since = math.inf
            return
        self._good_since = min(self._good_since, max(now, self._since + self.rules.dwell))
        if now - self._good_since >= self._needed and self._may_switch(now):
            self._switch(CLASSIC, "good link", now)

    def _may_switch(self, now: float) -> bool:
        """Whether there is room in the minute for going over and coming back."""
        while self._switches and now - self._switches[0] >= MINUTE:
            self._switches.popleft()
        return len(self._switches) + 2 <= self.rules.most_switches

    def _leave(self, trouble: str, now: float) -> None:
        if now - self._since < self.rules.early:
            self._needed = min(self.rules.most_seconds, self._needed * self.rules.patience)
        else:
            self._needed = self.rules.good_seconds
        self._switch(RESILIENT, trouble, now)

    def _switch(self, profile: str, reason: str, now: float) -> None:
        self.profile, self.reason = profile, reason
        self._since, self._good_since = now, math.inf
        self._switches.append(now)
