"""The playout schedule against a manual clock: what is decoded, concealed, skipped and shown, and when."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

import pytest

from receiver.jitter import PlayoutClock
from receiver.playout import Conceal, Decode, Playout, Skip, Tick, Wait, Waiting

FPS = 15.0
FRAMES = 4
UNIT = FRAMES / FPS
DELAY = UNIT + 0.06


class Simulation:
    """A sender, a link and a decoder around a Playout, in steps of one millisecond."""

    def __init__(self, decode_s: float = 0.02, referred: bool = False) -> None:
        self.clock = PlayoutClock(DELAY)
        self.playout: Playout[str] = Playout(self.clock, FRAMES, FPS, referred=referred)
        self.now = 0.0
        self.arrivals: list[tuple[float, int, float, bool]] = []  # when, unit, timestamp, completes
        self.pending: dict[int, Waiting] = {}
        self.shown: list[tuple[float, Tick[str]]] = []
        self.steps: list[Decode | Conceal | Skip] = []
        self.decode_s = decode_s
        self.done: tuple[float, Decode | Conceal] | None = None

    def send(self, unit: int, timestamp: float, at: float, complete: bool = True) -> None:
        """Two packets of the unit: the first at `at`, the one that completes it 150 ms later."""
        self.arrivals.append((at, unit, timestamp, False))
        if complete:
            self.arrivals.append((at + 0.15, unit, timestamp, True))

    def stream(
        self,
        units: range,
        start: float = 0.0,
        fps: float = FPS,
        lost: Callable[[int], bool] | None = None,
        transit: float = 0.25,
        jitter: float = 0.0,
    ) -> None:
        rng = random.Random(1)
        for unit in units:
            if lost is None or not lost(unit):
                timestamp = 1000.0 + unit * FRAMES / fps
                self.send(unit, timestamp, start + unit * FRAMES / fps + transit + jitter * rng.random())

    def run(self, until: float) -> None:
        self.arrivals.sort()
        while self.now < until:
            self.now += 0.001
            while self.arrivals and self.arrivals[0][0] <= self.now:
                _, unit, timestamp, complete = self.arrivals.pop(0)
                self.clock.observe(timestamp, self.now)
                if self.playout.next_unit is None or unit >= self.playout.next_unit:
                    self.pending[unit] = Waiting(unit, timestamp, complete)
            if self.done and self.now >= self.done[0]:
                step, self.done = self.done[1], None
                pictures = [f"{type(step).__name__[0]}{step.unit}.{i}" for i in range(FRAMES)]
                self.playout.decoded(step, pictures, self.decode_s, self.now)
            self._plan()
            if self.now >= self.playout.next_tick:
                tick = self.playout.tick(self.now)
                assert tick is not None
                self.shown.append((self.now, tick))

    def _plan(self) -> None:
        while True:
            units = [u for u in self.pending if self.playout.next_unit is None or u >= self.playout.next_unit]
            step = self.playout.plan(self.now, self.pending[min(units)] if units else None)
            if isinstance(step, Wait):
                assert step.until > self.now
                return
            self.steps.append(step)
            if isinstance(step, Skip):
                continue
            if isinstance(step, Decode):
                self.pending = {u: w for u, w in self.pending.items() if u > step.unit}
            self.done = (self.now + self.decode_s, step)
            return

    def names(self) -> list[str]:
        return [tick.ready.picture for _, tick in self.shown]

    def gaps(self) -> list[float]:
        times = [t for t, _ in self.shown]
        return [b - a for a, b in itertools.pairwise(times)]

    def repeated(self) -> int:
        return sum(tick.repeated for _, tick in self.shown)


@pytest.mark.parametrize("referred", [False, True])
def test_what_comes_too_late_is_skipped_or_decoded_where_others_refer_to_it(referred: bool) -> None:
    sim, stall = Simulation(referred=referred), 3.5
    sim.stream(range(5))
    for unit in range(5, 25):
        timestamp = 1000.0 + unit * UNIT
        sim.send(unit, timestamp, max(stall, (unit + 1) * UNIT + 0.25))
    sim.run(8.0)
    skipped = [step.unit for step in sim.steps if isinstance(step, Skip)]
    unseen = [step.unit for step in sim.steps if isinstance(step, Decode) and step.skip == FRAMES]
    assert (skipped, unseen) == ([], unseen) if referred else (skipped, [])
    late = unseen if referred else skipped
    assert len(late) >= 3 and late == list(range(5, 5 + len(late)))
    assert not any(name.startswith(f"D{unit}.") for unit in late for name in sim.names())
    decoded = [step.unit for step in sim.steps if isinstance(step, Decode)]
    assert decoded == sorted(set(decoded)) and decoded[-1] == 24
    assert all(f"D24.{i}" in sim.names() for i in range(FRAMES))


def test_a_clean_stream_shows_every_picture_once_at_the_playout_delay() -> None:
    sim = Simulation()
    sim.stream(range(30))
    sim.run(8.0)
    assert sim.names()[:8] == ["D0.0", "D0.1", "D0.2", "D0.3", "D1.0", "D1.1", "D1.2", "D1.3"]
    assert sim.repeated() == 0
    first = sim.shown[0][0]
    assert first == pytest.approx(0.25 + DELAY, abs=0.003)
    assert all(gap == pytest.approx(1 / FPS, abs=0.003) for gap in sim.gaps())


def test_nothing_is_shown_or_planned_before_the_first_packet() -> None:
    sim = Simulation()
    assert sim.playout.plan(5.0, None) == Wait(math.inf)
    assert sim.playout.tick(5.0) is None


def test_a_partial_unit_is_decoded_at_its_deadline() -> None:
    sim = Simulation()
    for unit in range(20):
        sim.send(unit, 1000 + unit * UNIT, unit * UNIT + 0.25, complete=False)
    sim.run(5.0)
    assert sim.repeated() == 0
    assert all(isinstance(step, Decode) for step in sim.steps)
    assert sim.names()[:5] == ["D0.0", "D0.1", "D0.2", "D0.3", "D1.0"]


def test_a_lost_unit_is_concealed_in_its_own_time() -> None:
    sim = Simulation()
    sim.stream(range(20), lost=lambda unit: unit == 5)
    sim.run(5.0)
    names = sim.names()
    assert names[20:24] == ["C5.0", "C5.1", "C5.2", "C5.3"]
    assert names[24] == "D6.0"
    assert sim.repeated() == 0


def test_half_of_the_units_lost_still_ticks_evenly() -> None:
    sim = Simulation()
    rng = random.Random(7)
    lost = {unit for unit in range(1, 100) if rng.random() < 0.5}
    sim.stream(range(100), lost=lost.__contains__)
    sim.run(25.0)
    assert sim.repeated() == 0
    assert max(sim.gaps()) < 1.25 / FPS
    decoded = {step.unit for step in sim.steps if isinstance(step, Decode)}
    assert decoded >= {unit for unit in range(85) if unit not in lost}


def test_an_outage_goes_on_concealed_and_live_pictures_return_at_once() -> None:
    sim = Simulation()
    sim.stream(range(100), lost=lambda unit: 10 <= unit < 50)
    sim.run(25.0)
    assert sim.repeated() <= 1
    assert max(sim.gaps()) < 1.25 / FPS
    back = next(t for t, tick in sim.shown if tick.ready.unit == 50 and not tick.ready.concealed)
    assert back == pytest.approx(50 * UNIT + 0.25 + DELAY, abs=0.1)


def test_a_stalled_sender_loses_no_unit() -> None:
    sim = Simulation()
    sim.stream(range(10))
    sim.stream(range(10, 30), start=1.5, transit=0.25)
    sim.arrivals = [(t, u, ts + (1.5 if u >= 10 else 0.0), c) for t, u, ts, c in sim.arrivals]
    sim.run(9.0)
    decoded = [step.unit for step in sim.steps if isinstance(step, Decode)]
    assert decoded[:26] == list(range(26))
    assert max(sim.gaps()) < 1.25 / FPS


@pytest.mark.parametrize("fps", [12.0, 14.0, 16.0])
def test_a_sender_that_captures_at_another_pace_is_followed(fps: float) -> None:
    sim = Simulation()
    sim.stream(range(60), fps=fps)
    sim.run(15.0)
    decoded = [step.unit for step in sim.steps if isinstance(step, Decode)]
    assert decoded == list(range(len(decoded)))
    assert not any(isinstance(step, Conceal) for step in sim.steps if step.unit < 54)
    lag = [t - tick.ready.media_time for t, tick in sim.shown if not tick.ready.concealed]
    assert max(lag) - min(lag) < 3 / FPS


def test_late_units_are_skipped_and_cost_no_decode() -> None:
    sim = Simulation()
    sim.stream(range(20), lost=lambda unit: unit == 5)
    sim.send(5, 1000 + 5 * UNIT, 5 * UNIT + 0.25 + DELAY + UNIT)
    sim.run(5.0)
    assert not any(isinstance(step, Decode) and step.unit == 5 for step in sim.steps)
    assert sim.repeated() == 0


def test_a_longer_path_is_bridged_with_concealed_pictures() -> None:
    sim = Simulation()
    sim.stream(range(20))
    sim.stream(range(20, 60), transit=1.25)
    sim.run(17.0)
    assert max(sim.gaps()) < 1.25 / FPS
    assert sim.repeated() <= 4
    last = [step.unit for step in sim.steps if isinstance(step, Decode)]
    assert set(range(27, 58)) <= set(last)


@pytest.mark.parametrize("jump", [-5000.0, -100.0, 30.0, 1e6])
def test_a_jump_of_the_senders_time_base_recovers(jump: float) -> None:
    sim = Simulation()
    sim.stream(range(60))
    sim.arrivals = [(t, u, ts + (jump if u >= 20 else 0.0), c) for t, u, ts, c in sim.arrivals]
    sim.run(15.0)
    assert len(sim.steps) < 150
    assert max(sim.gaps()) < 0.5
    assert {step.unit for step in sim.steps if isinstance(step, Decode)} >= set(range(35, 55))


def test_a_decoder_slower_than_real_time_drops_and_never_queues_up() -> None:
    sim = Simulation(decode_s=0.5)
    sim.stream(range(60))
    sim.run(16.0)
    assert max(sim.gaps()) < 1.25 / FPS
    lag = [t - tick.ready.media_time for t, tick in sim.shown if not tick.repeated]
    assert max(lag) - min(lag) < 2.0
    assert len(sim.playout._ready) <= 2 * FRAMES


def test_one_stall_of_the_decoder_does_not_make_later_units_go_early() -> None:
    playout: Playout[str] = Playout(PlayoutClock(DELAY), FRAMES, FPS)
    usual = playout.allowance
    step = Decode(0, 1000.0, 0)
    playout.clock.observe(1000.0, 0.0)
    for seconds in (0.02, 1.0, 0.02):
        playout.decoded(step, [], seconds, 1.0)
    assert playout.allowance == pytest.approx(usual)
    playout.decoded(step, [], 0.2, 1.0)
    assert playout.allowance == pytest.approx(1.5 * 0.2 + 0.005)
    for _ in range(16):
        playout.decoded(step, [], 0.02, 1.0)
    assert playout.allowance == pytest.approx(usual)


def test_what_waited_out_a_frozen_process_is_skipped_not_played_in_a_hurry() -> None:
    sim = Simulation()
    sim.stream(range(60))
    sim.arrivals = [(max(t, 12.0) if t > 4.0 else t, u, ts, c) for t, u, ts, c in sim.arrivals]
    sim.run(4.0)
    sim.now = 12.0
    sim.run(16.0)
    after = [tick for at, tick in sim.shown if at > 12.3]
    assert all(tick.ready.unit >= 43 for tick in after if not tick.ready.concealed)


def test_a_refused_unit_leaves_the_schedule_running() -> None:
    playout: Playout[str] = Playout(PlayoutClock(DELAY), FRAMES, FPS)
    playout.clock.observe(1000.0, 0.0)
    step = playout.plan(0.0, Waiting(0, 1000.0, True))
    assert isinstance(step, Decode)
    playout.decoded(step, [], 0.001, 0.001)
    assert playout.next_tick == math.inf
    later = playout.plan(UNIT, Waiting(1, 1000.0 + UNIT, True))
    assert isinstance(later, Decode) and later.unit == 1


def test_jittered_packets_do_not_disturb_the_ticks() -> None:
    sim = Simulation()
    sim.stream(range(80), jitter=0.08)
    sim.run(20.0)
    assert max(sim.gaps()) < 1.25 / FPS
    assert sim.repeated() <= 1
