"""The generative decoder's threads, with a network that is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from common.codec.base import COARSEST_QP
from common.video import Picture, blank
from receiver.contours.store import MapStore, ShownMap
from receiver.generative.decoder import GenerativeDecoder, State
from receiver.generative.figures import generative_status
from receiver.generative.frames import Frame
from receiver.play.base import TrustMap
from tests.receiver.contours.test_store import timed, told
from tests.waiting import wait_until

TRUST = np.zeros((2, 2), np.uint8)
STRUCTURE = "structure"


@dataclass
class Fake:
    """Brightens the texture."""

    device: str = "cpu"
    steps: tuple[int, ...] = (4, 2, 1)
    memory: int = 1 << 20
    size: tuple[int, int] = (32, 32)
    runtime: str = "torch"
    graphs: Mapping[str, int] = field(default_factory=dict)
    fail: bool = False
    closed: bool = False
    seconds: float = 0.0
    calls: list[tuple[int, bool, int, ShownMap | None]] = field(default_factory=list)
    qps: list[float] = field(default_factory=list)
    forgot: int = 0
    thread: int = 0

    def fit(self, size: tuple[int, int]) -> None:
        self.size = size

    def warm(self, steps: int) -> None:
        if self.fail:
            raise RuntimeError("out of memory")

    def fewer(self, error: Exception) -> int | None:
        return None

    def close(self) -> None:
        self.closed = True

    def forget(self) -> None:
        self.forgot += 1

    def generate(
        self,
        texture: Picture,
        trust: TrustMap,
        found: ShownMap | None,
        reset: bool,
        steps: int,
        qp: float = COARSEST_QP,
    ) -> Picture:
        self.thread = threading.get_ident()
        self.qps.append(qp)
        if self.fail:
            raise RuntimeError("out of memory")
        time.sleep(self.seconds)
        self.calls.append((int(texture[0, 0]), reset, steps, found))
        return texture + np.uint8(100)


@contextmanager
def playing(
    network: Fake, maps: MapStore | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[GenerativeDecoder]:
    decoder = GenerativeDecoder(lambda: network, maps or MapStore(), clock=clock)
    try:
        assert decoder.wanted(STRUCTURE)
        wait_until(lambda: decoder.state is not State.LOADING)
        yield decoder
    finally:
        decoder.close()


def frames(count: int, run: int = 1, first: int = 0, ahead: float = 1.0) -> list[Frame]:
    """0.1 s apart, the first due `ahead` s from now; the texture's luma is the number."""
    now = time.monotonic()
    return [
        Frame(run, blank(32, 32, number), TRUST, 1000.0 + 0.1 * number, now + ahead + 0.1 * (number - first))
        for number in range(first, first + count)
    ]


def test_pictures_are_ready_before_they_are_due_and_nobody_waits() -> None:
    network = Fake()
    with playing(network) as decoder:
        given = frames(6, ahead=30.0)
        decoder.expect(given, 0.1)
        wait_until(lambda: all(frame.picture is not None for frame in given))
        assert [number for number, _, _, _ in network.calls] == list(range(6))
        assert [reset for _, reset, _, _ in network.calls] == [True] + [False] * 5
        assert {steps for _, _, steps, _ in network.calls} == {4}
        assert network.thread != threading.get_ident()
        assert all(int(decoder.take(frame)[0, 0]) == 100 + number for number, frame in enumerate(given))
        assert decoder.shown == {"generated": 6} and decoder.made[4] == 6 and decoder.late == 0
        told = generative_status(decoder, STRUCTURE)
        assert str(told["decoder"]).startswith("generative, 4 steps") and "CPU fallback" in str(
            told["decoder"]
        )
        assert generative_status(decoder, "resilient")["decoder"] is None


def test_a_new_run_and_an_outage_begin_anew() -> None:
    network = Fake()
    with playing(network) as decoder:
        decoder.expect(frames(2, ahead=30.0), 0.1)
        wait_until(lambda: len(network.calls) == 2)
        decoder.expect(frames(2, run=2, first=2, ahead=30.2), 0.1)
        wait_until(lambda: len(network.calls) == 4)
        decoder.expect(frames(2, run=2, first=60, ahead=36.0), 0.1)
        wait_until(lambda: len(network.calls) == 6)
        assert [reset for _, reset, _, _ in network.calls] == [True, False, True, False, True, False]


def test_a_slow_network_makes_some_and_its_detail_is_carried_to_the_others() -> None:
    network = Fake(seconds=0.25)
    with playing(network) as decoder:
        decoder.pace.measured(1, 0.25)
        still = frames(12, ahead=0.6)
        for frame in still:
            frame.texture = blank(32, 32, 50)
        decoder.expect(still, 0.1)
        wait_until(lambda: time.monotonic() > still[-1].due)
        shown = [int(decoder.take(frame)[0, 0]) for frame in still]
        assert decoder.shown["carried"] > 0 and set(shown) <= {50, 150} and shown.count(150) > 2
        assert decoder.shown["generated"] + decoder.late == decoder.made.total()


