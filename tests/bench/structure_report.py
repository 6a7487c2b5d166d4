"""The tables of the structure bench: targets, what goes on the wire, loss, and every row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tests.bench.structure_run import Row
from tests.bench.structure_wire import SHARE, best

TARGETS = {"camvid": 0.0027, "tabletop": 0.00015}  # bpp of payload at a mean IoU of .85
PAPER = {"camvid": 0.0054, "tabletop": 0.0003}  # of the paper, on other data of that kind
DROPS = {0.3: 0.03, 0.5: 0.08}  # mean IoU that may be lost, by loss
UNPROTECTED = "unprotected, no loss"  # the method that rows of loss are compared with
FIELDS = ("bpp", "wire_bpp", "kbps", "wire_kbps", "miou", "encode_ms", "decode_ms")
FORMS = ("{:.6f}", "{:.6f}", "{:.2f}", "{:.2f}", "{:.3f}", "{:.1f}", "{:.2f}")


def mean(group: Sequence[Row]) -> Row:
    """The means of rows of one setting."""
    first = asdict(group[0])
    for field in (*FIELDS, "largest_ms"):
        values = [getattr(row, field) for row in group]
        first[field] = None if None in values else float(np.mean(values))
    return Row(**first)


def at_floor(rows: Iterable[Row], name: str) -> Row | None:
    """Ours at floor .85 on a set."""
    return next(
        (
            row
            for row in rows
            if row.set == name and row.method == "adaptive" and row.parameters["floor"] == 0.85
        ),
        None,
    )


def written(rows: Sequence[Row]) -> str:
    """All tables, in Markdown."""
    parts = [
        "# Contour-coded maps: rate, mean IoU and loss\n",
        "Made by `python -m tests.bench.structure`; what the columns mean stands there.\n",
        "## Rate at mean IoU .85\n",
        _rates(rows),
        "\n## Maps in a packet, floor .85\n",
        _lines(
            ("set", "maps", "payload bpp", "wire bpp", "wire kbit/s", "mIoU"),
            (
                (
                    row.set,
                    f"{row.parameters['P']:g}",
                    f"{row.bpp:.6f}",
                    f"{row.wire_bpp or 0:.6f}",
                    f"{row.wire_kbps or 0:.2f}",
                    f"{row.miou:.3f}",
                )
                for row in rows
                if row.method == "packets"
            ),
        ),
        f"\n## The contours' share ({SHARE:.0%}) of a wire rate\n",
        _lines(
            ("set", "kbit/s of all", "maps in a packet", "floor", "wire kbit/s of contours", "mIoU"),
            (
                (
                    row.set,
                    f"{row.parameters['kbps']:g}",
                    f"{row.parameters['P']:g}",
                    f"{row.parameters['floor']:g}",
                    f"{row.wire_kbps or 0:.2f}",
                    f"{row.miou:.3f}",
                )
                for row in best(rows)
            ),
        ),
        "\n## Mean IoU against loss, at 1.5 times the wire rate of floor .85\n",
        _losses(rows),
        "\n## Every row\n",
        _lines(
            (
                "set",
                "method",
                "",
                "bpp",
                "wire bpp",
                "kbit/s",
                "wire kbit/s",
                "mIoU",
                "encode ms",
                "decode ms",
            ),
            ((row.set, row.method, _shown(row), *_cells(row)) for row in rows),
        ),
    ]
    return "\n".join(parts)


def _rates(rows: Sequence[Row]) -> str:
    lines = []
    for name in dict.fromkeys(row.set for row in rows):
        ours = at_floor(rows, name)
        if ours is None:
            continue
        papers = [row for row in rows if row.set == name and row.method == "paper"]
        equal = min(
            (row.bpp for row in papers if row.miou >= ours.miou - 0.005), default=None
        )  # the paper's method
        target = TARGETS.get(name)
        lines.append(
            (
                name,
                f"{ours.bpp:.6f}",
                f"{ours.miou:.3f}",
                "" if target is None else f"{target:.5f}: {_met(ours.bpp <= target)}",
                f"{PAPER[name]:.4f}" if name in PAPER else "",
                "" if equal is None else f"{equal:.6f}",
                f"{ours.encode_ms or 0:.1f}: {_met((ours.encode_ms or 0) <= 4)}",
                f"{ours.decode_ms or 0:.2f}: {_met((ours.decode_ms or 0) <= 2)}",
            )
        )
    heads = (
        "set",
        "bpp",
        "mIoU",
        "target bpp",
        "paper says",
        "paper's method here, equal mIoU",
        "encode ms (4)",
        "decode ms (2)",
    )
    return _lines(heads, lines)


def _losses(rows: Sequence[Row]) -> str:
    lines = []
    for row in rows:
        if not row.method.startswith("loss, "):
            continue
        ours = next((one for one in rows if (one.set, one.method) == (row.set, UNPROTECTED)), None)
        drop = (ours.miou if ours else 0.0) - row.miou
        allowed = DROPS.get(row.parameters["loss"])
        lines.append(
            (
                row.set,
                row.method.removeprefix("loss, "),
                *(f"{row.parameters[name]:g}" for name in ("delay", "loss", "floor", "P", "parity")),
                f"{row.bpp / ours.bpp:.2f}" if ours else "",
                f"{(row.wire_bpp or 0) / (ours.wire_bpp or 1):.2f}" if ours else "",
                f"{row.miou:.3f}",
                f"{drop:+.3f}",
                "" if allowed is None else _met(drop <= allowed),
            )
        )
    heads = (
        "set",
        "loss is",
        "delay s",
        "loss",
        "floor",
        "maps a unit",
        "parity",
        "payload x",
        "wire x",
        "mIoU",
        "lower by",
        "target",
    )
    return _lines(heads, lines)


def _met(good: bool) -> str:
    return "met" if good else "missed"


def _shown(row: Row) -> str:
    return " ".join(f"{name}={value:g}" for name, value in row.parameters.items())


def _cells(row: Row) -> list[str]:
    values = [getattr(row, field) for field in FIELDS]
    return ["" if value is None else form.format(value) for form, value in zip(FORMS, values, strict=True)]


def _lines(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    every = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in every) + "\n"


def read(path: Path) -> list[Row]:
    """Rows that were written before; none where there are none, or of another form."""
    try:
        return [Row(**row) for row in json.loads(path.read_text())]
    except (OSError, ValueError, TypeError):
        return []


def write(found: Sequence[Row], out: Path) -> list[Row]:
    """structure.json and structure.md of these rows and of what was there of other sets and methods; returns all."""
    out.mkdir(parents=True, exist_ok=True)
    new = {(row.set, row.method) for row in found}
    rows = [row for row in read(out / "structure.json") if (row.set, row.method) not in new] + list(found)
    rows.sort(key=lambda row: row.set)
    (out / "structure.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    (out / "structure.md").write_text(written(rows))
    return rows
