"""More than 2**32 microseconds of a whole conversation in virtual time: every number that can wrap does so."""

from __future__ import annotations

from itertools import pairwise

import pytest

from proto.crypto import MAX_PACKETS
from proto.streams import VIDEO
from tests.e2e.conversation import Conversation

MINUTES = 72
CLOCK_SPAN_S = 2**32 / 1000  # of the receiver's clock in reports
WORST_UNIT_GAP, WORST_REPORT_GAP = 6.0, 20.0  # s; what a loss of half does by chance


def gaps(times: list[float]) -> float:
    return max(later - earlier for earlier, later in pairwise(times))


def check(talk: Conversation) -> None:
    """Nothing has stalled since the start."""
    times = [at for at, _ in talk.units]
    assert gaps([talk.start, *times, talk.now]) < WORST_UNIT_GAP
    assert gaps([talk.start, *talk.reports, talk.now]) < WORST_REPORT_GAP
    assert all(later[1] > earlier[1] for earlier, later in pairwise(talk.units))
    assert talk.unit - talk.last < WORST_UNIT_GAP / talk.unit_seconds + 1
    assert (talk.receiver.sessions, talk.receiver.takeovers) == (1, 1)
    assert len(talk.transits) == 1  # timestamps are restored, whichever time they wrap


def near_the_end_of_every_count(talk: Conversation) -> None:
    """What reports count wraps soon: packets and bytes, units shown and due."""
    reporter = talk.replies._reporter
    reporter._packets += (1 << 32) - 1000
    reporter._bytes += (1 << 32) - 100_000
    talk.receiver.tallies[VIDEO.id].units_closed += (1 << 16) - 1000


def test_seventy_two_minutes() -> None:
    first = 65_536 - 4_000
    talk = Conversation(loss=0.1, unit=first, clock_offset=CLOCK_SPAN_S - 1_900.0)
    own = talk.session._own.session
    talk.replies._reporter.number = (1 << 16) - 1000
    talk.run(10.0)
    near_the_end_of_every_count(talk)
    talk.run(60.0 * MINUTES - 10.0)
    check(talk)
    reporter, tally = talk.replies._reporter, talk.receiver.tallies[VIDEO.id]
    assert reporter.number > 1 << 16 and tally.units_closed > 1 << 16
    assert talk.now - talk.start > 2**32 / 1e6
    agreed, renewed = talk.agreed  # once at the start and, as nobody was ever silent, once more after an hour
    assert renewed - agreed == pytest.approx(3600.0, abs=5.0)
    around = [at for at, _ in talk.units if abs(at - renewed) < 10.0]
    assert gaps(around) < 4 * talk.unit_seconds
    assert talk.session.two_way and talk.session._own.session != own
    assert talk.last > 65_536 + 4_000
    assert (
        len(talk.units) > 0.98 * 60 * MINUTES / talk.unit_seconds
    )  # a unit is lost when both of its packets are
    assert talk.control.malformed == 0
    assert 0.0 < talk.control.feedback.loss(talk.now) < 0.3
    assert talk.control.feedback.rtt is not None and talk.control.feedback.rtt < 0.2
    assert len(talk.reports) > 60 * MINUTES * 0.7  # one a second at least, when all is quiet


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ten_minutes_of_half_the_packets_lost(seed: int) -> None:
    """The receiver seems silent now and then: keys change more often, and nothing stalls."""
    talk = Conversation(loss=0.5, seed=seed, unit=65_536 - 600)
    talk.run(600.0)
    check(talk)
    assert len(talk.agreed) >= 1
    assert len(talk.units) > 0.65 * 600 / talk.unit_seconds


def test_counters_that_run_out_are_no_gap() -> None:
    """Keys that seal few packets more while no handshake gets through; then the pre-shared key's; then back."""
    talk = Conversation(seed=2)
    talk.run(20.0)
    handshakes = talk.session.handshakes
    assert talk.session._two_way is not None
    keys = talk.session._two_way.sealer
    talk.handshakes_pass = False
    keys._counter = MAX_PACKETS - 100
    talk.run(60.0)
    assert keys.remaining == 0
    assert talk.session.session == talk.session._own.session and talk.session.handshakes == handshakes
    assert talk.counters[keys.session] > MAX_PACKETS - 20  # of the last ones some are lost
    talk.session._own._counter = MAX_PACKETS - 5
    talk.run(60.0)
    assert talk.session._number == 1
    talk.handshakes_pass = True
    talk.run(60.0)
    assert talk.session.two_way and talk.session.handshakes > handshakes
    assert gaps([at for at, _ in talk.units]) < WORST_UNIT_GAP
    assert talk.now - talk.reports[-1] < WORST_REPORT_GAP
    assert (talk.receiver.sessions, talk.receiver.takeovers) == (1, 1)


def test_a_way_back_whose_counter_runs_out_gets_new_keys() -> None:
    talk = Conversation(seed=3)
    talk.run(20.0)
    handshakes = talk.session.handshakes
    origin = talk.receiver.active
    assert origin is not None and origin.two_way is not None
    origin.two_way.sealer._counter = MAX_PACKETS - 30
    talk.run(60.0)
    assert talk.session.handshakes > handshakes and talk.session.two_way
    check(talk)