def test_what_breaks_down_is_told_once_and_tried_again_later() -> None:
    network, offset = Fake(), [0.0]
    with playing(network, clock=lambda: time.monotonic() + offset[0]) as decoder:
        network.fail = True
        given = frames(4, ahead=30.0)
        decoder.expect(given, 0.1)
        wait_until(lambda: decoder.state is State.FAILED)
        assert decoder.failures == 1 and "out of memory" in decoder.reason
        assert not decoder.wanted(STRUCTURE)
        assert decoder.take(given[0]) is given[0].texture and decoder.shown == {"plain": 1}
        assert "out of memory" in str(generative_status(decoder, STRUCTURE)["decoder"])
        offset[0] += 31.0
        wait_until(lambda: decoder.failures == 2)  # it tried
        network.fail = False
        offset[0] += 61.0
        wait_until(lambda: decoder.state is State.READY)
        assert network.forgot >= 1 and decoder.wanted(STRUCTURE)
        again = frames(2, first=9, ahead=offset[0] + 30.0)
        decoder.expect(again, 0.1)
        wait_until(lambda: all(frame.picture is not None for frame in again))


def test_memory_that_runs_out_while_it_plays_costs_steps_and_pictures_come_back() -> None:
    class Large(Fake):
        def fewer(self, error: Exception) -> int | None:
            self.fail, self.steps = False, (2, 1)
            return 2

    network, offset = Large(), [0.0]
    with playing(network, clock=lambda: time.monotonic() + offset[0]) as decoder:
        network.fail = True
        decoder.expect(frames(4, ahead=30.0), 0.1)
        wait_until(lambda: decoder.state is State.FAILED)
        offset[0] += 31.0
        wait_until(lambda: decoder.state is State.READY)
        again = frames(2, first=9, ahead=offset[0] + 30.0)
        decoder.expect(again, 0.1)
        wait_until(lambda: all(frame.picture is not None for frame in again))
        assert {steps for _, _, steps, _ in network.calls} == {2}
        assert "; memory for 2 steps at most" in str(generative_status(decoder, STRUCTURE)["decoder"])


def test_a_network_that_cannot_be_loaded_leaves_pictures_plain() -> None:
    def load() -> Fake:
        raise ValueError("weights-00.safetensors is missing")

    decoder = GenerativeDecoder(load, MapStore())
    assert decoder.wanted(STRUCTURE)
    wait_until(lambda: decoder.state is State.FAILED)
    assert "weights-00" in decoder.reason and not decoder.wanted(STRUCTURE)
    decoder.close()


def state(decoder: GenerativeDecoder) -> str:
    return str(decoder.state)


def test_what_the_host_lacks_is_told_and_nothing_is_loaded() -> None:
    decoder = GenerativeDecoder(Fake, MapStore(), missing=lambda: "pip install something")
    assert not decoder.wanted("resilient")
    assert state(decoder) == "off"
    assert not decoder.wanted(STRUCTURE)
    assert state(decoder) == "missing"
    assert generative_status(decoder, STRUCTURE)["decoder"] == "texture: pip install something"
    asleep = GenerativeDecoder(Fake, MapStore(), asked=lambda: False)
    assert not asleep.wanted(STRUCTURE) and asleep.state is State.OFF
    assert generative_status(asleep, STRUCTURE)["decoder"] == "texture, enlarged"
    for one in (decoder, asleep):
        one.close()


def test_a_map_that_comes_late_is_waited_for_and_an_old_one_used_in_the_end() -> None:
    store = MapStore()
    told(store)
    store.put(timed(999.9, 1))
    network = Fake()
    with playing(network, store) as decoder:
        (given,) = frames(1, ahead=60.0)
        decoder.expect([given], 0.1)
        time.sleep(0.1)
        assert not network.calls
        store.put(timed(1000.0, 0))
        wait_until(lambda: network.calls)
        assert (found := network.calls[0][3]) is not None and found.labels[0, 0] == 0
        (late,) = frames(1, first=3, ahead=1.0)
        decoder.expect([late], 0.1)
        wait_until(lambda: len(network.calls) == 2)
        assert (found := network.calls[1][3]) is not None and found.age_s > 0.2


def test_not_live_every_picture_is_made_with_all_steps_in_the_calling_thread() -> None:
    network = Fake(seconds=0.01)
    decoder = GenerativeDecoder(lambda: network, MapStore(), clock=lambda: 5.0, live=False)
    assert decoder.wanted(STRUCTURE) and decoder.state is State.LOADING
    given = [Frame(1, blank(32, 32, n), TRUST, 1000.0 + 0.1 * n, 5.0 + 0.1 * n, qp=n) for n in range(6)]
    decoder.expect(given, 0.1)
    decoder.work(5.0)
    assert [frame.picture is not None for frame in given] == [True, True] + [False] * 4
    decoder.work(9.0)
    assert [int(decoder.take(frame)[0, 0]) for frame in given] == list(range(100, 106))
    assert {steps for _, _, steps, _ in network.calls} == {4} and network.thread == threading.get_ident()
    assert network.qps == list(range(6))
    assert "not in real time" in str(generative_status(decoder, STRUCTURE)["decoder"])
    decoder.close()


def test_what_would_take_far_too_long_is_not_tried_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    now, warmed = [0.0], list[int]()

    class Slow(Fake):
        def warm(self, steps: int) -> None:
            now[0] += steps * 1.2
            warmed.append(steps)

    monkeypatch.setattr("receiver.generative.decoder.monotonic", lambda: now[0])
    decoder = GenerativeDecoder(Slow, MapStore(), live=False)
    decoder.start()
    decoder.expect(frames(1), 0.1)
    decoder.work(0.0)
    assert warmed == [1, 1] and decoder.pace.known == {1: pytest.approx(1.2)}
    decoder.close()


def test_closing_does_not_wait_for_frames() -> None:
    network = Fake()
    with playing(network) as decoder:
        decoder.expect(frames(30, ahead=1000.0), 0.1)
        begun = time.monotonic()
    assert time.monotonic() - begun < 4.0 and network.closed
