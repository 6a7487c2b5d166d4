"""deploy/METRICS.md, made from what the daemons export: `python -m tests.deploy.reference`."""

from __future__ import annotations

from pathlib import Path

from common.metrics import Described
from common.metrics_process import GROUPS, NATIVE, OTHER
from tests.deploy.expositions import DAEMONS, Exposition, exposition

TARGET = Path(__file__).resolve().parents[2] / "deploy" / "METRICS.md"

INTRO = """\
# Metrics

What `/metrics` of both daemons tells, made from the code by `python -m tests.deploy.reference`. Shares (`_ratio`) are
of 1, times in seconds, and NaN is what is not known (yet). Names are stable within a version; labels have the values
given here and no others, so that there are never more than some hundred series a daemon.
"""

UNITS = {
    "bytes_per_second": "bytes/s",
    "seconds": "s",
    "bytes": "bytes",
    "ratio": "of 1",
}
OPEN_LABELS = {
    "sink": "names given to `play`",
    "push": "addresses of media servers given to `play`, without secrets",
    "recording": "names given to `record` and `play`",
    "thread": ", ".join(f"`{group}`" for group in dict.fromkeys((*GROUPS.values(), NATIVE, OTHER))),
    "kind": "`allocated`, `reserved`, `peak`",
}
FACTS = ("version", "wire", "python")


def reference() -> str:
    """The whole text."""
    own = {f"semcast_{daemon}_" for daemon in DAEMONS}
    parts = [INTRO]
    for daemon in DAEMONS:
        shown = exposition(daemon)
        parts.append(f"## {daemon}\n\n{_table(shown, shown.described)}")
    common = [
        Described(name, family.type, family.documentation)
        for name, family in exposition("sender").families.items()
        if not any(name.startswith(prefix) for prefix in own)
    ]
    parts.append(f"## Of every process\n\n{_table(exposition('sender'), common)}")
    return "\n".join(parts)


def unit(name: str) -> str:
    """By the end of a name; empty for plain numbers."""
    stem = name.removesuffix("_total")
    return next((text for end, text in UNITS.items() if stem.endswith(end)), "")


def _table(shown: Exposition, figures: list[Described] | tuple[Described, ...]) -> str:
    rows = ["| name | type | unit | labels | |", "|---|---|---|---|---|"]
    for figure in sorted(figures, key=lambda figure: figure.name):
        cells = (f"`{figure.name}`", figure.kind, unit(figure.name), _labels(shown, figure), figure.help)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def _labels(shown: Exposition, figure: Described) -> str:
    return "; ".join(f"`{label}`{_values(shown, figure.name, label)}" for label in figure.labels)


def _values(shown: Exposition, name: str, label: str) -> str:
    if label in FACTS:
        return ""
    values = OPEN_LABELS.get(label) or ", ".join(f"`{value}`" for value in shown.values(name, label))
    return f": {values}"


if __name__ == "__main__":
    TARGET.write_text(reference())
    print(TARGET)
