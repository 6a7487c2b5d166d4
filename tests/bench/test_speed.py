from __future__ import annotations

import pytest

from tests.bench import speed


def test_every_step_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    assert speed.main(["--units", "5", "--size", "64x64"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "64x64 at 15 fps"
    assert len(lines) == 2 + 3 + 3 + 2
    assert all(" ms a " in line for line in lines[2:])
