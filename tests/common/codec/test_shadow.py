"""The sender's image of the receiver: hopeful without reports; with them the receiver's own state, bit for bit."""

from __future__ import annotations

import pytest

from common.codec.header import MAX_REFERENCE
from common.codec.shadow import Shadow
from tests.common.codec.conversation import Conversation, assert_equal_states
from tests.common.codec.scene import still_pictures, unit_pictures


def shadow_of(conversation: Conversation) -> Shadow:
    return conversation.encoder._shadow


def assert_confirmed_is_what_the_receiver_had(conversation: Conversation) -> None:
    shadow = shadow_of(conversation)
    assert_equal_states(shadow.confirmed, conversation.decoder._held[shadow.confirmed_unit])


def test_without_reports_units_stand_alone_and_the_sender_hopes() -> None:
    talk = Conversation()
    for unit in range(3 * MAX_REFERENCE):
        said = talk.say(unit_pictures(unit))
        assert said.header.reference == 0
        assert shadow_of(talk).confirmed is None
        assert shadow_of(talk).loss is None
        assert len(shadow_of(talk)._pending) < MAX_REFERENCE
    assert_equal_states(
        shadow_of(talk).hopeful, talk.decoder._state
    )  # all has arrived, so the hope was right


@pytest.mark.parametrize("late", [0, 1, 4])
@pytest.mark.parametrize("loss", [0.0, 0.3, 0.7])
def test_what_is_confirmed_is_the_receivers_state(late: int, loss: float) -> None:
    talk = Conversation(late, loss, seed=late)
    for unit in range(14):
        said = talk.say(unit_pictures(unit) if unit < 7 else still_pictures(28))
        if shadow_of(talk).confirmed is not None:
            assert shadow_of(talk).confirmed_unit == unit - late - 1
            assert said.header.reference in (0, late + 1)  # the encoder need not refer back
            assert_confirmed_is_what_the_receiver_had(talk)
    assert shadow_of(talk).confirmed is not None
    if loss == 0:
        assert_equal_states(shadow_of(talk).hopeful, talk.decoder._state)


def test_after_a_refusal_units_stand_alone() -> None:
    """A receiver that restarts refuses what refers back; told so, the sender goes on without references."""
    talk = Conversation(1)
    for unit in range(8):
        talk.say(unit_pictures(unit))
    assert shadow_of(talk).confirmed is not None
    talk.encoder.report(7, None)
    for unit in range(8, 14):
        assert talk.say(unit_pictures(unit)).header.reference == 0
    assert len(shadow_of(talk)._pending) == 0


@pytest.mark.parametrize("lost", [(0,), (0, 1, 2), (0, 3, 4), (5, 6, 7)])
def test_also_when_whole_units_are_lost(lost: tuple[int, ...]) -> None:
    talk = Conversation(1, 0.2, lost)
    for unit in range(12):
        said = talk.say(unit_pictures(unit))
        if shadow_of(talk).confirmed is not None:
            assert_confirmed_is_what_the_receiver_had(talk)
        if 0 in lost and said.decoded is None:
            assert said.header.reference == 0  # a receiver that has seen nothing holds nothing
    assert shadow_of(talk).confirmed_unit == 9


def test_reports_may_come_in_any_order() -> None:
    talk = Conversation()
    for unit in range(4):
        talk.say(unit_pictures(unit))
    reports = [(said.unit, said.arrived) for said in talk.said]
    for number, arrived in (reports[2], reports[1], reports[3]):
        talk.encoder.report(number, arrived)
        assert shadow_of(talk).confirmed is None  # unit 0 is still open
    talk.encoder.report(*reports[0])
    assert shadow_of(talk).confirmed_unit == 3
    assert_confirmed_is_what_the_receiver_had(talk)


def test_loss_is_what_was_reported() -> None:
    talk = Conversation(0, 0.4)
    for unit in range(20):
        talk.say(unit_pictures(unit))
    assert shadow_of(talk).loss == pytest.approx(0.4, abs=0.2)
    whole = Conversation(0)
    for unit in range(3):
        whole.say(unit_pictures(unit))
    assert shadow_of(whole).loss == 0


def test_late_reports_end_the_references_and_the_stream_goes_on() -> None:
    talk = Conversation(1)
    for _ in range(4):
        talk.say(still_pictures())
    assert talk.said[-1].header.reference == 2
    talk.late = None  # the way back breaks
    for unit in range(4, 20):
        said = talk.say(unit_pictures(unit))
        assert said.header.reference <= MAX_REFERENCE
        assert len(shadow_of(talk)._pending) < MAX_REFERENCE
    assert said.header.reference == 0
    assert shadow_of(talk).confirmed is None
    assert shadow_of(talk).loss is None
    assert said.decoded is not None
    assert said.decoded.arrived == said.decoded.total
    assert talk.quality(unit_pictures(19)) > 24


@pytest.mark.parametrize("late", [MAX_REFERENCE - 2, MAX_REFERENCE - 1, MAX_REFERENCE + 1])
def test_reports_just_in_time_are_used_and_later_ones_do_no_harm(late: int) -> None:
    talk = Conversation(late)
    for _ in range(2 * MAX_REFERENCE + 2):
        said = talk.say(still_pictures())  # decodes: what is referred to is held
    assert said.header.reference == (late + 1 if late < MAX_REFERENCE - 1 else 0)


def test_bogus_reports_are_ignored() -> None:
    talk = Conversation()
    for unit in range(3):
        talk.say(unit_pictures(unit))
    shadow, said = shadow_of(talk), talk.said
    hoped = shadow.hopeful
    for number, arrived in (
        (7, [True]),  # not sent yet
        (-1, [True]),
        (0, []),
        (0, [True]),  # wrong length
        (0, [True] * (len(said[0].arrived) + 1)),
    ):
        talk.encoder.report(number, arrived)
        assert shadow.confirmed is None
        assert shadow.loss is None
        assert shadow.hopeful is hoped
    talk.encoder.report(0, said[0].arrived)
    confirmed = shadow.confirmed
    assert confirmed is not None
    for number in (0, 0):  # twice, and then with other news
        talk.encoder.report(number, [False] * len(said[0].arrived))
    assert shadow.confirmed is confirmed
    assert shadow.loss == 0
    talk.encoder.report(2, said[2].arrived)
    talk.encoder.report(2, [False] * len(said[2].arrived))  # twice while unit 1 is open
    assert shadow.loss == 0
    talk.encoder.report(1, said[1].arrived)
    assert_confirmed_is_what_the_receiver_had(talk)
