"""The encoder with reports: units refer back to what the receiver holds, and that is worth it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from common.codec.base import Budget, CodecError
from common.codec.decoder import ResilientDecoder
from common.codec.encoder import packet_count
from common.codec.header import HEADER_BYTES, MAX_REFERENCE, CodecHeader
from common.codec.weights import load_model
from tests.common.codec.conversation import Conversation
from tests.common.codec.scene import budget, other_pictures, psnr, receive, still_pictures, unit_pictures

MODEL = load_model("resilient")


def mean_quality(talk: Conversation, moves: bool, units: int = 12, allowed: Budget | None = None) -> float:
    """Mean PSNR once reports have begun to help."""
    seen = []
    for unit in range(units):
        pictures = unit_pictures(unit) if moves else still_pictures()
        talk.say(pictures, allowed)
        seen.append(talk.quality(pictures))
    return float(np.mean(seen[4:]))


def test_units_refer_back_and_every_packet_says_so() -> None:
    talk = Conversation(late=1)
    for _ in range(5):
        said = talk.say(still_pictures())
        headers = {replace(CodecHeader.parse(p), stillness=0) for p in said.encoded.payloads}
        assert len(headers) == 1
        assert said.decoded is not None
        assert said.decoded.arrived == said.decoded.total
    assert headers.pop().reference == 2


def test_who_does_not_hold_the_reference_refuses_and_keeps_its_state() -> None:
    talk, joins_late = Conversation(late=0), ResilientDecoder(MODEL)
    for _ in range(4):
        said = talk.say(still_pictures())
    with pytest.raises(CodecError, match="reference"):
        joins_late.decode(receive(said.encoded, 3))
    with pytest.raises(CodecError, match="nothing has arrived"):
        joins_late.decode(None)  # a refused unit is no unit
    mine = talk.decoder._state
    far = [bytes((p[0] & 0xF0 | MAX_REFERENCE,)) + p[1:] for p in said.encoded.payloads]
    with pytest.raises(CodecError, match="reference"):
        talk.decoder.decode(receive(replace(said.encoded, payloads=far), 4))  # from before its first unit
    assert talk.decoder._state is mine


def test_a_receiver_that_missed_units_holds_nothing_from_before_the_gap() -> None:
    """Not lost units, which it is told of, but ones that it never heard of: what came before is another history."""
    talk, other = Conversation(late=2), ResilientDecoder(MODEL)
    for unit in range(5):
        said = talk.say(still_pictures())
        if unit != 3:
            other.decode(receive(said.encoded, unit))
    said = talk.say(still_pictures())
    assert said.header.reference == 3
    with pytest.raises(CodecError, match="reference"):  # to unit 2, before the gap
        other.decode(receive(said.encoded, 5))


def test_a_new_receiver_is_served_again_once_nobody_reports() -> None:
    talk = Conversation(late=0)
    for _ in range(4):
        talk.say(still_pictures())
    other, refused = ResilientDecoder(MODEL), 0
    for unit in range(4, 5 + MAX_REFERENCE):
        encoded = talk.encoder.encode(still_pictures(), unit, budget())
        try:
            decoded = other.decode(receive(encoded, unit))
        except CodecError:
            refused += 1
    assert 0 < refused < MAX_REFERENCE
    assert decoded.arrived == decoded.total
    assert psnr(still_pictures()[0], decoded.pictures[0]) > 24


@pytest.mark.parametrize("late", [0, 1, 2])
@pytest.mark.parametrize("moves", [False, True])
def test_feedback_costs_next_to_no_quality(late: int, moves: bool) -> None:
    assert mean_quality(Conversation(late), moves) > mean_quality(Conversation(), moves) - 0.3


def test_feedback_pays_where_nothing_moves() -> None:
    tight = budget(30)
    assert mean_quality(Conversation(1), False, allowed=tight) > mean_quality(
        Conversation(), False, allowed=tight
    )


@pytest.mark.parametrize("loss", [0.3, 0.6])
def test_feedback_costs_little_quality_under_loss(loss: float) -> None:
    """The same seeds, packets lost on the way there; what is referred to is what really arrived."""
    there, alone = (
        np.mean([mean_quality(Conversation(late, loss, seed=seed), False) for seed in (1, 2, 3)])
        for late in (1, None)
    )
    assert there > alone - 0.5


@pytest.mark.parametrize("moves", [False, True])
def test_a_small_difference_between_the_ends_dies_out(moves: bool) -> None:
    """Other processors round differently. What that does to a receiver's state must not build up over references."""
    talk, other, apart = Conversation(late=1), ResilientDecoder(MODEL), []
    for unit in range(150):
        said = talk.say(unit_pictures(unit) if moves else still_pictures(), budget(30))
        other.decode(receive(said.encoded, unit))
        if unit == 8:
            noise = np.random.default_rng(1).normal(0, 1e-4, talk.decoder._state.latent.shape)  # type: ignore[union-attr]
            for number, state in other._held.items():
                other._held[number] = replace(state, latent=state.latent + noise.astype(np.float32))
            other._state = other._held[unit]
        assert talk.decoder._state is not None
        assert other._state is not None
        apart.append(float(np.abs(talk.decoder._state.latent - other._state.latent).mean()))
    assert apart[8] > 5e-5
    assert apart[40] < 0.5 * apart[8]
    assert apart[149] < max(0.5 * apart[40], 1e-6)


def test_after_a_cut_a_reference_is_no_burden() -> None:
    """The first unit of a new scene looks as well as without feedback: what the state tells is of no use there."""
    seen = []
    for late in (None, 1):
        talk = Conversation(late)
        for _ in range(5):
            talk.say(other_pictures())
        talk.say(still_pictures())
        seen.append(talk.quality(still_pictures()))
    assert seen[1] > seen[0] - 1.0


@pytest.mark.parametrize("kbps", [30, 60, 250])
def test_units_that_refer_back_fit_their_budget(kbps: float) -> None:
    talk, allowed = Conversation(1), budget(kbps)
    for unit in range(6):
        encoded = talk.say(unit_pictures(unit), allowed).encoded
        assert encoded.wire_bytes == sum(map(len, encoded.payloads)) + 57 * len(encoded.payloads)
        assert encoded.wire_bytes <= 1.05 * allowed.wire_bytes
        assert min(map(len, encoded.payloads)) > HEADER_BYTES


def test_a_link_that_loses_little_is_sent_fewer_packets() -> None:
    allowed = Budget(wire_bytes=6000, packet_overhead=57, max_payload=1171)
    counts = [packet_count(allowed, 60.0, loss) for loss in (0.0, 0.05, 0.2, 0.5, None)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1] == packet_count(allowed, 60.0)
    assert counts[0] * (allowed.max_payload + 57) >= allowed.wire_bytes  # what is to be sent has room
