"""What a receiver makes of a protected stream: whatever is lost, repeated or out of order, and whatever is sent."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.packet import Segment
from proto.protected import LENGTH_BYTES, Parity, Protector, Source
from proto.protection import Losses, Policy
from proto.recover import MAX_WINDOWS, Recover, RecoveredUnit
from proto.wire import Reason, WireError
from tests.bench.link.impairments import Impairments
from tests.bench.link.model import Link

STREAM = 3
EPOCH = 1_800_000_000.0
FRAME = 1 / 30


def windows(
    units: list[bytes], overhead: float = 1.0, window_s: float = 0.1, limit: int = 60
) -> list[Segment]:
    """All segments of these frames, in the order of sending."""
    policy = Policy(Losses(0.4), target=1e-9, max_overhead=overhead, window_s=window_s)
    sender, out = Protector(STREAM, limit, policy), list[Segment]()
    for number, data in enumerate(units):
        sent = sender.push(data, EPOCH + number * FRAME, FRAME, number * FRAME)
        out += sent.source + sent.parity
    return out + sender.flush()


def push_all(receiver: Recover, segments: list[Segment], now: float = 0.0) -> list[RecoveredUnit]:
    return [unit for segment in segments for unit in receiver.push(segment, now)]


def test_without_loss_each_unit_comes_with_its_last_source_symbol() -> None:
    receiver = Recover(1.0)
    for segment in windows([bytes([n]) * 100 for n in range(6)]):
        out = receiver.push(segment, 0.0)
        symbol_is_last = segment.payload[0] == segment.payload[1]
        assert len(out) == (symbol_is_last and segment.payload[0] < 128)
        assert not any(unit.repaired for unit in out)
    tally = receiver.tally
    assert (tally.units_delivered, tally.units_repaired, tally.spare) == (6, 0, tally.received - 12)


def test_any_symbols_that_are_enough_give_every_unit() -> None:
    units = [b"one", b"two " * 30, b""]
    segments = windows(units)
    assert len(segments) == 2 * 5
    for arrived in combinations(segments, 5):
        receiver = Recover(1.0)
        out = push_all(receiver, list(arrived))
        assert [unit.data for unit in sorted(out, key=lambda unit: unit.unit)] == units
        times = [round((unit.timestamp - out[0].timestamp) / 0.004) for unit in out]
        assert sorted(times)[-1] - sorted(times)[0] == 17  # two frames in ticks of 4 ms
        receiver.expire(10.0)
        tally = receiver.tally
        assert (tally.units_lost, tally.windows_failed) == (0, 0)
        assert tally.windows_recovered == (list(arrived) != segments[:5])


def test_one_too_few_gives_those_that_are_whole() -> None:
    segments = windows([b"one", b"two " * 30, b"three"])
    receiver = Recover(1.0)
    out = push_all(receiver, [segments[0], *segments[2:4], segments[5]])
    assert [unit.data for unit in out] == [b"one"]
    receiver.expire(0.99)
    assert receiver.pending == (0,)
    receiver.expire(1.0)
    tally = receiver.tally
    assert (tally.windows_closed, tally.windows_failed, tally.units_delivered, tally.units_lost) == (
        1,
        1,
        1,
        1,
    )
    with pytest.raises(WireError) as caught:
        receiver.push(segments[1], 1.0)
    assert caught.value.reason is Reason.LATE


def test_lost_windows_are_counted_by_their_units() -> None:
    """Frames 3 to 5 never arrive, of the last window parity alone, too little of it."""
    segments = windows([bytes([n]) * 9 for n in range(15)])
    receiver = Recover(1.0)
    push_all(receiver, [s for s in segments if s.unit in (0, 6)] + [s for s in segments if s.unit == 9][-2:])
    push_all(receiver, [s for s in segments if s.unit == 12])
    receiver.expire(5.0)
    tally = receiver.tally
    assert (tally.units_delivered, tally.units_lost) == (9, 6)
    assert (tally.windows_closed, tally.windows_failed) == (4, 1)
    assert tally.residual_loss == 6 / 15


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=150), min_size=1, max_size=12),
    st.floats(0, 3),
    st.floats(0.0, 0.3),
    st.randoms(use_true_random=False),
    st.floats(0, 0.9),
)
def test_any_channel(
    units: list[bytes], overhead: float, window_s: float, chance: random.Random, loss: float
) -> None:
    """Lost, doubled, and in any order within the deadline: units come once, whole, whenever that is possible."""
    segments = windows(units, overhead, window_s)
    counts = {
        s.unit: sum(1 for t in segments if t.unit == s.unit and not t.payload[0] & 0x80) for s in segments
    }
    arrived = [s for s in segments if chance.random() >= loss]
    stream = arrived + [s for s in arrived if chance.random() < 0.3]
    chance.shuffle(stream)
    receiver, out, refused = Recover(5.0), list[RecoveredUnit](), 0
    for segment in sorted(stream, key=lambda s: s.unit):  # a window's segments in any order
        try:
            out += receiver.push(segment, 1.0)
        except WireError as error:
            assert error.reason is Reason.DUPLICATE
            refused += 1
    assert refused == len(stream) - len(arrived)
    got = {unit.unit: unit.data for unit in out}
    assert len(got) == len(out)
    assert all(units[number] == data for number, data in got.items())
    for window, needed in counts.items():
        if sum(s.unit == window for s in arrived) >= needed:
            following = min((other for other in counts if other > window), default=len(units))
            assert got.keys() >= set(range(window, following))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 40),
            st.integers(0, 12),
            st.integers(0, 2),
            st.one_of(
                st.binary(max_size=12),
                st.builds(
                    lambda k, rest: bytes([0x80 | k]) + rest,
                    st.integers(0, 5),
                    st.binary(min_size=6, max_size=8),
                ),
                st.builds(
                    lambda *head: bytes(head),
                    st.integers(0, 3),
                    st.integers(0, 3),
                    st.integers(0, 4),
                    st.just(0),
                ),
            ),
            st.floats(0, 0.4),
        ),
        max_size=60,
    )
)
def test_authentic_nonsense_only_counts(pushes: list[tuple[int, int, int, bytes, float]]) -> None:
    receiver, now, refused, seen = Recover(1.0), 0.0, 0, set[int]()
    for unit, index, ticks, payload, pause in pushes:
        now += pause
        try:
            out = receiver.push(Segment(STREAM, unit, index, 13, ticks, payload), now)
        except WireError:
            refused += 1
            continue
        for whole in out:
            assert whole.unit not in seen
            seen.add(whole.unit)
        assert len(receiver.pending) <= MAX_WINDOWS
    assert receiver.tally.received + refused == len(pushes)
    assert receiver.tally.units_delivered == len(seen)


def segment(unit: int, index: int, symbol: Source | Parity, ticks: int = 0) -> Segment:
    return Segment(STREAM, unit, index, 255, ticks, bytes(symbol))


def source(index: int, order: int, data: bytes = b"x", piece: int = 0, pieces: int = 1) -> Source:
    return Source(index, piece, pieces, order, 0, data)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (segment(0, 0, source(0, 0)), segment(0, 1, source(1, 1), ticks=1)),  # timestamp
        (segment(0, 0, source(0, 0, pieces=2)), segment(0, 1, source(1, 1))),  # units overlap
        (segment(0, 0, source(0, 0, pieces=2)), segment(0, 1, source(1, 0, piece=1, pieces=3))),
        (segment(0, 2, source(2, 2)), segment(0, 3, source(3, 1))),  # order falls
        (segment(0, 0, source(0, 0, pieces=3)), segment(0, 2, Parity(2, 2, bytes(9)))),  # beyond k
        (segment(0, 2, Parity(2, 2, bytes(9))), segment(0, 3, source(3, 3))),  # beyond k
        (segment(0, 2, Parity(2, 2, bytes(9))), segment(0, 3, Parity(3, 3, bytes(9)))),  # k differs
        (segment(0, 2, Parity(2, 2, bytes(9))), segment(0, 3, Parity(3, 2, bytes(8)))),  # size differs
        (segment(0, 2, Parity(2, 2, bytes(9))), segment(0, 0, source(0, 0, b"too long"))),
        (segment(0, 0, source(0, 0, b"too long")), segment(0, 2, Parity(2, 2, bytes(9)))),
        (segment(2, 0, source(0, 0)), segment(1, 1, source(1, 1))),  # unit 2 is there
        (segment(0, 2, source(2, 2)), segment(1, 0, source(0, 0))),  # unit 1 is there
    ],
)
def test_contradictions_are_conflicts(first: Segment, second: Segment) -> None:
    receiver = Recover(1.0)
    if second.unit < first.unit:
        receiver.push(segment(0, 0, source(0, 0)), 0.0)
    receiver.push(first, 0.0)
    with pytest.raises(WireError) as caught:
        receiver.push(second, 0.0)
    assert caught.value.reason is Reason.CONFLICT
    assert receiver.tally.conflict == 1


def test_parity_that_gives_nonsense_breaks_only_its_window() -> None:
    receiver = Recover(1.0)
    assert len(receiver.push(segment(0, 0, source(0, 0, b"good")), 0.0)) == 1
    nonsense = b"\xff" * (LENGTH_BYTES + 8)
    assert receiver.push(segment(0, 2, Parity(2, 2, nonsense)), 0.0) == []
    assert receiver.push(segment(0, 3, Parity(3, 2, nonsense)), 0.0) == []
    assert [unit.data for unit in receiver.push(segment(0, 1, source(1, 1, b"too")), 0.0)] == [b"too"]
    assert [unit.data for unit in receiver.push(segment(2, 0, source(0, 0, b"next")), 0.0)] == [b"next"]
    receiver.expire(2.0)
    assert (receiver.tally.windows_broken, receiver.tally.units_lost) == (1, 0)


def test_a_rebuilt_symbol_that_arrives_after_all_is_spare() -> None:
    segments = windows([b"a", b"b", b"c"])
    receiver = Recover(1.0)
    push_all(receiver, [segments[0], segments[2], segments[3]])
    assert receiver.push(segments[1], 0.0) == []
    assert (receiver.tally.spare, receiver.tally.duplicate) == (1, 0)


def test_an_older_window_never_outlives_a_newer_one() -> None:
    receiver = Recover(1.0)
    receiver.push(segment(0, 0, source(0, 0)), 0.0)
    receiver.push(segment(5, 0, source(0, 0)), 0.1)
    receiver.push(segment(3, 0, source(0, 0)), 0.9)
    receiver.expire(1.1)
    assert receiver.pending == ()


def test_more_windows_than_may_be_open() -> None:
    receiver = Recover(100.0)
    for number in range(0, 2 * MAX_WINDOWS + 4, 2):
        receiver.push(segment(number, 0, source(0, 0)), 0.0)
    assert len(receiver.pending) == MAX_WINDOWS
    assert receiver.tally.windows_closed == 2
    with pytest.raises(WireError) as caught:
        receiver.push(segment(3, 0, source(0, 0)), 0.0)
    assert caught.value.reason is Reason.LATE


def test_numbers_and_timestamps_wrap_and_survive_outages() -> None:
    receiver, expected = Recover(0.5), []
    outage = 70_000.0  # s: 8 750 000 windows of 8 ms, any number of wraps
    for now, unit in [
        (0.0, 65534),
        (0.1, 65535),
        (0.2, 65536),
        (20.0, 65600),
        (outage, 200_000),
        (outage + 1, 200_001),
    ]:
        ticks = round(now * 250)
        out = receiver.push(segment(unit & 0xFFFF, 0, source(0, 0), ticks & 0xFFFF), now)
        expected += [(u.unit & 0xFFFF, u.timestamp) for u in out]
        assert out[0].timestamp == pytest.approx(now, abs=0.004)
    assert [number for number, _ in expected] == [65534, 65535, 0, 64, 200_000 & 0xFFFF, 200_001 & 0xFFFF]


def test_the_residual_loss_is_what_the_policy_promised() -> None:
    """Bursty losses on a simulated link: about the target, and not far below it (which would waste rate)."""
    losses = Losses(0.2, 3.0)
    policy = Policy(losses, target=0.02, max_overhead=8.0, window_s=0.1)
    sender, receiver = Protector(STREAM, 60, policy), Recover(1.0)
    channel = Link(Impairments(loss=losses.rate, burst=losses.burst), seed=5)
    for number in range(6000):
        out = sender.push(b"\0" * 80, EPOCH + number * FRAME, FRAME, number * FRAME)
        for item in out.source + out.parity:
            for _, body in channel.transfer(bytes(item), number * FRAME):
                receiver.push(Segment.parse(STREAM, body), number * FRAME)
    receiver.expire(1e6)
    failed = receiver.tally.windows_failed / 2000
    assert sender.last is not None
    assert failed < 1.5 * sender.last.failure <= 0.03
    assert failed > 0.2 * sender.last.failure


def test_a_bad_deadline_is_named() -> None:
    with pytest.raises(ValueError, match="deadline_s"):
        Recover(0.0)
