"""The figures as tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

SHOWN_GAPS = 8


def print_capture(figures: dict[str, Any], console: Console | None = None) -> None:
    """A capture."""
    console = Console() if console is None else console
    console.print(_about(figures))
    for sender in figures["senders"]:
        console.print(_sender(sender))
        console.print(_streams(sender["streams"]))
    if figures["gaps"]["count"]:
        console.print(_gaps(figures["gaps"]))
    for file in figures["files"]:
        for words in _troubles(file):
            console.print(Text(f"{file['name']}: {words}", style="yellow"))


def print_movie(figures: dict[str, Any], console: Console | None = None) -> None:
    """A recording."""
    console = Console() if console is None else console
    state = "" if figures["closed"] else ", not closed: its recorder was killed or still writes"
    table = Table(title=f"{figures['name']}: {figures['format']}, {_size(figures['bytes'])}{state}")
    for name in ("track", "codec", "size", "pictures/s", "packets", "data", "seconds", "gaps"):
        table.add_column(name, justify="left" if name in ("track", "codec") else "right")
    for track in figures["tracks"]:
        fps = f"{track['fps']:g}" if track["fps"] else ""
        table.add_row(
            *(track["kind"], track["codec"], track["size"], fps, str(track["packets"])),
            *(_size(track["bytes"]), f"{track['seconds']:.2f}", str(track["gaps"])),
        )
    console.print(table)
    for line in figures["captions"]:
        console.print(Text(line, style="dim"))


def _about(figures: dict[str, Any]) -> Table:
    table = Table(title=f"what was {figures['kind']}", show_header=False)
    begun = figures["begun_at"]
    rate = figures["rate_kbps"]
    if begun:
        table.add_row("first packet", datetime.fromtimestamp(begun, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"))
    table.add_row("duration", _time(figures["duration"]))
    files = figures["files"]
    table.add_row("files", f"{len(files)}, {_size(sum(file['bytes'] for file in files))}")
    table.add_row("packets", str(figures["packets"]))
    table.add_row(
        "rate",
        f"mean {_number(rate['mean'])}, 95 % below {_number(rate['p95'])}, at most {_number(rate['max'])} kbit/s",
    )
    table.add_row("", sparkline(rate["per_second"]))
    gaps = figures["gaps"]
    table.add_row("silences of 0.5 s or more", f"{gaps['count']}, {gaps['seconds']:.1f} s together")
    if figures["records_missing"]:
        table.add_row(
            "records missing", Text(f"{figures['records_missing']} (disk slow or full)", style="red")
        )
    return table


def _sender(sender: dict[str, Any]) -> Table:
    table = Table(title=f"sender {sender['name'] or sender['origin']}", show_header=False)
    table.add_row("run", sender["origin"])
    keys = "agreed with the receiver" if sender["two_way"] else "of the shared file"
    table.add_row("keys", f"{keys}; {sender['sessions']} session(s)")
    if sender["mode"]:
        table.add_row("mode", sender["mode"])
    table.add_row("seen", f"{_time(sender['from'])} to {_time(sender['to'])}")
    table.add_row("packets", f"{sender['packets']}, loss {sender['loss']:.1%}")
    bursts = ", ".join(f"{count} of {length}" for length, count in sender["bursts"].items() if count)
    table.add_row("runs of lost packets", bursts or "none")
    return table


def _streams(streams: list[dict[str, Any]]) -> Table:
    table = Table()
    table.add_column("stream")
    for flow in streams:
        table.add_column(f"{flow['id']} {flow['name']} {flow['profile']}".strip(), justify="right")
    rows = [_stream(flow) for flow in streams]
    for name in dict.fromkeys(name for row in rows for name in row):
        table.add_row(name, *(row.get(name, "") for row in rows))
    return table


def _stream(flow: dict[str, Any]) -> dict[str, str]:
    row = {"packets": str(flow["packets"]), "on the wire": _size(flow["bytes"])}
    if "units" not in flow:
        return row
    got, expected, spread = flow["packets_received"], flow["packets_expected"], flow["lateness_ms"]
    return row | {
        "units": str(flow["units"]),
        "  whole": str(flow["units_complete"]),
        "  missed wholly": str(flow["units_missed"]),
        "  concealed": str(flow["concealed"]),
        "  refused": str(flow["refused"]),
        "packets of units": f"{got} of {expected} ({share(got, expected):.0%})",
        "  too late": str(flow["packets_late"]),
        "jitter": f"{flow['jitter_ms']:.1f} ms",
        "lateness p50/p95/max": "/".join(_number(spread[name]) for name in ("p50", "p95", "max")) + " ms",
    }


def _gaps(gaps: dict[str, Any]) -> Table:
    table = Table(title="longest silences")
    table.add_column("at", justify="right")
    table.add_column("for", justify="right")
    for gap in gaps["longest"][:SHOWN_GAPS]:
        table.add_row(_time(gap["at"]), f"{gap['seconds']:.2f} s")
    return table


def _troubles(file: dict[str, Any]) -> list[str]:
    out = []
    if not file["closed"]:
        cut = f"; {file['cut_bytes']} bytes of a last record" if file["cut_bytes"] else ""
        out.append(f"not closed: its recorder was killed, still writes, or the disk was full{cut}")
    if file["damaged_bytes"]:
        out.append(f"{file['damaged_bytes']} bytes in it are damaged and were passed over")
    if file["unknown_records"]:
        out.append(f"{file['unknown_records']} records of a kind that is not known here")
    return out


def _time(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:06.3f}" if hours else f"{minutes}:{rest:06.3f}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}"


def share(part: float, whole: float) -> float:
    """part / whole; 0 of nothing."""
    return part / whole if whole else 0.0


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """The values as a row of blocks, averaged to at most `width`."""
    if not values:
        return ""
    blocks = "▁▂▃▄▅▆▇█"
    means = [float(np.mean(part)) for part in np.array_split(np.array(values), min(width, len(values)))]
    top = max(means) or 1.0
    return "".join(blocks[min(7, int(mean / top * 7.99))] for mean in means)
