from __future__ import annotations

from tests.demo.table import HEAD, row, table

SUMMARY = {
    "settings": {"loss": 0.3},
    "fps_shown": 14.98,
    "longest_freeze_s": 1.1,
    "outage": {"longest_freeze_s": 1.1, "new_after_s": 0.318},
    "wire_kbps": 59.7,
    "latency_ms": {"p50": 520.0, "p95": 540.5},
    "ms_ssim": 0.91,
}


def test_a_run_is_a_row() -> None:
    assert row(SUMMARY) == ("0.3", "14.98", "1.1", "1.1", "0.318", "59.7", "520", "540.5", "0.91")


def test_without_an_outage_its_cells_are_empty() -> None:
    assert row({**SUMMARY, "outage": None})[3:5] == ("-", "-")


def test_the_table_has_a_cell_for_every_head() -> None:
    lines = table([row(SUMMARY), row(SUMMARY)]).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(HEAD) + 1}
