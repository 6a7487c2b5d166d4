"""How long and how large the files of a recording may become, and how much of the disk they may take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.config import Section, option

MB, GB = 1_000_000, 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What Storage and Recording keep to; None: no limit."""

    part_seconds: float | None = None
    part_bytes: int | None = None
    keep_bytes: int | None = None
    """Of all parts together; older ones are deleted. None: nothing is ever deleted."""
    free_bytes: int = 0
    """What is left free on the file system."""
    sync_seconds: float = 0.0
    """How much a power loss may cost; 0 leaves that to the system."""

    @property
    def parts(self) -> bool:
        """Whether there is more than one file."""
        return self.part_seconds is not None or self.part_bytes is not None


class RecordSection(Section):
    """Recordings and captures; the limits hold for each of them."""

    files: tuple[Path, ...] = option((), "what to record into", alias="--record", metavar="FILE")
    segment_minutes: float | None = option(
        None,
        "start another file after so long; names get a number, or give a pattern of the time in UTC: "
        "flight-%Y%m%d-%H%M%S.mkv",
        unit="min",
        gt=0,
        le=10080,
    )
    segment_mb: float | None = option(None, "start another file at this size", unit="MB", gt=0)
    keep_gb: float | None = option(
        None,
        "delete the oldest files of this recording when they take more than that together, or when the disk is "
        "full; files of others are never touched; off: nothing is ever deleted",
        unit="GB",
        gt=0,
    )
    min_free_mb: float = option(
        100.0,
        "leave so much of the disk free: below it recording pauses (playback goes on) and resumes when there is room",
        unit="MB",
        ge=0,
    )
    sync_s: float = option(
        2.0,
        "write through to the disk this often, so that a power loss costs no more; 0: when the system likes to",
        unit="s",
        ge=0,
        le=3600,
    )

    @property
    def rules(self) -> Rules:
        """What the recorders take."""
        return Rules(
            None if self.segment_minutes is None else self.segment_minutes * 60,
            None if self.segment_mb is None else round(self.segment_mb * MB),
            None if self.keep_gb is None else round(self.keep_gb * GB),
            round(self.min_free_mb * MB),
            self.sync_s,
        )
