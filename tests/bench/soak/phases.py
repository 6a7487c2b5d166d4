"""What happens to link and daemons during a soak. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

CLEAN: dict[str, object] = {
    "loss": 0.0,
    "burst": None,
    "delay_ms": 20.0,
    "jitter_ms": 0.0,
    "duplicate": 0.0,
    "corrupt": 0.0,
    "reorder": 0.0,
    "rate_kbps": None,
    "queue_ms": 500.0,
}
"""What every phase begins with."""


class Act(Enum):
    """What is done to the daemons when a phase begins."""

    NOTHING = auto()
    OUTAGE = auto()  # nothing passes for OUTAGE_SECONDS, then the sender has another address
    STOP_SENDER = auto()  # SIGTERM, and a new one
    KILL_SENDER = auto()  # SIGKILL, and a new one
    STOP_RECEIVER = auto()
    NEW_KEY = auto()  # another key file, and both anew
    NOISE = auto()  # random bytes at the receiver's port
    RELOAD = auto()  # another rate by SIGHUP


OUTAGE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of the run, all of one length."""

    name: str
    act: Act = Act.NOTHING
    link: dict[str, object] = field(default_factory=dict)  # by the relay's names, see CLEAN

    @property
    def settings(self) -> dict[str, object]:
        """All that the relay is told."""
        return CLEAN | self.link


PHASES = (
    Phase("calm"),
    Phase("loss .3", link={"loss": 0.3}),
    Phase("bursts", link={"loss": 0.5, "burst": 6.0}),
    Phase("40 kbit/s", link={"rate_kbps": 40.0, "loss": 0.05}),
    Phase("jitter", link={"jitter_ms": 30.0, "reorder": 0.05, "loss": 0.1}),
    Phase("loss .9", link={"loss": 0.9}),
    Phase("outage, roam", Act.OUTAGE),
    Phase("sender anew", Act.STOP_SENDER, {"loss": 0.3}),
    Phase("rate by SIGHUP", Act.RELOAD, {"loss": 0.3}),
    Phase("receiver anew", Act.STOP_RECEIVER, {"loss": 0.3}),
    Phase("sender killed", Act.KILL_SENDER, {"loss": 0.3}),
    Phase("noise", Act.NOISE, {"corrupt": 0.05, "duplicate": 0.05, "loss": 0.2}),
    Phase("other key", Act.NEW_KEY, {"loss": 0.3}),
    Phase("loss .6", link={"loss": 0.6}),
    Phase("calm again"),
)
