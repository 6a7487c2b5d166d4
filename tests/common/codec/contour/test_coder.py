"""What goes into the arithmetic coder comes out, in about as many bits as it should."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.codec.base import CodecError
from common.codec.contour.coder import ONE, Contexts, Decoder, Encoder, number, signed, symbol

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("bit"), st.integers(0, 1)),
        st.tuples(st.just("raw"), st.integers(0, 1023)),
        st.tuples(st.just("number"), st.integers(0, 65535)),
        st.tuples(st.just("signed"), st.integers(-2048, 2048)),
        st.tuples(st.just("symbol"), st.integers(0, 15)),
    ),
    max_size=200,
)


def fresh() -> Contexts:
    return Contexts([ONE // 2] * 64, [0] * 64)


def code(coder: Encoder | Decoder, step: tuple[str, int], blank: bool) -> int:
    name, value = step
    value = 0 if blank else value
    if name == "bit":
        return coder.bit(0, value)
    if name == "raw":
        return coder.raw(10, value)
    if name == "number":
        return number(coder, 1, 8, value)
    if name == "signed":
        return signed(coder, 17, 8, value)
    return symbol(coder, 40, 4, value)


@given(STEPS)
def test_round_trip(steps: list[tuple[str, int]]) -> None:
    encoder = Encoder(fresh())
    for step in steps:
        code(encoder, step, False)
    data = encoder.finish()
    decoder = Decoder(fresh(), data)
    assert [code(decoder, step, True) for step in steps] == [value for _, value in steps]
    decoder.finish()


def test_a_skewed_source_costs_its_entropy() -> None:
    encoder = Encoder(fresh())
    for index in range(4000):
        encoder.bit(0, int(index % 20 == 0))  # 0.286 bit each
    assert 0.27 * 4000 < 8 * len(encoder.finish()) < 0.36 * 4000


def test_bytes_that_nothing_was_read_from_are_refused() -> None:
    decoder = Decoder(fresh(), b"\x80" + bytes(11) + b"\1")
    decoder.bit(0)
    with pytest.raises(CodecError, match="follow the last instance"):
        decoder.finish()


def test_bytes_that_end_early_are_refused() -> None:
    decoder = Decoder(fresh(), b"")
    with pytest.raises(CodecError, match="end within"):
        for _ in range(100):
            decoder.raw(10)
