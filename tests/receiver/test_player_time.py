"""The real player in virtual time: drifting clocks, outages, stalls, changes of the delay, and anything at random."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.delay import AUTOMATIC, DelayBounds
from receiver.play.base import SignalState
from receiver.playout import MAX_READY_UNITS
from tests.receiver.virtual import FPS, FRAMES, START, UNIT, Path, Seen, VirtualReceiver

JITTER = 0.030


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def places(seen: list[Seen]) -> list[int]:
    """Which picture of the stream each tick showed."""
    return [one.shown.unit * FRAMES + one.shown.offset for one in seen]


def steps(values: list[int]) -> set[int]:
    return {b - a for a, b in itertools.pairwise(values)}


@pytest.mark.parametrize("drift", [-500e-6, 500e-6])
def test_72_minutes_of_drift_neither_repeat_skip_nor_delay(drift: float) -> None:
    seconds = 72 * 60.0
    receiver = VirtualReceiver(Path(jitter=JITTER, drift=drift, packets=2), int(seconds / UNIT * (1 + drift)))
    receiver.run(seconds)
    player = receiver.player
    assert (player.repeated, player.late_pictures, player.concealed, player.path_jumps) == (0, 0, 0, 0)
    assert receiver.tally.late == 0
    assert steps(places(receiver.seen)) == {1}
    begin, end = receiver.latencies(60, 660), receiver.latencies(seconds - 600, seconds)
    assert mean(end) == pytest.approx(mean(begin), abs=0.002)
    assert max(end) - min(end) < 0.030
    assert player.drift == pytest.approx(drift, abs=5e-6)


@pytest.mark.parametrize("loss", [0.0, 0.5])
@pytest.mark.parametrize("outage", [0.5, 2.0, 10.0, 100.0])
@pytest.mark.parametrize("drift", [0.0, 500e-6])
def test_the_first_unit_after_an_outage_is_shown_in_its_time(
    outage: float, loss: float, drift: float
) -> None:
    begin, end = 40.0, 40.0 + outage
    path = Path(jitter=JITTER, loss=loss, drift=drift, outages=((begin, end),))
    receiver = VirtualReceiver(path, int((end + 20) / UNIT))
    receiver.run(end + 15)
    usual = mean(receiver.latencies(20, begin))
    back = next(seen for seen in receiver.between(end, end + 15) if seen.live)
    # The first unit of which a packet came, and of it no more than the pictures whose time a concealed one had taken.
    arrived = next(a for a, _ in sorted(path.arrivals(1000), key=lambda a: a[0]) if a > START + end)
    assert back.at - arrived < UNIT + receiver.player.delay + 1 / FPS
    assert back.latency == pytest.approx(usual, abs=0.5 / FPS)
    assert max(receiver.latencies(end, end + 15)) < usual + 1 / FPS
    assert mean(receiver.latencies(end + 5, end + 15)) == pytest.approx(usual, abs=0.010)
    around = receiver.between(begin - 1, end + 15)
    gaps = [b.at - a.at for a, b in itertools.pairwise(around)]
    assert min(gaps) > 0.75 / FPS and max(gaps) < 1.25 / FPS
    assert receiver.player.late_pictures == 0 and receiver.player.repeated <= 1
    lost = [seen for seen in around if seen.shown.state is SignalState.LOST]
    assert bool(lost) == (outage >= 2.0)
    assert all(seen.shown.concealed and seen.shown.silence >= 2.0 for seen in lost)
    if lost:
        assert lost[-1].shown.silence == pytest.approx(outage, abs=2.5 * UNIT)
        assert around[around.index(lost[-1]) + 1] is back


@pytest.mark.parametrize("queued", [2.0, 10.0])
def test_what_a_queue_lets_go_of_after_an_outage_is_no_reason_to_wait(queued: float) -> None:
    def transit(sent: float) -> float:  # the queue drains at ten times the rate
        return 0.04 + 0.9 * max(0.0, 20 + queued - sent) if sent >= 20 else 0.04

    receiver = VirtualReceiver(Path(jitter=JITTER, transit=transit), 300)
    receiver.run(20 + queued + 30)
    usual = mean(receiver.latencies(10, 20))
    assert receiver.player.path_jumps == 0
    assert max(receiver.latencies(20 + queued + 0.5, 60)) < usual + 0.2
    assert mean(receiver.latencies(20 + queued + 15, 60)) == pytest.approx(usual, abs=0.010)


@pytest.mark.parametrize("stall", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("kind", ["stalls", "freezes"])
def test_the_delay_is_as_before_a_second_after_a_stall(kind: str, stall: float) -> None:
    times = {kind: ((20.0, 20.0 + stall),)}
    receiver = VirtualReceiver(Path(jitter=JITTER), 200, **times)  # type: ignore[arg-type]
    receiver.run(50)
    usual = mean(receiver.latencies(10, 20))
    assert mean(receiver.latencies(21 + stall, 22 + stall)) == pytest.approx(usual, abs=0.010)
    assert max(receiver.latencies(21 + stall, 50)) < usual + 0.030
    gaps = [b.at - a.at for a, b in itertools.pairwise(receiver.between(20 + stall, 50))]
    assert min(gaps) > 0.75 / FPS  # what is late is dropped, not shown in a hurry


@pytest.mark.parametrize("loss", [0.0, 0.5])
@pytest.mark.parametrize("delay", [0.2, 0.6, 1.5, None])
def test_another_delay_is_reached_without_a_jump(delay: float | None, loss: float) -> None:
    receiver = VirtualReceiver(Path(jitter=JITTER, loss=loss, packets=8), 200, delay=DelayBounds.exactly(0.4))
    receiver.run(20)
    before = mean(receiver.latencies(15, 20))
    receiver.player.set_delay(AUTOMATIC if delay is None else DelayBounds.exactly(delay))
    receiver.run(50)
    wanted = 0.27 if delay is None else delay
    assert receiver.player.delay == pytest.approx(wanted, abs=0.01)
    assert mean(receiver.latencies(45, 50)) - before == pytest.approx(wanted - 0.4, abs=0.02)
    seen = receiver.between(15, 50)
    assert steps(places(seen)) <= {0, 1}
    assert not any(a.shown.repeated and b.shown.repeated for a, b in itertools.pairwise(seen))
    gaps = [b.at - a.at for a, b in itertools.pairwise(seen)]
    assert min(gaps) > 0.75 / FPS and max(gaps) < 1.25 / FPS
    assert receiver.player.late_pictures == 0


@pytest.mark.parametrize("jitter", [0.3, 0.6])
def test_heavy_jitter_is_covered_within_seconds_and_never_beyond_the_maximum(jitter: float) -> None:
    receiver = VirtualReceiver(Path(jitter=jitter), 240)
    receiver.run(20)
    late = receiver.tally.late
    receiver.run(60)
    assert (receiver.tally.late - late) / receiver.tally.received < 0.02
    bounded = VirtualReceiver(Path(jitter=jitter), 240, delay=DelayBounds(0.0, 0.35))
    bounded.run(60)
    assert 0.3 < bounded.player.delay <= 0.35


spans = st.lists(st.tuples(st.floats(0, 25), st.floats(0.01, 4)), max_size=4).map(
    lambda found: tuple((begin, begin + length) for begin, length in sorted(found))
)


@settings(max_examples=100, deadline=None)
@given(
    path=st.builds(
        Path,
        jitter=st.floats(0, 0.8),
        loss=st.floats(0, 0.95),
        drift=st.floats(-500e-6, 500e-6),
        duplicates=st.floats(0, 1),
        packets=st.integers(1, 6),
        outages=spans,
        transit=st.floats(0, 2).map(lambda more: lambda sent: 0.04 + (more if 8 < sent < 16 else 0.0)),
        seed=st.integers(0, 1000),
    ),
    stalls=spans,
    freezes=spans,
    decode_s=st.floats(0.001, 0.4),
    highest=st.floats(0.05, 1.5),
    change=st.one_of(st.none(), st.floats(0, 2)),
)
def test_nothing_ever_grows_and_time_always_goes_on(
    path: Path,
    stalls: tuple[tuple[float, float], ...],
    freezes: tuple[tuple[float, float], ...],
    decode_s: float,
    highest: float,
    change: float | None,
) -> None:
    receiver = VirtualReceiver(
        path, 100, delay=DelayBounds(0.0, highest), decode_s=decode_s, stalls=stalls, freezes=freezes
    )
    last_tick = 0.0
    bound = max(highest, change or 0.0)

    def check() -> None:
        nonlocal last_tick
        player = receiver.player
        playout = player.current.playout if player.current else None
        if playout is None or playout.next_tick == math.inf:
            return
        assert len(playout._ready) <= MAX_READY_UNITS * FRAMES
        assert player.delay <= bound + 1e-9
        assert playout.next_tick >= last_tick and playout.next_tick >= receiver.now
        last_tick = playout.next_tick

    receiver.after_step = check
    receiver.run(15)
    if change is not None:
        receiver.player.set_delay(DelayBounds.exactly(change))
    receiver.run(35)
    shown = receiver.seen
    assert all(a.at < b.at for a, b in itertools.pairwise(shown))
    assert len(shown) <= 35 * FPS / 0.8 + 2
    # Each step answers an arrival, an outcome or a tick: no busy loop.
    assert receiver.steps <= 100 * path.packets * 2 + 4 * len(shown) + 300
