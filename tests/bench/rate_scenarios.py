"""The links that the rate control is tried on, and what it must reach on each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sender.congestion import RateLimits
from tests.bench.link.draws import Direction
from tests.bench.link.impairments import Impairments
from tests.bench.rate_sim import Flow, Link, Trace, World

DELAY_S = 0.05
SECONDS = 60.0
START = RateLimits(start=60.0, cap=1000.0)
Capacity = tuple[tuple[float, float], ...]  # (from, kbit/s)


@dataclass(frozen=True, slots=True)
class Check:
    """A figure and its limit."""

    name: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the limit is kept."""
        return (self.least is None or self.value >= self.least) and (
            self.most is None or self.value <= self.most
        )

    @property
    def limit(self) -> str:
        """As text."""
        return f">= {self.least:g}" if self.least is not None else f"<= {self.most:g}"


@dataclass(frozen=True, slots=True)
class Run:
    """A scenario that was played."""

    flows: tuple[Flow, ...]
    checks: tuple[Check, ...]
    capacity: Capacity

    @property
    def traces(self) -> tuple[Trace, ...]:
        """Of each flow."""
        return tuple(flow.trace for flow in self.flows)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One line of the table. `changes`: (time, what the link becomes)."""

    key: str
    title: str
    forward: Impairments
    back: Impairments
    judge: Callable[[Sequence[Flow], Link], Sequence[Check]]
    limits: RateLimits = START
    changes: tuple[tuple[float, dict[str, float]], ...] = ()
    begins: tuple[float, ...] = (0.0,)
    early_loss: float = 0.0  # before the bottleneck; that of the links comes after it
    seconds: float = SECONDS

    def run(self, seed: int) -> Run:
        """Play it."""
        world = World()
        forward = Link(self.forward, seed, early_loss=self.early_loss)
        flows = []
        for number, begin in enumerate(self.begins):
            back = Link(self.back, seed + number, Direction.BACK)
            flows.append(Flow(world, forward, back, self.limits, seed + 1000 * number, begin))
        for at, change in self.changes:
            world.at(at, lambda change=change: forward.change(**change))  # type: ignore[misc]
        world.run(self.seconds)
        return Run(tuple(flows), tuple(self.judge(flows, forward)), self._capacity())

    def _capacity(self) -> Capacity:
        out = [(0.0, self.forward.rate_kbps or 0.0)]
        out += [(at, change["rate_kbps"]) for at, change in self.changes if "rate_kbps" in change]
        return tuple(out)


def link(kbps: float, queue: float = 0.5, **other: float) -> Impairments:
    """A bottleneck."""
    return Impairments(rate_kbps=kbps, queue_s=queue, delay_s=DELAY_S, **other)  # type: ignore[arg-type]


def back(**other: float) -> Impairments:
    """The way of the reports."""
    return Impairments(delay_s=DELAY_S, **other)  # type: ignore[arg-type]


def carried(trace: Trace, begin: float, end: float) -> float:
    """kbit/s that the bottleneck let through."""
    return sum(size for at, size in trace.carried if begin <= at < end) * 0.008 / (end - begin)


def sent(trace: Trace, begin: float, end: float) -> float:
    """kbit/s that were sent."""
    return sum(size for at, size in trace.sent if begin <= at < end) * 0.008 / (end - begin)


def target(trace: Trace, begin: float, end: float) -> list[float]:
    """Targets (kbit/s) in that time."""
    return [kbps for at, kbps in trace.target if begin <= at < end]


def mean_target(trace: Trace, begin: float, end: float) -> float:
    """Their mean."""
    values = target(trace, begin, end)
    return sum(values) / len(values)


def queueing(trace: Trace, begin: float, end: float, share: float = 0.95) -> float:
    """The queueing delay (ms) that this share of the packets keeps below."""
    values = sorted(queued for at, queued in trace.queued if begin <= at < end)
    return 1000 * values[int(share * (len(values) - 1))] if values else 0.0


def _random_loss(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    trace = flows[0].trace
    return [
        Check("use of the capacity, 15-60 s", carried(trace, 15, 60) / 200, least=0.85),
        Check("p95 queueing, ms", queueing(trace, 15, 60), most=400),
        Check("units told once", sum(trace.units.values()) / max(1, len(trace.units)), most=1.0),
    ]


def _bottleneck(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    trace = flows[0].trace
    return [
        Check("p95 queueing, ms", queueing(trace, 0, 60), most=100),
        Check("use of the capacity, 15-60 s", carried(trace, 15, 60) / 200, least=0.8),
        Check("units told of", len(trace.units) / (60 / (4 / 15)), least=0.97),
        Check(
            "reports, share of the rate",
            sum(n for _, n in trace.reports) / sum(n for _, n in trace.sent),
            most=0.05,
        ),
    ]


def _drop(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    trace = flows[0].trace
    high = [at - 30 for at, queued in trace.queued if at >= 30 and queued > 0.1]
    calm = next(a for a, b in zip(high, [*high[1:], 99.0], strict=True) if b - a > 2) if high else 0.0
    return [
        Check("queue below 100 ms again, for 2 s at least, after, s", calm, most=2.0),
        Check("p95 queueing 32-60 s, ms", queueing(trace, 32, 60), most=120),
        Check("use of the capacity, 34-60 s", carried(trace, 34, 60) / 60, least=0.75),
    ]


def _rise(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    trace = flows[0].trace
    reached = [at - 30 for at, kbps in trace.target if at >= 30 and kbps >= 180]
    return [
        Check("90 % of the new capacity after, s", min(reached, default=99.0), most=20.0),
        Check("use before, 15-30 s", carried(trace, 15, 30) / 60, least=0.8),
        Check("use, 50-60 s", carried(trace, 50, 60) / 200, least=0.8),
    ]


def _heavy(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    trace = flows[0].trace
    return [
        Check("use of the capacity, 30-60 s", carried(trace, 30, 60) / 200, least=0.6),
        Check("units told of", len(trace.units) / (60 / (4 / 15)), least=0.7),
    ]


def _shallow(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    trace = flows[0].trace
    return [
        Check("use of the capacity, 15-60 s", carried(trace, 15, 60) / 200, least=0.7),
        Check("packets the queue dropped", forward.overflow / len(trace.sent), most=0.08),
    ]


def _dead(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    trace = flows[0].trace
    regained = [at - 30 for at, kbps in trace.target if at >= 30 and kbps >= 150]
    return [
        Check("target at the end of it, kbit/s", target(trace, 29.5, 30)[-1], most=60),
        Check("150 kbit/s again after, s", min(regained, default=99.0), most=10.0),
        Check("p95 queueing, ms", queueing(trace, 0, 60), most=120),
    ]


def _outage(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    trace = flows[0].trace
    return [
        Check(
            "least target afterwards, of the mean before",
            min(target(trace, 22, 25)) / mean_target(trace, 10, 20),
            least=0.6,
        ),
        Check("use of the capacity, 22-60 s", carried(trace, 22, 60) / 200, least=0.8),
    ]


def _steady(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    trace = flows[0].trace
    return [Check("mean target, of the cap, 20-60 s", mean_target(trace, 20, 60) / 200, least=0.98)]


def _bursts(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    trace = flows[0].trace
    return [Check("mean target, of the cap, 20-60 s", mean_target(trace, 20, 60) / 200, least=0.8)]


def _share(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    rates = [carried(flow.trace, 60, 120) for flow in flows]
    return [
        Check("larger over smaller share, 60-120 s", max(rates) / max(1e-9, min(rates)), most=2.0),
        Check("use of the capacity together", sum(rates) / 400, least=0.8),
        Check("p95 queueing 60-120 s, ms", max(queueing(flow.trace, 60, 120) for flow in flows), most=150),
    ]


def _onset(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    trace = flows[0].trace
    return [Check("mean target, of the cap, 40-60 s", mean_target(trace, 40, 60) / 200, least=0.95)]


def _route(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    return [Check("mean target, of the cap, 40-60 s", mean_target(flows[0].trace, 40, 60) / 150, least=0.9)]


def _thin(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    trace = flows[0].trace
    return [
        Check("p95 queueing 15-60 s, ms", queueing(trace, 15, 60), most=400),
        Check("use of the capacity, 15-60 s", carried(trace, 15, 60) / 16, least=0.7),
    ]


def _tight(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    trace = flows[0].trace
    return [
        Check("packets dropped, 20-60 s", 1 - carried(trace, 20, 60) / sent(trace, 20, 60), most=0.15),
        Check("use of the capacity, 20-60 s", carried(trace, 20, 60) / 30, least=0.6),
    ]


def _fixed(flows: Sequence[Flow], forward: Link) -> Sequence[Check]:
    values = target(flows[0].trace, 0, 60)
    return [
        Check("least target, kbit/s", min(values), least=60),
        Check("most target, kbit/s", max(values), most=60),
    ]


CAPPED = RateLimits(start=60.0, cap=200.0)
OUT10, OUT2 = ((20.0, 10.0),), ((20.0, 2.0),)
SCENARIOS = (
    Scenario(
        "a",
        "50 % loss before a 200 kbit/s bottleneck",
        link(200),
        back(loss=0.5),
        _random_loss,
        early_loss=0.5,
    ),
    Scenario(
        "a2",
        "50 % loss behind a 200 kbit/s bottleneck",
        link(200, loss=0.5),
        back(loss=0.5),
        _random_loss,
    ),
    Scenario("b", "200 kbit/s bottleneck, 500 ms queue", link(200), back(), _bottleneck),
    Scenario(
        "c",
        "capacity falls from 200 to 60 kbit/s",
        link(200),
        back(),
        _drop,
        changes=((30.0, {"rate_kbps": 60.0}),),
    ),
    Scenario(
        "d",
        "capacity rises from 60 to 200 kbit/s",
        link(60),
        back(),
        _rise,
        changes=((30.0, {"rate_kbps": 200.0}),),
    ),
    Scenario(
        "e",
        "80 % loss both ways, before a 200 kbit/s bottleneck",
        link(200),
        back(loss=0.8),
        _heavy,
        early_loss=0.8,
    ),
    Scenario(
        "e2",
        "80 % loss both ways, behind a 200 kbit/s bottleneck",
        link(200, loss=0.8),
        back(loss=0.8),
        _heavy,
    ),
    Scenario("f", "200 kbit/s, queue of 30 ms", link(200, queue=0.03), back(), _shallow),
    Scenario("g", "no reports for 10 s", link(200), Impairments(delay_s=DELAY_S, outages=OUT10), _dead),
    Scenario(
        "h",
        "nothing gets through for 2 s",
        Impairments(rate_kbps=200, queue_s=0.5, delay_s=DELAY_S, outages=OUT2),
        Impairments(delay_s=DELAY_S, outages=OUT2),
        _outage,
    ),
    Scenario(
        "i",
        "30 ms of jitter, no bottleneck below the cap",
        link(400, jitter_s=0.03),
        back(jitter_s=0.03),
        _steady,
        CAPPED,
    ),
    Scenario(
        "j",
        "30 % loss in bursts of 8, no bottleneck",
        link(400, loss=0.3, burst=8),
        back(loss=0.3, burst=3),
        _bursts,
        CAPPED,
    ),
    Scenario(
        "k",
        "two flows, the second 20 s later, 400 kbit/s",
        link(400),
        back(),
        _share,
        begins=(0.0, 20.0),
        seconds=120.0,
    ),
    Scenario(
        "l",
        "50 % loss sets in at 30 s, no bottleneck",
        link(400),
        back(),
        _onset,
        CAPPED,
        changes=((30.0, {"loss": 0.5}),),
    ),
    Scenario(
        "m",
        "route becomes 80 ms longer at 20 s",
        link(400),
        back(),
        _route,
        RateLimits(60.0, cap=150.0),
        changes=((20.0, {"delay_s": 0.13}),),
    ),
    Scenario(
        "n",
        "16 kbit/s bottleneck, 2 s queue",
        link(16, queue=2.0),
        back(),
        _thin,
        RateLimits(12.0, safe=10.0),
    ),
    Scenario("o", "fixed rate on half of it", link(30), back(), _fixed, RateLimits(60.0, fixed=True)),
    Scenario("p", "30 kbit/s, half of the first rate, queue of a packet", link(30, 0.15), back(), _tight),
)
