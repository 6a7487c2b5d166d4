"""`python -m tests.demo.table`: demo runs at several losses, each with an outage in the middle, as one table.

Each run takes DEMO_SECONDS (60) and some seconds around; the other variables of the demo hold for all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LOSSES = ("0", "0.3", "0.6", "0.9")
DEFAULTS = {"DEMO_SECONDS": "60", "OUTAGE": "2"}
HEAD = (
    "loss",
    "shown fps",
    "longest freeze, s",
    "of it in the outage, s",
    "new pictures after its end, s",
    "wire, kbit/s",
    "latency p50, ms",
    "p95, ms",
    "MS-SSIM",
)


def run(loss: str, out: Path) -> dict[str, Any]:
    """The summary of one demo run. Raises CalledProcessError."""
    environ = {**DEFAULTS, **os.environ, "LOSS": loss, "DEMO_OUT": str(out)}
    subprocess.run([sys.executable, "-m", "tests.demo"], env=environ, check=True, stdout=sys.stderr)
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    return summary


def row(summary: dict[str, Any]) -> tuple[str, ...]:
    """The cells of one run, in the order of HEAD."""
    outage = summary.get("outage") or {}
    cells = (
        summary["settings"]["loss"],
        summary["fps_shown"],
        summary["longest_freeze_s"],
        outage.get("longest_freeze_s"),
        outage.get("new_after_s"),
        summary["wire_kbps"],
        summary["latency_ms"]["p50"],
        summary["latency_ms"]["p95"],
        summary["ms_ssim"],
    )
    return tuple("-" if cell is None else f"{cell:g}" for cell in cells)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = [HEAD, ["---:"] * len(HEAD), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> int:
    """The exit code: 0 done, 1 a run failed."""
    base = Path(os.environ.get("DEMO_OUT", "demo-out"))
    rows = []
    for loss in LOSSES:
        try:
            rows.append(row(run(loss, base / f"loss-{loss}")))
        except subprocess.CalledProcessError:
            return 1
        print(table(rows), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
