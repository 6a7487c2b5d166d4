"""The frame log's lines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from common.service import ServiceError
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
