"""Payloads: what is packed is unpacked, alone and as a unit; nothing else but the documented error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.codec.base import CodecError
from common.codec.entropy import MAX_ELEMENT
from common.codec.header import HEADER_BYTES, QUALITIES, STILLNESSES, CodecHeader
from common.codec.levels import LEFT_OUT, LEVELS
from common.codec.parse import LOST, lost_unit, parse_unit
from common.codec.payload import PacketContent, pack, unpack
from common.codec.weights import load_model
from proto.interleaver import segment_positions
from tests.common.codec.scene import Received

MODEL = load_model("resilient")
HEADER = CodecHeader(MODEL.model_id, 64, 96, 15.0, 12, 3)

value = st.one_of(st.integers(-2, 2), st.integers(-MAX_ELEMENT, MAX_ELEMENT))


@st.composite
def packets(draw: st.DrawFn) -> tuple[CodecHeader, PacketContent]:
    """A header and what a packet of its unit may say."""
    header = replace(
        HEADER,
        width=16 * draw(st.integers(1, 5)),
        quality=draw(st.integers(0, QUALITIES - 1)),
        stillness=draw(st.integers(0, STILLNESSES - 1)),
    )
    positions = draw(st.integers(1, min(9, header.positions)))
    levels = draw(arrays(np.int32, positions, elements=st.integers(LEFT_OUT, LEVELS)))
    base = draw(arrays(np.int32, (MODEL.base, header.positions // 4), elements=value, fill=st.just(0)))
    elements = draw(arrays(np.int32, (MODEL.latent, positions), elements=value, fill=st.just(0)))
    return header, PacketContent(base, levels, elements * (levels != LEFT_OUT))


def assert_same(one: PacketContent, other: PacketContent) -> None:
    for name in ("base", "levels", "elements"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def content(levels: list[int], seed: int = 0, header: CodecHeader = HEADER) -> PacketContent:
    """Random elements at these levels."""
    rng = np.random.default_rng(seed)
    base = np.rint(rng.laplace(0, 1, (MODEL.base, header.positions // 4))).astype(np.int32)
    elements = np.rint(rng.laplace(0, 1, (MODEL.latent, len(levels)))).astype(np.int32)
    coded = np.array(levels, np.int32)
    return PacketContent(base, coded, elements * (coded != LEFT_OUT))


@settings(deadline=None)
@given(packets())
def test_round_trip(packet: tuple[CodecHeader, PacketContent]) -> None:
    header, said = packet
    payload = pack(MODEL, header, said)
    assert CodecHeader.parse(payload) == header
    assert_same(unpack(MODEL, payload, len(said.levels)), said)


@pytest.mark.parametrize("levels", [[LEFT_OUT] * 6, list(range(LEVELS + 1)), [1] * 4, [LEVELS] * 4])
def test_left_out_all_levels_and_escapes(levels: list[int]) -> None:
    said = content(levels)
    if any(levels):
        said.elements[5, -1], said.elements[190, -1], said.base[3, 2] = 400, -MAX_ELEMENT, 17
    assert_same(unpack(MODEL, pack(MODEL, HEADER, said), len(levels)), said)


def test_what_is_left_out_costs_next_to_nothing() -> None:
    still = replace(HEADER, stillness=STILLNESSES - 1)
    alone, more = (len(pack(MODEL, still, content([LEFT_OUT] * n))) for n in (1, 24))
    assert more - alone <= 4


def test_a_packet_that_says_nothing_new_ends_early() -> None:
    """Zero bytes at the end are not sent, and read back as if they had been."""
    said = content([LEFT_OUT] * 6)
    payload = pack(MODEL, HEADER, said)
    assert not payload.endswith(b"\0")
    for padded in (payload + b"\0", payload + bytes(9)):
        assert_same(unpack(MODEL, padded, 6), said)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 24), st.integers(0, QUALITIES - 1))
def test_garbage_gives_a_packet_or_the_documented_error(data: bytes, positions: int, quality: int) -> None:
    try:
        said = unpack(MODEL, bytes(replace(HEADER, quality=quality)) + data, positions)
    except CodecError:
        return
    assert said.base.shape == (MODEL.base, HEADER.positions // 4)
    assert said.levels.shape == (positions,)
    assert said.elements.shape == (MODEL.latent, positions)
    assert LEFT_OUT <= said.levels.min() <= said.levels.max() <= LEVELS
    assert max(np.abs(said.base).max(), np.abs(said.elements).max()) <= MAX_ELEMENT
    assert not said.elements[:, said.levels == LEFT_OUT].any()


@settings(deadline=None)
@given(st.binary(max_size=HEADER_BYTES + 3))
def test_short_payloads_are_refused_or_read_as_zeros(data: bytes) -> None:
    try:
        header = CodecHeader.parse(data)
        assert unpack(MODEL, data, 2).base.shape == (MODEL.base, header.positions // 4)
    except CodecError:
        return


def payloads(count: int = 3, unit: int = 7) -> list[bytes]:
    """A unit of `count` packets, levels and elements at random."""
    rng = np.random.default_rng(4)
    whole = content(rng.integers(0, LEVELS + 1, HEADER.positions).tolist())
    out = []
    for index in range(count):
        mine = segment_positions(HEADER.positions, count, index, unit)
        header = replace(HEADER, stillness=index)  # the one field that packets may disagree in
        out.append(
            pack(MODEL, header, PacketContent(whole.base, whole.levels[mine], whole.elements[:, mine]))
        )
    return out


def test_a_unit_is_put_together_from_whatever_arrived() -> None:
    sent = payloads()
    whole = parse_unit(MODEL, Received(7, tuple(sent)))
    part = parse_unit(MODEL, Received(7, (sent[0], None, sent[2])))
    assert whole is not None
    assert part is not None
    lost = segment_positions(HEADER.positions, 3, 1, 7)
    there = np.setdiff1d(np.arange(HEADER.positions), lost)
    assert (whole.levels != LOST).all()
    assert (part.levels[lost] == LOST).all()
    assert not part.elements[:, lost].any()
    assert np.array_equal(part.levels[there], whole.levels[there])
    assert np.array_equal(part.elements[:, there], whole.elements[:, there])
    assert np.array_equal(part.base, whole.base)  # type: ignore[arg-type]
    assert np.array_equal(whole.mask, whole.levels > 0)
    assert np.array_equal(part.kept, part.levels == 0)


def test_units_of_which_nothing_arrived() -> None:
    assert parse_unit(MODEL, Received(7, (None, None))) is None
    lost = lost_unit(MODEL, HEADER)
    assert lost.base is None
    assert not lost.mask.any()
    assert not lost.kept.any()
    assert (lost.levels == LOST).all()


@pytest.mark.parametrize(
    "change",
    [
        {"model": MODEL.model_id + 1},
        {"reference": 1},
        {"width": 80},
        {"height": 64},
        {"fps": 30.0},
        {"quality": 13},
    ],
)
def test_segments_that_disagree_about_the_unit_are_refused(change: dict[str, float]) -> None:
    sent = payloads()
    other = bytes(replace(CodecHeader.parse(sent[1]), **change))  # type: ignore[arg-type]
    with pytest.raises(CodecError, match="disagree"):
        parse_unit(MODEL, Received(7, (sent[0], other + sent[1][HEADER_BYTES:], sent[2])))


def test_segments_that_disagree_about_the_base_are_refused() -> None:
    sent = payloads()
    said = unpack(MODEL, sent[1], len(segment_positions(HEADER.positions, 3, 1, 7)))
    said.base[2, 3] += 1
    liar = pack(MODEL, CodecHeader.parse(sent[1]), said)
    with pytest.raises(CodecError, match="base"):
        parse_unit(MODEL, Received(7, (sent[0], liar, sent[2])))


def test_another_model_is_refused() -> None:
    sent = pack(MODEL, replace(HEADER, model=MODEL.model_id + 1), content([1] * HEADER.positions))
    with pytest.raises(CodecError, match="model"):
        parse_unit(MODEL, Received(0, (sent,)))
