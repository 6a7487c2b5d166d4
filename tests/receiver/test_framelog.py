"""The frame log's lines."""

from __future__ import annotations

import base64
import dataclasses
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from common.service import ServiceError
from receiver.contours.store import MapStore, TimedMap
from receiver.framelog import FrameLog
from tests.receiver.play.pictures import shown


def test_one_line_a_picture_with_shares_and_map(tmp_path: Path) -> None:
    path = tmp_path / "shown.jsonl"
    log = FrameLog(path)
    for number in range(3):
        log.write(shown(number))
    lines = [json.loads(line) for line in path.read_text().splitlines()]  # before close: complete lines
    log.close()
    assert [line["number"] for line in lines] == [0, 1, 2]
    line = lines[1]
    assert (line["unit"], line["offset"], line["concealed"], line["repeated"]) == (0, 1, False, False)
    assert line["shown_at"] - line["captured_at"] == pytest.approx(0.5, abs=1e-3)
    assert line["trust"] == [0.3333, 0.3333, 0.3333]
    trust = np.frombuffer(line["map"].encode(), np.uint8).reshape(-1, line["columns"]) - ord("0")
    assert np.array_equal(trust, shown(1).trust)


def test_a_log_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="frame_log: cannot write"):
        FrameLog(tmp_path / "no" / "log")


def test_a_map_is_told_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "shown.jsonl"
    log, store = FrameLog(path), MapStore()
    labels = np.eye(32, dtype=np.uint8)
    store.put(TimedMap(1000.0, labels, np.zeros((2, 2), np.uint8)))
    for number in range(20):  # a map that gets old: its trust is worked out anew for each picture
        log.write(dataclasses.replace(shown(number), map=store.at(1000.0 + number / 10)))
    log.close()
    lines = [json.loads(line)["classes"] for line in path.read_text().splitlines()]
    assert [line["age"] for line in lines] == [pytest.approx(number / 10, abs=1e-3) for number in range(20)]
    told = [number for number, line in enumerate(lines) if "labels" in line]
    assert told == [0, 6] and ["legend" in lines[number] for number in told] == [True, False]
    row = np.frombuffer(zlib.decompress(base64.b64decode(lines[6]["labels"])), np.uint8)
    assert np.array_equal(row.reshape(32, 32), labels) and lines[6]["trust"] == "1111"
