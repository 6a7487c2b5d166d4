"""The rows of the generative decoder, at toy size."""

from __future__ import annotations

import dataclasses

import pytest

from tests.bench import generative_speed as decoder
from tests.bench.standings import markdown


def test_a_row_for_every_number_of_steps() -> None:
    rows = list(decoder.rows(True, pytest.fail, lambda text: None, ["toy"], [32], (1, 2), ["torch"]))
    assert [(row.steps, row.runtime, row.batch) for row in rows] == [(1, "torch", 1), (2, "torch", 1)]
    for row in rows:
        assert 0 < row.p50_ms <= row.p99_ms and row.peak_mib > 50 and row.frames >= 2 and row.first_ms > 0
        assert row.fps == pytest.approx(1000 / row.p50_ms)
        assert decoder.plain(row)["fps"] == row.fps
    table = markdown(decoder.HEADER, [decoder.cells(row) for row in rows])
    assert len(table.splitlines()) == 4


def test_what_cannot_run_is_noted() -> None:
    notes: list[str] = []
    assert not list(decoder.rows(True, notes.append, lambda text: None, ["toy"], [32], (1,), ["tpu"]))
    [note] = notes
    assert "toy, 32, tpu" in note and "must be one of" in note


def test_streams_of_a_batch_count_together() -> None:
    row = decoder.Row("toy", 32, 1, "torch", 4, 20.0, 20.0, 1.0, 1.0, 1.0, 3)
    assert row.fps == pytest.approx(200) and dataclasses.replace(row, batch=1).fps == pytest.approx(50)
