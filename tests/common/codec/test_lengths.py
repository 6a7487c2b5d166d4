"""Lengths come back; what is none is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.codec.base import CodecError
from common.codec.lengths import MOST_BYTES, length, read_length


@given(st.integers(0, 2 ** (7 * MOST_BYTES) - 1), st.binary(max_size=5), st.binary(max_size=5))
def test_lengths_come_back(value: int, before: bytes, after: bytes) -> None:
    data = before + length(value) + after
    assert read_length(data, len(before)) == (value, len(data) - len(after))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff\xff", b"\xff\xff\xff\x01"])
def test_what_does_not_end_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError, match="no length"):
        read_length(data, 0)
