"""Payloads round-trip, and any bytes are taken or refused with a CodecError."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.codec.base import CodecError
from common.codec.contour import syntax
from common.codec.contour.payload import Payload
from common.codec.contour.syntax import (
    ELLIPSE,
    FAR,
    GRIDS,
    MAX_SIDE,
    MAX_VERTICES,
    MAX_ZOOM,
    POLYGON,
    TURNS,
    Contour,
    Contours,
    End,
    Geometry,
    Key,
    Move,
    Record,
    Records,
    parts,
)

GEOMETRY = Geometry(160, 120, 3, 1)
SHIFTS = st.integers(-200, 200)
PAIRS = st.tuples(SHIFTS, SHIFTS)


@st.composite
def keys(draw: st.DrawFn, track: int) -> Key:
    grid = draw(st.integers(0, 3))
    columns, rows = GEOMETRY.cells(GRIDS[grid])
    points = draw(
        st.lists(
            st.tuples(st.integers(0, columns), st.integers(0, rows)), min_size=1, max_size=9, unique=True
        )
    )
    form, slant = draw(st.integers(POLYGON, ELLIPSE)), 0
    if form == ELLIPSE:
        short, longer = draw(st.integers(1, 200)), draw(st.integers(0, 200))
        points = [points[0], (short + longer, short)]
        slant = draw(st.integers(0, 15)) if longer else 0
    late = draw(st.booleans())
    motion, bend = ((0, 0), (0, 0)) if late else (draw(PAIRS), draw(PAIRS))
    generation, label = draw(st.integers(0, 3)), draw(st.integers(0, 7))
    return Key(track, generation, label, grid, tuple(points), motion, bend, late, form, slant)


@st.composite
def moves(draw: st.DrawFn, track: int) -> Move:
    vertices = sorted(draw(st.sets(st.integers(0, 60), max_size=4)))
    shifts = tuple((vertex, *draw(PAIRS)) for vertex in vertices)
    zoom = draw(st.integers(-MAX_ZOOM, MAX_ZOOM))
    turn = draw(st.integers(-TURNS // 2, TURNS // 2))
    return Move(track, draw(st.integers(0, 3)), draw(PAIRS), zoom, draw(PAIRS), shifts, turn)


@st.composite
def groups(draw: st.DrawFn, geometry: bool) -> tuple[Record, ...]:
    out: list[Record] = []
    for track in sorted(draw(st.sets(st.integers(0, 200), max_size=5))):
        ends = st.builds(End, st.just(track), st.integers(0, 3))
        kinds: list[st.SearchStrategy[Record]] = [moves(track), ends, *([keys(track)] if geometry else [])]
        out.append(draw(st.one_of(kinds)))
    return tuple(out)


@st.composite
def payloads(draw: st.DrawFn) -> Payload:
    geometry, frames = draw(st.booleans()), draw(st.integers(1, 16))
    steps = tuple(draw(groups(geometry)) for _ in range(draw(st.integers(1, min(frames, 4)))))
    repeats = draw(groups(geometry))
    body = Records(GEOMETRY if geometry else None, steps, repeats)
    return Payload(frames, body, draw(st.integers(0, 1)))


@st.composite
def papers(draw: st.DrawFn) -> Payload:
    frames = draw(st.integers(1, 16))
    contours = [
        Contour(
            draw(st.integers(0, 7)),
            (draw(st.integers(0, 159)), draw(st.integers(0, 119))),
            tuple(draw(st.lists(PAIRS, max_size=6))),
            tuple(draw(PAIRS) for _ in range(frames - 1)),
        )
        for _ in range(draw(st.integers(0, 4)))
    ]
    return Payload(frames, Contours(GEOMETRY, draw(st.integers(1, 1000)), tuple(contours)))


@settings(max_examples=60, deadline=None)
@given(st.one_of(payloads(), papers()))
def test_round_trip(payload: Payload) -> None:
    assert Payload.parse(bytes(payload)) == payload


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120))
def test_any_bytes(data: bytes) -> None:
    try:
        payload = Payload.parse(data)
    except CodecError:
        return
    assert Payload.parse(bytes(payload)) == payload


@settings(max_examples=60, deadline=None)
@given(payloads(), st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte(payload: Payload, place: int, flip: int) -> None:
    data = bytearray(bytes(payload))
    data[place % len(data)] ^= flip
    try:
        Payload.parse(bytes(data))
    except CodecError:
        return


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "empty"),
        (b"\x93", "reserved bits"),
        (b"\xe3\0\0\0", "reserved bits"),
        (b"\x83", "geometry: missing"),
        (b"\x43\xff\xff\xff", "size: at most"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, text: str) -> None:
    with pytest.raises(CodecError, match=text):
        Payload.parse(data)


def test_steps_share_the_frames_evenly() -> None:
    assert parts(4, 1) == [(0, 4)]
    assert parts(5, 2) == [(0, 2), (2, 5)]
    assert parts(3, 3) == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize("grid", range(len(GRIDS)))
def test_an_ellipse_reaches_no_further_than_any_vertex(grid: int) -> None:
    def payload(long: int) -> bytes:
        key = Key(0, 0, 1, grid, ((3, 3), (long, 1)), form=ELLIPSE)
        return bytes(Payload(1, Records(GEOMETRY, ((key,),), ()), 0))

    longest = min(FAR // GRIDS[grid], MAX_SIDE)
    Payload.parse(payload(longest))
    with pytest.raises(CodecError, match="axis"):
        payload(longest + 1)


def test_a_packet_with_an_ellipse_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    key = Key(0, 0, 1, 3, ((3, 3), (4000, 1)), form=ELLIPSE)
    with monkeypatch.context() as patch:
        patch.setattr(syntax, "FAR", 8 * FAR)
        data = bytes(Payload(1, Records(GEOMETRY, ((key,),), ()), 0))
    with pytest.raises(CodecError):
        Payload.parse(data)


def test_bits_that_cost_nothing_are_paid_for_in_zeros() -> None:
    """Sides that are all alike take next to no bytes, but as much time as any: a decoder reads no more of them than the
    bytes of the payload allow, and the encoder makes payloads that long."""
    zigzag = tuple((k % 2, k % 2) for k in range(MAX_VERTICES))
    keys = tuple(Key(n, 0, 0, 3, zigzag) for n in range(20))
    payload = Payload(1, Records(GEOMETRY, (keys,)))
    data = bytes(payload)
    assert data[-100:] == bytes(100) and Payload.parse(data) == payload
    with pytest.raises(CodecError, match="more bits than"):
        Payload.parse(data[:-1])
    assert Payload.parse(data + b"\0") == payload
    with pytest.raises(CodecError, match="follow the last instance"):
        Payload.parse(data + b"\1")
