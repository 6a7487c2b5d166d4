"""The format: vectors, round trips, and files that something has happened to."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.capture.reader import Reader, open_capture
from common.capture.records import (
    HEAD,
    KINDS,
    MAGIC,
    MARK,
    CaptureError,
    Decoded,
    Dropped,
    End,
    Packet,
    Record,
    Start,
    Steps,
    pack,
)
from tests.common.capture.samples import capture, packet, started

TIMES = st.floats(0, 1e11)
SIX = st.binary(min_size=6, max_size=6)
NUMBERS = st.integers(0, 2**32 - 1)
RECORDS = st.one_of(
    st.builds(Packet, TIMES, SIX, SIX, st.integers(0, 255), NUMBERS, st.booleans(), st.binary(max_size=1500)),
    st.builds(Dropped, TIMES, st.integers(0, 2**64 - 1)),
    st.builds(End, TIMES, st.integers(0, 255)),
    st.builds(
        Decoded,
        *(TIMES, TIMES, NUMBERS, st.integers(0, 2**64 - 1), st.booleans(), st.booleans(), st.booleans()),
        st.lists(st.booleans(), max_size=255).map(tuple),
    ),
    st.builds(Steps, st.lists(TIMES, max_size=256).map(tuple)),
    st.builds(
        Start,
        *(st.integers(0, 255), st.binary(min_size=8, max_size=8), NUMBERS, TIMES, TIMES),
        st.text(st.characters(codec="ascii"), max_size=256),
    ),
)


def read(data: bytes) -> tuple[list[Record], Reader]:
    reader = Reader(io.BytesIO(data))
    return list(reader), reader


def test_the_vector_of_the_specification() -> None:
    readme = (Path(__file__).parents[3] / "common" / "capture" / "README.md").read_text()
    example = capture([Packet(100.5, b"\1\2\3\4\5\6", b"\1\2\3\4\5\6", 1, 7, True, b"body")])
    told = "".join(line.partition("#")[0] for line in readme.split("```hex")[1].split("```")[0].splitlines())
    assert bytes.fromhex(told.replace(" ", "")) == example
    records, reader = read(example)
    assert records[0] == Packet(100.5, b"\1\2\3\4\5\6", b"\1\2\3\4\5\6", 1, 7, True, b"body")
    assert reader.start == started() and reader.ended is not None


@given(st.lists(RECORDS, max_size=20))
def test_what_is_written_is_read(records: list[Record]) -> None:
    found, reader = read(capture(records, closed=False))
    assert found == records
    assert (reader.damaged_bytes, reader.tail_bytes, reader.unknown) == (0, 0, 0)


@given(st.lists(RECORDS, max_size=6), st.data())
def test_a_file_may_end_anywhere(records: list[Record], data: st.DataObject) -> None:
    whole = capture(records, closed=False)
    first = len(capture([], closed=False))
    end = data.draw(st.integers(0, len(whole)))
    if end < first:
        with pytest.raises(CaptureError):
            read(whole[:end])
        return
    found, reader = read(whole[:end])
    assert found == records[: len(found)]
    kept = len(capture(found, closed=False))
    assert reader.damaged_bytes == 0 and reader.tail_bytes == end - kept
    assert len(found) == len(records) or end < len(capture(records[: len(found) + 1], closed=False))


@given(st.data())
def test_damage_costs_the_records_that_it_hit(data: st.DataObject) -> None:
    records = [packet(n, 100.0 + n, bytes((n,)) * 30) for n in range(8)]
    whole = bytearray(capture(records))
    first = len(capture([], closed=False))
    at = data.draw(st.integers(first, len(whole) - 1))
    length = data.draw(st.integers(1, 40))
    whole[at : at + length] = data.draw(st.binary(min_size=length, max_size=length))
    found, reader = read(bytes(whole))
    packets = [record for record in found if isinstance(record, Packet)]
    assert [p for p in packets if p not in records] == []
    assert len(packets) >= 8 - 3 and reader.unknown == 0


@given(st.binary(max_size=600))
def test_any_bytes_raise_what_is_documented(data: bytes) -> None:
    for start in (b"", MAGIC, capture([], closed=False)):
        try:
            records, reader = read(start + data)
        except CaptureError:
            continue
        assert reader.tail_bytes + reader.damaged_bytes <= len(data)
        assert all(isinstance(record, tuple(KINDS.values())) for record in records)


@given(st.integers(0, 255), st.binary(max_size=300))
def test_any_body_under_a_right_checksum(kind: int, body: bytes) -> None:
    head = HEAD.pack(MARK, kind, 0, len(body), 0)[:-4]
    framed = head + zlib.crc32(body, zlib.crc32(head)).to_bytes(4, "big") + body
    try:
        records, reader = read(capture([], closed=False) + framed + pack(packet(1, 101.0)))
    except CaptureError:
        assert kind == Start.KIND
        return
    assert records[-1] == packet(1, 101.0)
    assert len(records) + reader.unknown == 2


def test_a_kind_of_the_future_is_passed_over() -> None:
    head = HEAD.pack(MARK, 99, 0, 3, 0)[:-4]
    unknown = head + zlib.crc32(b"new", zlib.crc32(head)).to_bytes(4, "big") + b"new"
    records, reader = read(capture([], closed=False) + unknown + pack(packet(1, 101.0)))
    assert records == [packet(1, 101.0)] and reader.unknown == 1


def test_wrong_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "x.smc"
    newer = bytearray(bytes(started()))
    newer[0] = 9
    head = HEAD.pack(MARK, 1, 0, len(newer), 0)[:-4]
    for content, words in (
        (b"", "is empty"),
        (b"\x00\x00\x00 ftypisom", "is not a capture"),
        (MAGIC, "has no header"),
        (MAGIC + pack(packet(1, 1.0)), "has no header"),
        (
            MAGIC + head + zlib.crc32(newer, zlib.crc32(head)).to_bytes(4, "big") + bytes(newer),
            "made by a newer version",
        ),
    ):
        path.write_bytes(content)
        with pytest.raises(CaptureError, match=words) as caught:
            open_capture(path)
        assert str(path) in str(caught.value)


def test_times_that_are_none_are_refused() -> None:
    for time in (float("nan"), float("inf"), -1.0, 1e300):
        assert read(capture([], closed=False) + pack(packet(1, time)))[1].unknown == 1
