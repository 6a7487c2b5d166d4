from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.demo.process import Child
from tests.demo.settings import DemoError
from tests.ports import free_port


def test_an_ended_process_is_told_with_its_log(tmp_path: Path) -> None:
    child = Child("relay", ["tests.bench.relay", "--nonsense"], tmp_path / "log")
    deadline = time.monotonic() + 20
    with pytest.raises(DemoError, match=r"relay ended with exit code 2:\n(.*\n)*.*--listen"):
        while time.monotonic() < deadline:
            child.check()
            time.sleep(0.02)
    assert child.stop() == 2


def test_a_running_process_is_measured_and_stopped(tmp_path: Path) -> None:
    port = free_port()
    flags = ["--listen", f"127.0.0.1:{port}", "--to", "127.0.0.1:9"]
    child = Child("relay", ["tests.bench.relay", *flags], tmp_path / "log", tmp_path / "out")
    try:
        deadline = time.monotonic() + 20
        while child.cpu_seconds() < 0.03 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.5)
        child.check()
        child.sample_memory()
        assert 5 < child.peak_mb < 500
    finally:
        assert child.stop() == 0
    assert '"received": 0' in (tmp_path / "out").read_text()
    assert child.stop() == 0
