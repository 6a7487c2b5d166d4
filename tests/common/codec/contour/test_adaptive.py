"""The adaptive mode keeps its floor for fewer bits than the paper's, under loss too, and refuses bad maps."""

from __future__ import annotations

import numpy as np
import pytest

from common.codec.base import IMAGINED, RECEIVED, RECOVERED, Budget, CodecError
from common.codec.contour.decoder import ContourDecoder
from common.codec.contour.encoder import ContourEncoder, ContourSettings
from common.codec.contour.paper import PaperSettings
from common.codec.contour.paper import encode as paper_encode
from common.codec.contour.payload import Payload
from common.codec.contour.syntax import Key, Records
from common.codec.contour.worth import counts, mean_iou
from tests.common.codec.contour.drawn import CLASSES, PLENTY, Labels, scene, scenes

SETTINGS = ContourSettings(CLASSES)


def units(count: int, settings: ContourSettings = SETTINGS, budget: Budget = PLENTY) -> list[list[bytes]]:
    encoder = ContourEncoder(settings, 160, 120)
    maps = scenes(4 * count)
    return [encoder.encode(maps[4 * unit : 4 * unit + 4], unit, budget).payloads for unit in range(count)]


def likeness(decoded: list[Labels]) -> float:
    found = sum(counts(scene(frame), labels, CLASSES) for frame, labels in enumerate(decoded))
    return mean_iou(np.asarray(found))


def test_it_keeps_the_floor_for_half_of_the_papers_bits() -> None:
    sent = units(5)
    decoder, shown = ContourDecoder(), list[Labels]()
    for payloads in sent:
        decoded = decoder.decode(payloads)
        assert decoded is not None and not decoded.trust.any()
        shown += decoded.maps
    assert likeness(shown) >= 0.84
    papers = sum(
        len(payload)
        for unit in range(5)
        for payload in paper_encode(scenes(20)[4 * unit : 4 * unit + 4], PaperSettings(classes=CLASSES))
    )
    assert sum(len(one) for payloads in sent for one in payloads) < 0.5 * papers


def test_encoder_and_decoder_come_to_the_same_maps() -> None:
    encoder, decoder = ContourEncoder(SETTINGS, 160, 120), ContourDecoder()
    maps, found = scenes(16), np.zeros((CLASSES, CLASSES), np.int64)
    for unit in range(4):
        part = maps[4 * unit : 4 * unit + 4]
        decoded = decoder.decode(encoder.encode(part, unit, PLENTY).payloads)
        assert decoded is not None
        found = found + sum(counts(a, b, CLASSES) for a, b in zip(part, decoded.maps, strict=True))
    assert encoder.mean_iou == pytest.approx(mean_iou(found), abs=0.02)


def test_a_still_scene_costs_next_to_nothing() -> None:
    encoder = ContourEncoder(ContourSettings(CLASSES, refresh=64), 160, 120)
    sizes = [sum(map(len, encoder.encode([scene(3)] * 4, unit, PLENTY).payloads)) for unit in range(12)]
    assert max(sizes[6:]) <= 40
    assert np.median(sizes[6:]) <= 4


def test_every_instance_is_keyed_again_in_time() -> None:
    encoder = ContourEncoder(ContourSettings(CLASSES, refresh=3), 160, 120)
    keys = list[set[int]]()
    for unit in range(9):
        bodies = [Payload.parse(one).body for one in encoder.encode([scene(2)] * 4, unit, PLENTY).payloads]
        groups = [step for body in bodies if isinstance(body, Records) for step in body.steps]
        keys.append({record.track for group in groups for record in group if isinstance(record, Key)})
    everything = set.union(*keys[3:6])
    assert everything and set.union(*keys[6:9]) == everything


def test_any_subset_of_packets_decodes() -> None:
    small = Budget(1e9, 57, 30)
    sent = units(4, budget=small)
    assert max(map(len, sent)) > 1
    rng = np.random.default_rng(1)
    for _ in range(10):
        decoder = ContourDecoder()
        for payloads in sent:
            decoded = decoder.decode([one if rng.random() < 0.5 else None for one in payloads])
            assert decoded is None or len(decoded.maps) == 4


def test_a_receiver_joins_at_any_unit() -> None:
    sent = units(10, ContourSettings(CLASSES, refresh=3))
    decoder, last = ContourDecoder(), None
    for payloads in sent[5:]:
        last = decoder.decode(payloads) or last
    assert last is not None
    truth = scenes(40)[36:]
    assert np.mean([mean_iou(counts(a, b, CLASSES)) for a, b in zip(truth, last.maps, strict=True)]) > 0.7


