"""What a set of videos is made with, and where its videos lie."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from common.tabletop.files import FACTS

STEPS_A_SECOND = 240
"""Of the simulation; the frame rate divides it."""
_SET = "set.json"


@dataclass(frozen=True, slots=True)
class Settings:
    """All videos of a set share these."""

    seed: int = 1
    size: int = 512
    """Side of the pictures, pixels."""
    fps: int = 10
    seconds: float = 10.0
    crf: int = 12
    """Of the pictures (x264): 12 is hard to tell from the original."""

    def check(self) -> None:
        """Raise ValueError for what cannot be rendered."""
        if not 16 <= self.size <= 2048 or self.size % 2:
            raise ValueError(f"size: must be even and 16 to 2048 pixels (got {self.size})")
        if self.fps < 1 or STEPS_A_SECOND % self.fps:
            raise ValueError(
                f"fps: must divide {STEPS_A_SECOND}, for example 10, 15, 24 or 30 (got {self.fps})"
            )
        if not 0 < self.seconds <= 3600:
            raise ValueError(f"seconds: must be above 0 and at most 3600 (got {self.seconds})")

    def hold(self, out: Path) -> None:
        """Record the settings in the set's folder. ValueError where it was made with others."""
        self.check()
        out.mkdir(parents=True, exist_ok=True)
        record, mine = out / _SET, asdict(self)
        if not record.exists():
            record.write_text(json.dumps(mine, indent=1) + "\n")
            return
        try:
            known = dict(json.loads(record.read_text()))
        except (ValueError, TypeError):
            raise ValueError(
                f"{record}: is not the record of a set; remove it or give another --out"
            ) from None
        differ = [f"--{key} {value}" for key, value in known.items() if mine.get(key) != value]
        if differ:
            raise ValueError(f"{out} was made with {' '.join(differ)}: give the same, or another --out")


def folder_of(out: Path, number: int) -> Path:
    """Where a video of a set lies."""
    return out / f"{number:05}"


def missing(out: Path, count: int) -> Sequence[int]:
    """Numbers of the first `count` videos of a set that are not there yet."""
    return [number for number in range(count) if not (folder_of(out, number) / FACTS).exists()]
