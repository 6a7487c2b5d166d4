"""The encoder with reports: it sends what the loss calls for, and that is worth it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from common.codec.effort import Effort
from common.codec.encoder import REPORTED_UNITS, ResilientEncoder
from common.codec.weights import load_model
from tests.common.codec.conversation import Conversation, Said
from tests.common.codec.scene import FPS, HEIGHT, WIDTH, budget, still_pictures, unit_pictures

MODEL = load_model("resilient")
ROOM = budget(500)


def listen(talk: Conversation, units: int, kbps: float, still: bool = False) -> tuple[list[Said], float]:
    """What is said in these units, and the mean PSNR once reports have begun to help."""
    seen = []
    for unit in range(units):
        pictures = still_pictures() if still else unit_pictures(unit)
        talk.say(pictures, budget(kbps))
        seen.append(talk.quality(pictures))
    return talk.said, float(np.mean(seen[units // 3 :]))


def new_encoder() -> ResilientEncoder:
    """One that is fast."""
    return ResilientEncoder(MODEL.model_id, WIDTH, HEIGHT, FPS, Effort(0.01))


def sent(encoder: ResilientEncoder, unit: int) -> list[bytes]:
    return encoder.encode(still_pictures(), unit, ROOM).payloads


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("kbps", [60.0, 90.0, 120.0])
def test_a_link_that_loses_nothing_looks_better(kbps: float, still: bool) -> None:
    """No byte is sent twice: at least half a decibel for the same rate."""
    _, blind = listen(Conversation(None), 18, kbps, still)
    said, told = listen(Conversation(1), 18, kbps, still)
    assert told > blind + 0.5
    assert said[-1].header.needed == len(said[-1].encoded.payloads)


def test_where_one_packet_is_too_small_all_are_needed() -> None:
    said, told = listen(Conversation(1), 15, 500.0)
    _, blind = listen(Conversation(None), 15, 500.0)
    assert said[0].header.needed == 1
    assert said[-1].header.needed == len(said[-1].encoded.payloads) > 1
    assert told > blind + 0.5


@pytest.mark.parametrize("loss", [0.8, 0.9])
@pytest.mark.parametrize("kbps", [60.0, 120.0])
def test_a_link_that_loses_most_is_sent_whole_views(loss: float, kbps: float) -> None:
    talk = Conversation(1, loss)
    for unit in range(30):
        talk.say(unit_pictures(unit), budget(kbps))
    blind = new_encoder().encode(unit_pictures(0), 0, budget(kbps)).payloads
    assert {said.header.needed for said in talk.said[10:]} == {1}
    assert np.mean([len(said.encoded.payloads) for said in talk.said[10:]]) > len(blind)


def test_what_was_learnt_is_unlearnt_when_the_link_changes() -> None:
    talk = Conversation(1)
    for unit in range(15):
        talk.say(unit_pictures(unit), ROOM)
    before = talk.said[-1].header.needed
    talk._loss = 0.9
    for unit in range(15, 35):
        talk.say(unit_pictures(unit), ROOM)
    assert before > 1
    assert talk.said[-1].header.needed == 1


def test_reports_that_come_late_count_as_well() -> None:
    talk = Conversation(late=12)
    for unit in range(30):
        talk.say(unit_pictures(unit), ROOM)
    assert talk.said[12].header.needed == 1
    assert talk.said[-1].header.needed > 1


def assert_unmoved(encoder: ResilientEncoder, reports: Sequence[tuple[int, Sequence[bool] | None]]) -> None:
    """Reports that must not count."""
    before = encoder._belief.weights.copy()
    for unit, arrived in reports:
        encoder.report(unit, arrived)
    assert np.array_equal(encoder._belief.weights, before)


def test_only_the_first_report_of_a_known_unit_counts() -> None:
    encoder = new_encoder()
    count = len(sent(encoder, 5))
    assert_unmoved(encoder, [(4, [True] * count), (6, [True] * count), (-5, []), (2**40, [True] * count)])
    encoder.report(5, [True] * count)
    assert encoder._belief.weights[0] > encoder._belief.weights[-1]
    assert_unmoved(encoder, [(5, [True] * count), (5, [False] * count)])


@pytest.mark.parametrize("change", [-1, 1, 200])
def test_a_report_of_another_number_of_packets_is_ignored(change: int) -> None:
    encoder = new_encoder()
    count = len(sent(encoder, 0))
    assert_unmoved(encoder, [(0, [False] * (count + change))])


def test_a_unit_that_was_refused_tells_nothing_of_the_loss() -> None:
    encoder = new_encoder()
    count = len(sent(encoder, 0))
    assert_unmoved(encoder, [(0, None), (0, [False] * count)])


def test_units_are_remembered_for_a_while_and_no_longer() -> None:
    encoder = new_encoder()
    counts = [len(sent(encoder, unit)) for unit in range(REPORTED_UNITS + 6)]
    assert len(encoder._packets) <= REPORTED_UNITS
    assert_unmoved(encoder, [(5, [True] * counts[5])])
    encoder.report(6, [True] * counts[6])
    assert encoder._belief.weights[0] > encoder._belief.weights[-1]


def test_a_belief_that_was_given_is_followed_until_reports_tell_otherwise() -> None:
    encoder = new_encoder()
    encoder.believe(np.eye(len(encoder._belief.weights))[0])
    payloads = sent(encoder, 0)
    assert (payloads[0][5] >> 4) + 1 == len(payloads)
    for unit in range(1, 30):
        encoder.report(unit - 1, [False] * len(payloads))
        payloads = sent(encoder, unit)
    assert payloads[0][5] >> 4 == 0
