"""An access unit cut into segments."""

from __future__ import annotations

import pytest

from proto.packetizer import segments


def test_one_segment_for_each_payload() -> None:
    cut = segments(1, 65536 + 5, 262.144 + 0.008, [b"a", b"bb"], payload_limit=2)
    assert [(s.stream, s.unit, s.index, s.count, s.timestamp) for s in cut] == [
        (1, 5, 0, 2, 2),
        (1, 5, 1, 2, 2),
    ]
    assert [s.payload for s in cut] == [b"a", b"bb"]


def test_payloads_of_the_wrong_number_or_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"payloads: must be 1\.\.255 \(got 0\)"):
        segments(1, 0, 0.0, [], 100)
    with pytest.raises(ValueError, match=r"payloads: must be 1\.\.255 \(got 256\)"):
        segments(1, 0, 0.0, [b""] * 256, 100)
    with pytest.raises(ValueError, match=r"payloads: at most 100 bytes each \(got 101\)"):
        segments(1, 0, 0.0, [b"", bytes(101)], 100)
