from __future__ import annotations

from pathlib import Path

from tests.demo.report import Files


def test_only_its_own_files_are_removed(tmp_path: Path) -> None:
    files = Files(tmp_path)
    mine, other = files.summary, tmp_path / "holiday.mp4"
    for path in (mine, files.key, other):
        path.touch()
    files.forget_last_run()
    assert list(tmp_path.iterdir()) == [other]
