"""The whole sender on links that lose long packets, and on links that lose all alike: does it find their length?

Virtual time: the real session, rate control, feedback and packet lengths, over tests/bench/link; units are cut by the
real plan of the `resilient` codec, only their pictures are zeros. The same link and seed with and without adapting.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import mean, median

from common.codec import plan
from common.codec.base import Budget
from proto.wire import Mode, max_payload
from sender.congestion import RateLimits
from sender.packet_length.adapt import PacketLength
from sender.packet_length.loss import SymbolErrors
from tests.bench.link.impairments import Impairments
from tests.sender.conversation import Conversation

PIXELS = 256 * 256
SETTLED_S = 60.0  # what is judged is after that
SER = 2e-3  # of a byte: 1200 bytes arrive with 9 %, 400 with 45 %
DELAY_S = 0.04


@dataclass(frozen=True, slots=True)
class Link:
    """A row: what the link does, and what the limit must end as (bytes of payload)."""

    key: str
    title: str
    there: Impairments
    kbps: float
    least: int
    most: int
    change: dict[str, float] = field(default_factory=dict)  # at SETTLED_S
    start: float = 60.0  # kbit/s


def _link(**fields: float) -> Impairments:
    return Impairments(delay_s=DELAY_S, **fields)  # type: ignore[arg-type]


LONG = max_payload()
LINKS = (
    Link("ser", f"symbol error rate {SER:g}", _link(symbol_errors=SER), 60, 200, 500),
    Link("ser-120", f"symbol error rate {SER / 2:g}", _link(symbol_errors=SER / 2), 120, 200, 600),
    Link("ser-loss", "1e-3, and 30 % random loss", _link(symbol_errors=1e-3, loss=0.3), 120, 200, 800),
    Link("weak", "symbol error rate 5e-5", _link(symbol_errors=5e-5), 60, LONG, LONG),
    Link("random", "50 % random loss", _link(loss=0.5), 60, LONG, LONG),
    Link("random-80", "80 % random loss", _link(loss=0.8), 60, LONG, LONG),
    Link("bursts", "30 % loss in bursts of 8", _link(loss=0.3, burst=8), 120, LONG, LONG),
    Link("queue", "150 kbit/s bottleneck, 500 ms queue", _link(rate_kbps=150, queue_s=0.5), 250, LONG, LONG),
    Link(
        "shallow", "150 kbit/s bottleneck, 60 ms queue", _link(rate_kbps=150, queue_s=0.06), 250, LONG, LONG
    ),
    Link(
        "shallow-loss",
        "the same and 30 % random loss",
        _link(rate_kbps=150, queue_s=0.06, loss=0.3),
        250,
        LONG,
        LONG,
    ),
    Link(
        "narrow",
        "60 kbit/s bottleneck, 100 ms queue",
        _link(rate_kbps=60, queue_s=0.1),
        200,
        LONG,
        LONG,
        start=200,
    ),
    Link(
        "full",
        "60 kbit/s bottleneck, 400 ms queue",
        _link(rate_kbps=60, queue_s=0.4),
        120,
        LONG,
        LONG,
        start=120,
    ),
    Link(
        "clears",
        f"{SER:g}, which ends after {SETTLED_S:g} s",
        _link(symbol_errors=SER),
        60,
        1000,
        LONG,
        {"symbol_errors": 0.0},
    ),
)


@dataclass
class Live(Conversation):
    """A conversation whose units are cut as the codec cuts them."""

    belief: plan.LossBelief = field(default_factory=plan.LossBelief)
    steps: dict[int, int] = field(default_factory=dict)  # packets that a unit needs to show something
    payload: dict[int, int] = field(default_factory=dict)
    limits_seen: list[tuple[float, int]] = field(default_factory=list)

    def encode(self, budget: Budget) -> list[bytes]:
        """As the plan of the codec says."""
        while self.told:
            arrived = self.told.pop()[1]
            if arrived is not None:
                self.belief.learn(arrived)
        split = plan.choose(budget, PIXELS, self.belief.weights)
        self.steps[self.unit], self.payload[self.unit] = split.steps[0], split.payload
        self.limits_seen.append((self.now, self.control.lengths.limit if self.control.lengths else LONG))
        return [bytes(split.payload)] * split.packets


@dataclass(frozen=True, slots=True)
class Result:
    """Of one run, after SETTLED_S."""

    limit: int  # in force at the end
    changed: float | None  # s after the start, when it first fell; None: never
    lowest: int
    kbps: float  # payload that arrived
    shown: float  # share of units of which something could be shown
    trials: int


def play(link: Link, seed: int, seconds: float, adapt: bool) -> Result:
    """One run."""
    lengths = PacketLength(LONG) if adapt else None
    talk = Live(
        Mode.AUTO,
        limits=RateLimits(link.start, cap=link.kbps),
        link=link.there,
        back_link=_link(loss=0.1),
        lengths=lengths,
        seed=seed,
    )
    begun = talk.now
    talk.advance(SETTLED_S)
    talk.there.change(**link.change)
    talk.advance(seconds - SETTLED_S)
    judged = [u for u, at in enumerate(at for at, _ in talk.limits_seen) if at >= begun + SETTLED_S][:-4]
    came = sum(sum(talk.arrived[unit]) * talk.payload[unit] for unit in judged)
    fell = next((at - begun for at, limit in talk.limits_seen if limit < LONG), None)
    return Result(
        talk.limits_seen[-1][1],
        fell,
        min(limit for _, limit in talk.limits_seen),
        came * 0.008 / (len(judged) * 4 / 15),
        mean(sum(talk.arrived[unit]) >= talk.steps[unit] for unit in judged),
        lengths.trials if lengths else 0,
    )


@dataclass(frozen=True, slots=True)
class Row:
    """Seeds of one link, adapting and not."""

    link: Link
    adapting: tuple[Result, ...]
    fixed: tuple[Result, ...]

    @property
    def passed(self) -> int:
        """Seeds whose limit ends where it must."""
        return sum(self.link.least <= result.limit <= self.link.most for result in self.adapting)


def rows(seeds: Sequence[int], seconds: float, only: Iterable[str] | None = None) -> list[Row]:
    """Play all links."""
    chosen = [link for link in LINKS if only is None or link.key in only]
    return [
        Row(link, *(tuple(play(link, seed, seconds, adapt) for seed in seeds) for adapt in (True, False)))
        for link in chosen
    ]


def table(all_rows: Sequence[Row]) -> str:
    """As Markdown; medians over the seeds."""
    lines = [
        "| link | kbit/s | lost of 1200 bytes, % | payload limit | first lowered, s | trials "
        "| units shown, % | payload delivered, kbit/s | as it must |",
        "|---|---:|---:|---:|---:|---:|---|---|---:|",
    ]
    for row in all_rows:
        there, own, usual = row.link.there, row.adapting, row.fixed
        errors = float(SymbolErrors(there.symbol_errors, 8).packet_loss(1228))
        lost = 100 * (1 - (1 - errors) * (1 - there.loss))
        fell = sorted(result.changed for result in own if result.changed is not None)
        units = len(own)
        after = f"{median(fell):.0f} ({len(fell)} of {units})" if fell else "never"
        shown, kbps = (
            [median(getattr(result, name) for result in kind) for kind in (usual, own)]
            for name in ("shown", "kbps")
        )
        trials = median(result.trials for result in own)
        lines.append(
            f"| {row.link.title} | {row.link.kbps:g} | {lost:.0f} | {median(r.limit for r in own):.0f} | {after} "
            f"| {trials:.0f} | {100 * shown[0]:.0f} -> {100 * shown[1]:.0f} | {kbps[0]:.1f} -> {kbps[1]:.1f} "
            f"| {row.passed}/{units} |"
        )
    return "\n".join(lines)
