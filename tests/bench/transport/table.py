"""The rows as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from tests.bench.transport.contestants import BY_KEY
from tests.bench.transport.results import Results
from tests.bench.transport.runs import CONDITIONS, DELAY_S, Row
from tests.bench.transport.workload import WORKLOADS

NOTES = """\
All through the same relay, {delay_ms:g} ms each way, the same losses for the same packet numbers, both ways.
*Delivered*: share of packets that came within their budget and {late_s:g} s. *Usable*: share of units. A unit of the
peers, or of a protected stream of ours, is usable when all of its packets came; a tolerant one when any did, for that
is how its codec cuts it (how good such a unit looks is a matter of other benchmarks). *Latency*: of packets that came,
ms from being handed over; SRT and RIST hold every packet for their budget, ours and WebRTC hand it on at once.
*Overhead*: wire bytes both ways, 28 of IP and UDP a packet included, by payload byte delivered. *Freeze*: the longest
run of unusable units. *Loss unknown*: protection against a loss of 0.1, whatever it is; *loss known*: against that of
the link, bursts included. Handshakes meet the same losses; only WebRTC's offer and answer go another way. SRT and RIST
are not encrypted here, ours and WebRTC are.
"""


def markdown(results: Results) -> str:
    """Everything."""
    parts = [_machine(results), NOTES.format(delay_ms=1e3 * DELAY_S, late_s=results.plan.late_s)]
    delivered = [row for row in results.rows if row["kind"] == "delivery"]
    for name, workload in WORKLOADS.items():
        rows = [row for row in delivered if row["workload"] == name]
        if rows:
            what = f"{workload.units_per_s:g} units/s of {workload.packets} x {workload.size} bytes"
            title = "Control messages" if workload.message else f"{name} of payload"
            parts.append(f"## {title}: {what}\n")
            parts += [] if workload.message else [_summary(rows)]
            parts.append(_details(rows))
    begun = [row for row in results.rows if row["kind"] == "start"]
    if begun:
        parts.append(_starts(begun))
    return "\n".join(parts)


def _machine(results: Results) -> str:
    m = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in m["versions"].items())
    first = "; all of them scheduled before all others (SCHED_RR)" if m["real_time"] else ""
    load = f"{min(results.loads, default=0.0):g} to {max(results.loads, default=0.0):g}"
    return (
        f"# Transports beside each other\n\n{m['cores']} cores ({m['processor']}), Python {m['python']}; {versions}."
        f" Load {m['load_before']:g} before the run, {load} during it (1 min, the run's own processes included{first});"
        f" {results.plan.window_s:g} s measured of each, {results.seconds:.0f} s in all.\n"
    )


def _order(rows: Iterable[Row]) -> tuple[list[str], list[str]]:
    """Contestants and conditions that there are, in their usual order."""
    rows = list(rows)
    keys = {row["contestant"] for row in rows}
    names = {row["condition"] for row in rows}
    return [key for key in BY_KEY if key in keys], [c.name for c in CONDITIONS if c.name in names]


def _find(rows: Iterable[Row], contestant: str, condition: str) -> list[Row]:
    return [row for row in rows if (row["contestant"], row["condition"]) == (contestant, condition)]


def _summary(rows: Sequence[Row]) -> str:
    contestants, conditions = _order(rows)
    lines = ["Usable units, % (overhead):\n", _head(["", *conditions])]
    for contestant in contestants:
        cells = [_usable(_find(rows, contestant, condition)) for condition in conditions]
        lines.append(_line([BY_KEY[contestant].label, *cells]))
    return "\n".join(lines) + "\n"


def _usable(rows: Sequence[Row]) -> str:
    if not rows:
        return "-"
    row = rows[0]
    if "usable" not in row:
        return "not run" if row["note"].startswith("not run") else "failed"
    cost = "" if row["overhead"] is None else f" ({row['overhead']:.2f})"
    return f"{100 * row['usable']:.1f}{cost}"


def _details(rows: Sequence[Row]) -> str:
    contestants, conditions = _order(rows)
    heads = (
        "",
        "delivered %",
        "usable %",
        "p50",
        "p95",
        "p99",
        "overhead",
        "forward",
        "back",
        "freeze s",
        "",
    )
    lines = [_head(["", *heads], left=2)]
    for condition in conditions:
        for contestant in contestants:
            for row in _find(rows, contestant, condition):
                lines.append(_line([condition, BY_KEY[contestant].label, *_figures(row)]))
    return "\n".join(lines) + "\n"


def _figures(row: Row) -> list[str]:
    if "usable" not in row:
        return [""] * 8 + ["", row["note"]]
    latency = ["-"] * 3 if row["latency_ms"] is None else [f"{value:.0f}" for value in row["latency_ms"]]
    overhead = "-" if row["overhead"] is None else f"{row['overhead']:.2f}"
    notes = [row["note"]] if row["note"] else []
    if row["connected_s"] is None:
        notes.append("nothing came before the window")
    if "resumed_s" in row:
        after = row["resumed_s"]
        notes.append("never resumed" if after is None else f"resumed after {after:.2f} s")
    if row["late"]:
        notes.append(f"{row['late']} late")
    shares = [f"{100 * row['delivered']:.1f}", f"{100 * row['usable']:.1f}"]
    rates = [f"{row['forward_kbps']:.0f}", f"{row['back_kbps']:.1f}", f"{row['freeze_s']:.1f}"]
    return [*shares, *latency, overhead, *rates, "; ".join(notes)]


def _starts(rows: Sequence[Row]) -> str:
    contestants, conditions = _order(rows)
    lines = [
        "## Start\n",
        "Seconds from the start of the sender's process to the first usable unit, the receiver listening already;"
        " in brackets how much of it passed before its first packet was on the link (ours and aiortc: mostly Python's"
        " own start). Then from the start of a new receiver, the old one killed mid-stream, until the first usable"
        " unit; in brackets until it listened. Medians, and the longest, over seeds; *n/m*: it came in n of m only.\n",
        _head(["", "", *conditions], left=2),
    ]
    for contestant in contestants:
        for what, name, part in (
            ("start", "first_s", "on_link_s"),
            ("new receiver", "again_s", "listening_s"),
        ):
            cells = [_times(_find(rows, contestant, condition), name, part) for condition in conditions]
            if any(cells):
                lines.append(_line([BY_KEY[contestant].label, what, *cells]))
    return "\n".join(lines) + "\n"


def _times(rows: Sequence[Row], name: str, part: str) -> str:
    tried = [row for row in rows if name in row]
    came = [row[name] for row in tried if row[name] is not None]
    parts = [row[part] for row in tried if row.get(part) is not None]
    if not tried:
        notes = {row["note"].partition(" (")[0] for row in rows if row["note"]}
        return "; ".join(sorted(notes)) if name == "first_s" else ""
    share = "" if len(came) == len(tried) else f", {len(came)}/{len(tried)}"
    if not came:
        return f"never{share}"
    before = f" [{median(parts):.2f}]" if parts else ""
    return f"{median(came):.2f}{before}, at most {max(came):.2f}{share}"


def _head(cells: Sequence[str], left: int = 1) -> str:
    return _line(cells) + "\n" + "|" + "---|" * left + "---:|" * (len(cells) - left)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
