"""The figures that every daemon has beside its own: build, memory, threads and their CPU time, log records, the GPU.

`process_*` come from prometheus_client's own collector. Linux; elsewhere what /proc would tell is left out.
"""

from __future__ import annotations

import asyncio
import math
import os
import platform
import sys
import threading
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from prometheus_client import ProcessCollector

from common.log import records
from common.metrics import Exporter
from proto.wire import VERSION

NATIVE, OTHER = "native", "other"
GROUPS = {"MainThread": "loop", "decode": "decode", "encode": "encode", "capture": "capture", "sink": "sinks"}
"""Label values by how the names of our threads begin."""

TASKS = Path("/proc/self/task")


def export_process(exporter: Exporter) -> None:
    """Register them all."""
    ProcessCollector(registry=exporter.registry)
    exporter.info(
        "build_info",
        "Always 1; the labels tell what runs.",
        {"version": _version(), "wire": str(VERSION), "python": platform.python_version()},
    )
    threads = ThreadTimes()
    exporter.counter_by(
        "thread_cpu_seconds_total",
        "CPU time by what the threads do: loop (sockets and sessions), capture, encode, decode, sinks, native (threads "
        "of libraries: FFmpeg, ONNX Runtime), other. Of threads that have ended as last seen.",
        "thread",
        threads.read,
    )
    exporter.gauge("threads", "Threads, those of libraries included; NaN where /proc is missing.", _threads)
    exporter.gauge("tasks", "Tasks of asyncio; they must not grow with time.", _tasks)
    exporter.counter_by(
        "log_records_total",
        "Log records by level, those that were only counted as repetitions included.",
        "level",
        records,
    )
    exporter.gauge_by(
        "gpu_memory_bytes",
        "CUDA memory of this process as torch counts it: allocated, reserved, and the peak of allocated. Nothing "
        "without a GPU in use.",
        "kind",
        gpu_memory,
    )


class ThreadTimes:
    """CPU seconds of this process's threads in groups that never shrink. One thread asks."""

    def __init__(self, tasks: Path = TASKS) -> None:
        self._tasks = tasks
        self._ended: dict[str, float] = {}
        self._running: dict[int, tuple[str, float]] = {}
        self._tick = 1.0 / os.sysconf("SC_CLK_TCK")

    def read(self) -> dict[str, float]:
        """Seconds by group; every group that this daemon has had so far."""
        names = {thread.native_id: thread.name for thread in threading.enumerate()}
        before, self._running = self._running, self._scan(names)
        for task, (group, seconds) in before.items():
            now = self._running.get(task)
            if now is None or now[0] != group or now[1] < seconds:  # ended, or its number has been given anew
                self._ended[group] = self._ended.get(group, 0.0) + seconds
        total = dict(self._ended)
        for group, seconds in self._running.values():
            total[group] = total.get(group, 0.0) + seconds
        return total

    def _scan(self, names: Mapping[int | None, str]) -> dict[int, tuple[str, float]]:
        found: dict[int, tuple[str, float]] = {}
        for number in _listed(self._tasks):
            try:
                stat = (self._tasks / number / "stat").read_bytes()
                # proc(5): utime and stime are fields 14 and 15; the name before them may hold anything.
                utime, stime = stat.rpartition(b") ")[2].split()[11:13]
                seconds = (int(utime) + int(stime)) * self._tick
            except (OSError, ValueError):
                continue  # it has just ended
            found[int(number)] = (_group(names.get(int(number))), seconds)
        return found


def _group(name: str | None) -> str:
    if name is None:
        return NATIVE
    return next((group for start, group in GROUPS.items() if name.startswith(start)), OTHER)


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _threads() -> float:
    return len(_listed(TASKS)) or math.nan


def _tasks() -> float:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # no loop runs
        return math.nan


def gpu_memory() -> dict[str, float]:
    """Bytes by kind. Never imports torch, and never wakes a GPU that nothing has used."""
    torch: Any = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return {}
    devices = range(cuda.device_count())
    return {
        "allocated": float(sum(cuda.memory_allocated(device) for device in devices)),
        "reserved": float(sum(cuda.memory_reserved(device) for device in devices)),
        "peak": float(sum(cuda.max_memory_allocated(device) for device in devices)),
    }


def _version() -> str:
    try:
        return version("semcast")
    except PackageNotFoundError:
        return "unknown"
