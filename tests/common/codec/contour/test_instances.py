"""Maps with instances: touching ones are apart, each keeps its track, and odd numbers are bounded or refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from common.codec.base import Budget, CodecError
from common.codec.contour.decoder import ContourDecoder
from common.codec.contour.encoder import ContourEncoder, ContourSettings
from common.codec.contour.payload import Payload
from common.codec.contour.syntax import Key, Move, Record, Records
from common.codec.contour.worth import counts, mean_iou
from common.maps.base import LabelMap
from tests.common.codec.contour.drawn import PLENTY, Labels

SETTINGS = ContourSettings(2, refresh=256)


def blocks(shift: int, number: int = 2) -> LabelMap:
    """Two blocks of one class that touch at first; the second (by its number) goes to the right."""
    ids = np.zeros((120, 160), np.uint16)
    ids[40:80, 20:50] = 1
    ids[40:80, 50 + shift : 80 + shift] = number
    return LabelMap((ids > 0).astype(np.uint8), ids)


def records(payloads: list[bytes]) -> list[Record]:
    bodies = [Payload.parse(one).body for one in payloads]
    return [one for body in bodies if isinstance(body, Records) for step in body.steps for one in step]


def test_touching_instances_are_tracks_of_their_own() -> None:
    one = records(ContourEncoder(SETTINGS, 160, 120).encode([blocks(0).labels] * 4, 0, PLENTY).payloads)
    two = records(ContourEncoder(SETTINGS, 160, 120).encode([blocks(0)] * 4, 0, PLENTY).payloads)
    assert len({record.track for record in one}) == 1
    assert len({record.track for record in two}) == 2


def test_an_instance_keeps_its_track_however_far_it_goes() -> None:
    encoder, decoder = ContourEncoder(SETTINGS, 160, 120), ContourDecoder()
    first = records(encoder.encode([blocks(0)] * 4, 0, PLENTY).payloads)
    decoder.decode(encoder.encode([blocks(0)] * 4, 1, PLENTY).payloads)
    later = records(encoder.encode([blocks(70)] * 4, 2, PLENTY).payloads)
    assert [type(one) for one in later] == [Move]
    (mover,) = later
    (key,) = [one for one in first if isinstance(one, Key) and one.track == mover.track]
    assert isinstance(mover, Move) and abs(mover.motion[0] - 70) <= 2
    assert min(x for x, _ in key.points) * 2 >= 40  # the second one's


@pytest.mark.parametrize("number", [3, 65535])
def test_another_number_is_another_instance(number: int) -> None:
    encoder, decoder = ContourEncoder(SETTINGS, 160, 120), ContourDecoder()
    decoder.decode(encoder.encode([blocks(0)] * 4, 0, PLENTY).payloads)
    for unit in range(1, 6):
        decoded = decoder.decode(encoder.encode([blocks(40, number)] * 4, unit, PLENTY).payloads)
    assert decoded is not None
    assert mean_iou(counts(blocks(40).labels, decoded.maps[-1], 2)) > 0.9


def test_instances_may_come_and_stay_away() -> None:
    encoder, decoder = ContourEncoder(SETTINGS, 160, 120), ContourDecoder()
    for unit in range(6):
        given: list[LabelMap | Labels] = [blocks(2 * unit), blocks(2 * unit).labels, blocks(2 * unit)]
        decoded = decoder.decode(encoder.encode(given[unit % 2 :], unit, PLENTY).payloads)
    assert decoded is not None
    assert mean_iou(counts(blocks(10).labels, decoded.maps[-1], 2)) > 0.85


def test_an_instance_a_pixel_gives_a_bounded_result() -> None:
    ids: NDArray[np.uint16] = np.arange(120 * 160, dtype=np.uint16).reshape(120, 160)
    labels: Labels = (ids % 3 > 0).astype(np.uint8)
    encoder = ContourEncoder(SETTINGS, 160, 120)
    for unit in range(3):
        coded = encoder.encode([LabelMap(labels, np.roll(ids, unit))], unit, Budget(2000, 57, 1171))
        assert coded.wire_bytes <= 2000
        assert ContourDecoder().decode(coded.payloads) is not None or unit


def test_instances_of_another_size_or_type_are_refused() -> None:
    labels = np.zeros((120, 160), np.uint8)
    encoder = ContourEncoder(SETTINGS, 160, 120)
    for ids in (np.zeros((120, 161), np.uint16), np.zeros((120, 160), np.int32)):
        with pytest.raises(CodecError, match=r"instances: must be \(120, 160\) of uint16"):
            encoder.encode([LabelMap(labels, ids)], 0, PLENTY)  # type: ignore[arg-type]
