"""How soon a conversation begins on a link that loses 80 %: the handshake both ways, and a receiver that joins late.

Virtual time, the real ends: the sender's session and Control, the receiver's endpoint, tests/bench/link between them.
Units are cut by the plan of the `resilient` codec. A late joiner begins at a random moment of a one-way stream; its
first usable packet shows the picture by itself. `--out DIR` writes join.json and join.md. Exit code 1 if a target is
missed.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path

from common.codec import plan
from proto.session import Announced, Arrival, ReceiverEndpoint
from proto.wire import Mode
from sender.congestion import RateLimits
from sender.packet_length.join import LateJoin
from tests.bench.link.impairments import Impairments
from tests.bench.link.model import Link
from tests.bench.packet_length_live import PIXELS, Live
from tests.proto.link import PSK

LOSS, DELAY_S = 0.8, 0.05
BAD = Impairments(loss=LOSS, delay_s=DELAY_S)
PATIENCE_S = 60.0
SOON_S = 2.0
STREAM_S = 90.0  # of a sender whom others join
JOIN_S = (5.0, 25.0)  # after its start
STREAMS = 4
RATES = (30.0, 60.0, 120.0)
HEADERS = (0.0, 0.1, 0.2)  # share of headers for late joiners; the default is 0
SHARES = {(30.0, 0.2): 0.98, (60.0, 0.0): 0.95, (60.0, 0.1): 0.98, (120.0, 0.0): 0.98}
"""Of the joiners that must have a packet within SOON_S, by kbit/s and share of headers."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of many runs, ascending; infinity where it never happened."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Times:
        """Sorted."""
        return cls(tuple(sorted(values)))

    def at(self, share: float) -> float:
        """The time within which this share of the runs had it."""
        return self.values[min(len(self.values) - 1, math.ceil(share * len(self.values)) - 1)]

    @property
    def soon(self) -> float:
        """Share of the runs that had it within SOON_S."""
        return sum(value < SOON_S for value in self.values) / len(self.values)

    @property
    def figures(self) -> dict[str, float]:
        """For the results."""
        shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
        return {name: round(self.at(share), 3) for name, share in shares.items()} | {"within_2_s": self.soon}


@dataclass(frozen=True, slots=True)
class Target:
    """What must hold: a share of the runs within SOON_S."""

    share: float

    def kept(self, times: Times) -> bool:
        """Whether it does."""
        return times.soon >= self.share


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    kbps: float
    runs: int
    first: Times  # keys, or the first usable packet
    announced: Times | None = None
    packets: float = 0.0  # of a unit
    target: Target | None = None

    @property
    def missed(self) -> bool:
        """Whether it has a target and does not keep it."""
        return self.target is not None and not self.target.kept(self.first)


def handshake(mode: Mode, seed: int, kbps: float = 60.0) -> float:
    """Seconds until the sender has keys agreed with the receiver; infinity if not within PATIENCE_S."""
    talk = Live(mode, limits=RateLimits(kbps, cap=kbps), link=BAD, seed=seed)
    begun = talk.now
    while talk.now - begun < PATIENCE_S:
        talk.advance(0.01)
        if talk.session.two_way:
            return talk.now - begun
    return math.inf


@dataclass
class Broadcast(Live):
    """A one-way sender whose datagrams are kept."""

    kept: list[tuple[float, bytes]] = field(default_factory=list)

    def _send(self, datagrams: list[bytes]) -> None:
        self.kept += [(self.now, datagram) for datagram in datagrams]


def broadcast(kbps: float, headers: float) -> Broadcast:
    """STREAM_S of it, with up to this share of headers for late joiners."""
    cut = LateJoin(headers, plan.least_payload(PIXELS)) if headers else None
    talk = Broadcast(Mode.ONE_WAY, limits=RateLimits(kbps, cap=kbps, fixed=True), late_join=cut)
    talk.advance(STREAM_S)
    return talk


def join(stream: Broadcast, seed: int) -> tuple[float, float]:
    """Seconds from joining to the first usable packet, and to the announcement."""
    began, ended = stream.kept[0][0], stream.kept[-1][0]
    joined = began + random.Random(seed).uniform(*JOIN_S)
    link, receiver = Link(BAD, seed), ReceiverEndpoint(PSK, mode=Mode.ONE_WAY)
    usable = announced = math.inf
    for sent, datagram in stream.kept:
        if sent < joined - DELAY_S or sent > ended:
            continue
        for at, data in link.transfer(datagram, sent):
            event = receiver.receive(data, at)
            if isinstance(event, Arrival):
                usable = min(usable, at - joined)
            elif isinstance(event, Announced):
                announced = min(announced, at - joined)
        if math.isfinite(usable) and math.isfinite(announced):
            break
    return usable, announced


def handshakes(runs: int) -> Iterator[Row]:
    """A row for each mode."""
    for mode in (Mode.TWO_WAY, Mode.AUTO):
        times = Times.of([handshake(mode, seed) for seed in range(1, runs + 1)])
        yield Row(f"handshake, {mode}", 60.0, runs, times, target=Target(0.95))


def late_joins(runs: int) -> Iterator[Row]:
    """A row for each rate and share of headers."""
    for kbps, headers in product(RATES, HEADERS):
        streams = [broadcast(kbps, headers) for _ in range(STREAMS)]
        both = [join(streams[seed % STREAMS], seed) for seed in range(1, runs + 1)]
        usable, announced = (Times.of(column) for column in zip(*both, strict=True))
        packets = [len(masks) for stream in streams for masks in stream.arrived.values()]
        target = Target(SHARES[kbps, headers]) if (kbps, headers) in SHARES else None
        yield Row(
            f"late join, `late_join: {headers:g}`",
            kbps,
            runs,
            usable,
            announced,
            sum(packets) / len(packets),
            target,
        )


def table(rows: Sequence[Row]) -> str:
    """As Markdown."""
    lines = [
        "| 80 % lost, 50 ms | kbit/s | packets a unit | runs | p50, s | p95, s | p99, s | within 2 s, % | must be "
        "| announcement p50/p95/p99, s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in rows:
        times = " | ".join(f"{row.first.at(share):.2f}" for share in (0.5, 0.95, 0.99))
        limit = (
            "" if row.target is None else f">= {100 * row.target.share:g}" + (" missed" if row.missed else "")
        )
        heard = row.announced
        told = "" if heard is None else "/".join(f"{heard.at(share):.2f}" for share in (0.5, 0.95, 0.99))
        packets = f"{row.packets:.2g}" if row.packets else ""
        lines.append(
            f"| {row.what} | {row.kbps:g} | {packets} | {row.runs} | {times} | {100 * row.first.soon:.1f} | {limit} "
            f"| {told} |"
        )
    return "\n".join(lines)


def save(rows: Sequence[Row], out: Path) -> None:
    """The results' files."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "join.md").write_text(table(rows) + "\n")
    data = [
        {"what": row.what, "kbps": row.kbps, "runs": row.runs, "first": row.first.figures}
        | ({} if row.announced is None else {"announced": row.announced.figures})
        | ({} if row.target is None else {"target": asdict(row.target), "missed": row.missed})
        for row in rows
    ]
    (out / "join.json").write_text(json.dumps(data, indent=1) + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.join", description=__doc__)
    parser.add_argument("--runs", type=int, default=500, help="of each row (default: 500)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="join.json and join.md go there")
    args = parser.parse_args(argv)
    if args.runs < 1:
        parser.error("--runs: must be 1 or more")
    rows = [*handshakes(args.runs), *late_joins(args.runs)]
    print(table(rows))
    if args.out:
        save(rows, args.out)
    return int(any(row.missed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
