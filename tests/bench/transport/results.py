"""The rows of a run as a file: written as they come, and read again to go on or to draw."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.transport.processes import missing
from tests.bench.transport.runs import Plan, Row

KEY = ("kind", "contestant", "workload", "condition", "seed")
_VERSIONS = {
    "srt-live-transmit": (["srt-live-transmit", "-version"], r"SRT Library version: (\S+)"),
    "ristsender": (["ristsender", "--help"], r"ristsender version: (\S+)"),
}


class ResultsError(Exception):
    """The file cannot be gone on with."""


def key(row: Row) -> tuple[Any, ...]:
    """What a row is about."""
    return tuple(row[name] for name in KEY)


@dataclass(slots=True)
class Results:
    """What was measured, how, and on which machine."""

    plan: Plan
    rows: list[Row] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    loads: list[float] = field(default_factory=list)  # mean number of runnable processes, 1 min, at each step
    seconds: float = 0.0

    def done(self) -> set[tuple[Any, ...]]:
        """The rows that need not be measured again."""
        return {key(row) for row in self.rows if not row["note"]}

    def add(self, rows: Iterable[Row]) -> None:
        """New rows take the place of those about the same."""
        fresh = {key(row): row for row in rows}
        self.rows = [row for row in self.rows if key(row) not in fresh] + list(fresh.values())

    def save(self, path: Path) -> None:
        """All of it, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = asdict(self) | {"rows": [_rounded(row) for row in self.rows]}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(data, indent=1) + "\n")
        part.replace(path)


def load(path: Path) -> Results:
    """Raises ResultsError."""
    try:
        data = json.loads(path.read_text())
        return Results(**data | {"plan": Plan(**data["plan"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ResultsError(f"{path}: {error}") from None


def machine() -> dict[str, Any]:
    """What the figures depend on; the load is that before anything was started."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    found = {"aiortc": _installed("aiortc")} | {name: _version(name) for name in _VERSIONS}
    return {
        "cores": os.cpu_count(),
        "processor": model[1] if model else platform.machine(),
        "python": platform.python_version(),
        "real_time": os.sched_getscheduler(0) in (os.SCHED_RR, os.SCHED_FIFO),
        "load_before": load_average(),
        "versions": {name: version for name, version in found.items() if version},
    }


def load_average() -> float:
    """Of the last minute."""
    return round(os.getloadavg()[0], 2)


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _version(name: str) -> str | None:
    if missing([name]):
        return None
    command, pattern = _VERSIONS[name]
    run = subprocess.run(command, capture_output=True, text=True, timeout=10.0)
    found = re.search(pattern, run.stdout + run.stderr)
    return found[1] if found else None


def _rounded(row: Row) -> Row:
    def short(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [short(one) for one in value]
        return round(value, 4) if isinstance(value, float) else value

    return {name: short(value) for name, value in row.items()}
