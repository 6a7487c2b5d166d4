from __future__ import annotations

import sys
import threading
import time
import types
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from common.metrics import Exporter
from common.metrics_process import NATIVE, ThreadTimes, export_process, gpu_memory


def stat(tasks: Path, number: int, ticks: int, name: str = "a) b") -> None:
    folder = tasks / str(number)
    folder.mkdir(exist_ok=True)
    fields = ["S", *["0"] * 10, str(ticks), "0", *["0"] * 30]
    (folder / "stat").write_text(f"{number} ({name}) {' '.join(fields)}\n")


def test_groups_never_shrink(tmp_path: Path) -> None:
    times = ThreadTimes(tmp_path)
    tick = times._tick
    stat(tmp_path, 999_001, 100)
    stat(tmp_path, 999_002, 50)
    assert times.read() == {NATIVE: pytest.approx(150 * tick)}
    for file in (tmp_path / "999002").iterdir():
        file.unlink()
    (tmp_path / "999002").rmdir()
    assert times.read() == {NATIVE: pytest.approx(150 * tick)}
    stat(tmp_path, 999_002, 7)  # its number has been given to another thread
    stat(tmp_path, 999_001, 10)  # and this one ended and began between two scrapes
    assert times.read() == {NATIVE: pytest.approx((150 + 7 + 10) * tick)}


def test_what_is_no_thread_counts_nothing(tmp_path: Path) -> None:
    assert ThreadTimes(tmp_path / "absent").read() == {}
    (tmp_path / "12").mkdir()
    (tmp_path / "13").mkdir()
    (tmp_path / "13" / "stat").write_text("13 (x) S")
    assert ThreadTimes(tmp_path).read() == {}


def test_threads_are_told_apart_by_what_they_do() -> None:
    times, end, spent = ThreadTimes(), threading.Event(), threading.Event()

    def work() -> None:
        while time.thread_time() < 0.05:
            sum(range(1000))
        spent.set()
        end.wait()

    thread = threading.Thread(target=work, name="decode")
    thread.start()
    assert spent.wait(60)
    found = times.read()
    end.set()
    thread.join()
    assert found["loop"] > 0 and found["decode"] >= 0.02
    assert times.read()["decode"] >= found["decode"]


def test_the_gpu_is_not_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert gpu_memory() == {}
    assert "torch" not in sys.modules
    cuda = types.SimpleNamespace(
        is_initialized=lambda: False,
        device_count=lambda: 2,
        memory_allocated=lambda device: 100 + device,
        memory_reserved=lambda device: 200,
        max_memory_allocated=lambda device: 300,
    )
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    assert gpu_memory() == {}
    cuda.is_initialized = lambda: True
    assert gpu_memory() == {"allocated": 201, "reserved": 400, "peak": 600}


async def test_what_every_daemon_tells() -> None:
    registry = CollectorRegistry()
    export_process(Exporter(registry, "test_"))
    build = next(family for family in registry.collect() if family.name == "test_build_info").samples[0]
    assert build.value == 1 and build.labels["wire"] == "1" and build.labels["version"]
    assert registry.get_sample_value("test_threads") == pytest.approx(threading.active_count(), abs=200)
    assert (registry.get_sample_value("test_tasks") or 0) >= 1
    assert registry.get_sample_value("test_log_records_total", {"level": "error"}) is not None
    assert (registry.get_sample_value("process_resident_memory_bytes") or 0) > 1e6
