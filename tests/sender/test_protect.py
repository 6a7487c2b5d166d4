"""A protected stream through Control, over links that lose what the reports tell."""

from __future__ import annotations

import pytest

from proto.protection import Losses, Policy
from proto.streams import AUDIO
from proto.wire import Mode
from sender.protect import SHARE, UNKNOWN_LOSS, ProtectedStream
from tests.bench.link.impairments import Impairments
from tests.proto.link import EPOCH
from tests.sender.conversation import Conversation

PERIOD = 0.24  # s of sound in a unit
POLICY = Policy(target=0.02, max_overhead=2.0, window_s=0.48)


def run(mode: Mode, loss: float, seconds: float = 60.0, policy: Policy = POLICY) -> Conversation:
    """A conversation with a unit of 200 bytes every PERIOD."""
    both = Conversation(mode, mode, link=Impairments(loss=loss, delay_s=0.04))
    stream = both.control.audio = ProtectedStream(AUDIO.id, both.session.payload_limit, policy)
    both.advance(3.0)
    for _ in range(round(seconds / PERIOD)):
        stream.push(bytes(200), EPOCH + both.now, PERIOD, both.now)
        both.advance(PERIOD)
    both.advance(1.0)
    return both


@pytest.mark.parametrize(("loss", "least"), [(0.0, 1.0), (0.1, 0.97), (0.3, 0.93), (0.5, 0.8)])
def test_parity_follows_the_loss_that_is_reported(loss: float, least: float) -> None:
    both = run(Mode.AUTO, loss)
    stream = both.control.audio
    assert stream is not None
    assert stream.policy.losses.rate == pytest.approx(loss, abs=0.1)
    assert len({unit.unit for unit in both.recovered}) >= least * stream.units
    assert len(both.recovered) == len({unit.unit for unit in both.recovered})
    overhead = stream.parity / stream.units
    assert overhead <= 2.0 and (overhead > 0.5 if loss >= 0.3 else overhead < 1.1)
    # What goes beside the picture is taken from it: all together keep to the rate.
    assert both.wire_bytes(both.now - 50) <= 1.03 * 50 * 60 * 125


def test_one_way_the_protection_is_for_a_link_that_is_not_known() -> None:
    both = run(Mode.ONE_WAY, 0.2)
    stream = both.control.audio
    assert stream is not None and stream.policy.losses.rate == UNKNOWN_LOSS
    assert len(both.recovered) > 0.95 * stream.units


def test_without_parity_each_packet_is_a_unit_and_nothing_is_sent_twice() -> None:
    both = run(Mode.AUTO, 0.3, 30.0, Policy(max_overhead=0.0, window_s=0.0))
    stream = both.control.audio
    assert stream is not None and stream.parity == 0
    packets = sum(of == AUDIO.id for _, of, _ in both.sent)
    assert packets == stream.units
    assert len(both.recovered) == pytest.approx(0.7 * packets, rel=0.15)


def test_source_does_not_wait_for_the_parity_of_the_window_before() -> None:
    stream = ProtectedStream(AUDIO.id, 1000, Policy(Losses(0.5), window_s=0.48))
    stream.push(bytes(9), 0.0, 0.24, 100.0)
    assert len(stream.poll(100.0)) == 1
    stream.push(bytes(9), 0.24, 0.24, 100.24)
    window = stream.poll(100.24)
    assert window[0].index == 1 and stream.next_time() is not None
    stream.push(bytes(9), 0.48, 0.24, 100.48)
    assert stream.next_time() == float("-inf")
    assert any(segment.index == 0 for segment in stream.poll(100.48))


def test_units_too_large_for_a_window_are_counted() -> None:
    stream = ProtectedStream(AUDIO.id, 100, POLICY)
    stream.push(bytes(100_000), 0.0, 0.24, 1.0)
    assert (stream.units, stream.dropped) == (1, 1)
    assert stream.poll(1.0) == []


def test_parity_leaves_room_for_pictures() -> None:
    stream = ProtectedStream(AUDIO.id, 1000, Policy(max_overhead=2.0), 1000.0)
    for rate, most in ((100_000.0, 2.0), (2500.0, SHARE * 2.5 - 1), (1000.0, 0.0), (100_000.0, 2.0)):
        stream.afford(rate)
        stream.believe(0.5)
        assert stream.policy.max_overhead == pytest.approx(most)
    unlimited = ProtectedStream(AUDIO.id, 1000, Policy(max_overhead=2.0))
    unlimited.afford(100.0)
    assert unlimited.policy.max_overhead == 2.0
