"""Contours on the wire: how many maps a packet, and what they reach at total rates of a few kilobits a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.bench.structure_run import Encodings, Mode, Row

PERIODS = (2, 4, 8, 16)  # maps in a packet
RATES = (2.0, 7.0, 14.0)  # kbit/s of the whole profile
SHARE = 0.5  # of it for contours, as the paper has it
FLOORS = (0.9, 0.85, 0.8, 0.75, 0.7, 0.6, 0.5, 0.3)  # tried from the top


def packet_row(made: Encodings, period: int) -> Row:
    """Floor .85 with so many maps a packet."""
    return _named(made, Mode(0.85, period), "packets", {})


def rate_row(made: Encodings, kbps: float, period: int) -> Row:
    """The highest floor whose packets, all headers included, fit the contours' share of a rate; the lowest of FLOORS
    where none does."""
    for floor in FLOORS:
        mode = Mode(floor, period)
        if (made.get(mode).row.wire_kbps or 0.0) <= SHARE * kbps:
            break
    return _named(made, mode, "rate", {"kbps": kbps})


def _named(made: Encodings, mode: Mode, method: str, more: dict[str, float]) -> Row:
    found = made.get(mode).row
    parameters = {**more, "floor": mode.floor, "P": mode.period}
    return Row(
        found.set,
        method,
        parameters,
        found.bpp,
        found.wire_bpp,
        found.kbps,
        found.miou,
        found.encode_ms,
        found.decode_ms,
        found.largest_ms,
        found.wire_kbps,
    )


def best(rows: Sequence[Row]) -> Iterator[Row]:
    """Of the rows of each set and rate: the one with the highest mean IoU within the rate, or the cheapest."""
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        if row.method == "rate":
            groups.setdefault((row.set, row.parameters["kbps"]), []).append(row)
    for (_, kbps), group in groups.items():
        fits = [row for row in group if (row.wire_kbps or 0) <= SHARE * kbps]
        yield max(fits, key=lambda row: row.miou) if fits else min(group, key=lambda row: row.wire_kbps or 0)