def test_losses_are_survived_and_told() -> None:
    sent = units(10, ContourSettings(CLASSES, refresh=4, repeat=True))
    rng, decoder, shown = np.random.default_rng(3), ContourDecoder(), list[Labels]()
    for unit, payloads in enumerate(sent):
        lost = unit > 0 and rng.random() < 0.3
        decoded = decoder.decode(None if lost else payloads)
        assert decoded is not None
        assert not lost or (decoded.trust == RECOVERED).any()
        shown += decoded.maps
    assert likeness(shown) > 0.75


def test_trust_falls_while_nothing_comes_and_returns() -> None:
    sent = units(7)
    decoder = ContourDecoder()
    assert decoder.decode(None) is None
    first = decoder.decode(sent[0])
    assert first is not None and (first.trust == RECEIVED).all()
    worst = [decoded.trust.max() for _ in range(6) if (decoded := decoder.decode(None))]
    assert worst[0] == RECOVERED and worst[-1] == IMAGINED


def test_a_repeated_key_replaces_a_lost_unit() -> None:
    sent = units(2, ContourSettings(CLASSES, repeat=True))
    whole, part = ContourDecoder(), ContourDecoder()
    whole.decode(sent[0])
    after, late = whole.decode(sent[1]), part.decode(sent[1])
    assert after is not None and late is not None
    assert mean_iou(counts(after.maps[3], late.maps[3], CLASSES)) > 0.9


def test_keys_that_a_report_misses_go_again() -> None:
    encoder, decoder = ContourEncoder(SETTINGS, 160, 120), ContourDecoder()
    maps = scenes(12)
    lost = encoder.encode(maps[:4], 0, PLENTY).payloads
    assert any(lost)
    encoder.report(0, [False] * len(lost))
    decoded = decoder.decode(encoder.encode(maps[4:8], 1, PLENTY).payloads)
    assert decoded is not None
    assert mean_iou(counts(maps[7], decoded.maps[3], CLASSES)) > 0.6
    encoder.report(0, None)  # reported already
    encoder.report(99, None)  # unknown


def test_the_budget_bounds_what_is_sent() -> None:
    encoder = ContourEncoder(SETTINGS, 160, 120)
    for unit in range(3):
        budget = Budget(120.0, 57, 40)
        coded = encoder.encode(scenes(12)[4 * unit : 4 * unit + 4], unit, budget)
        assert coded.wire_bytes <= 120
        assert all(len(one) <= 40 for one in coded.payloads)


def test_the_same_maps_give_the_same_bytes() -> None:
    assert units(2) == units(2)


def test_specks() -> None:
    """Thousands of one-pixel instances give a bounded result."""
    labels = np.zeros((120, 160), np.uint8)
    labels[::2, ::2] = 1
    encoder = ContourEncoder(ContourSettings(2), 160, 120)
    coded = encoder.encode([labels], 0, Budget(2000, 57, 1171))
    assert ContourDecoder().decode(coded.payloads) is not None
    assert coded.wire_bytes <= 2000


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (np.zeros((120, 161), np.uint8), "must be 160x120"),
        (np.full((120, 160), CLASSES, np.uint8), "label 5 is none of the 5 classes"),
        (np.zeros((120, 160, 3), np.uint8), r"must be \(H, W\)"),
        (np.zeros((0, 0), np.uint8), "must have 1"),
    ],
)
def test_bad_maps_are_refused(labels: Labels, text: str) -> None:
    with pytest.raises(CodecError, match=text):
        ContourEncoder(SETTINGS, 160, 120).encode([labels], 0, PLENTY)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(CodecError, match="floor"):
        ContourSettings(2, floor=1.5)
    with pytest.raises(CodecError, match="void"):
        ContourSettings(12, void=11)
    with pytest.raises(CodecError, match="size"):
        ContourEncoder(SETTINGS, 4096, 4096)


def test_payloads_of_different_streams_are_refused() -> None:
    one = ContourEncoder(SETTINGS, 160, 120).encode(scenes(4), 0, PLENTY).payloads
    other = ContourEncoder(SETTINGS, 80, 60).encode([scene(0, 80, 60)] * 4, 0, PLENTY).payloads
    decoder = ContourDecoder()
    with pytest.raises(CodecError, match="geometry"):
        decoder.decode([*one, *other])
    assert decoder.decode(None) is None
