"""Results of the loss sweep: one row a measurement, kept as a JSON list with one row a line."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

NO_FEEDBACK = "none"

Key = tuple[str, Fraction, str, float, float, str, str, int]


@dataclass(frozen=True, slots=True)
class Row:
    """One clip, sent by one contestant at one wire rate through one seeded loss; quality as means over the frames."""

    contestant: str
    code_rate: str
    """Of the erasure code, `1`, `3/4`, ...; empty where there is none."""
    clip: str
    wire_kbps_target: float
    wire_kbps: float
    """What was really sent, every header counted."""
    over_rate: bool
    """It could not go down to the target."""
    loss: float
    channel: str
    feedback: str
    """Round-trip time of the reports in ms, or NO_FEEDBACK."""
    seed: int
    psnr: float
    ms_ssim: float
    ssim_db: float
    vmaf: float
    haarpsi: float
    frozen_share: float
    longest_freeze_s: float
    frames: int
    late_units: int
    """Units that could not leave in time: lost on every link."""
    fps: float
    delay_ms: float
    frames_limit: int | None
    """The most frames that were taken of a clip, if not all."""

    @property
    def key(self) -> Key:
        """What tells a row from all others of a file; also their order."""
        rate = Fraction(self.code_rate or 0)
        place = (self.clip, self.wire_kbps_target, self.loss, self.channel, self.feedback, self.seed)
        return (self.contestant, rate, *place)

    @property
    def settings(self) -> dict[str, float | None]:
        """What all rows of a file share, or they could not be compared."""
        return {"fps": self.fps, "delay_ms": self.delay_ms, "frames": self.frames_limit}


class RowsError(ValueError):
    """A file of results that cannot be used; the text says why."""


def load(path: Path) -> list[Row]:
    """The rows of a file. Raises RowsError."""
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        raise RowsError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise RowsError(f"{path}: not JSON ({error})") from error
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise RowsError(f"{path}: not a list of rows")
    names = {field.name for field in dataclasses.fields(Row)}
    for item in data:
        if missing := names - item.keys():
            raise RowsError(f"{path}: not of this benchmark: a row has no {', '.join(sorted(missing))}")
    return [Row(**{name: item[name] for name in names}) for item in data]


def save(path: Path, rows: Iterable[Row]) -> None:
    """Writes all rows in the order of their keys; a reader sees the old file or the new one, never half of one."""
    lines = [json.dumps(dataclasses.asdict(row)) for row in sorted(rows, key=lambda row: row.key)]
    part = path.with_name(f".{path.name}.part")
    part.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    os.replace(part, path)
