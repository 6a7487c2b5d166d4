"""The demo's child processes: started, watched, measured and stopped, each by its own process id."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from tests.demo.settings import DemoError

ROOT = Path(__file__).parent.parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 10.0
TAIL_LINES = 12


def age() -> float:
    """Seconds since this process began, its interpreter's start and imports included (proc(5))."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / TICKS


class Child:
    """A python module of this repository as a process; standard error goes to `log`."""

    def __init__(self, name: str, arguments: Sequence[str], log: Path, output: Path | None = None) -> None:
        """Starts it. `output` takes its standard output, `log` does when there is none."""
        self.name = name
        self.log = log
        self.peak_mb = 0.0
        command = [sys.executable, "-m", *arguments]
        # A session of its own: Ctrl-C in the terminal reaches the demo alone, which then stops its children in order.
        with contextlib.ExitStack() as stack:
            errors: IO[bytes] = stack.enter_context(log.open("wb"))
            out: IO[bytes] = stack.enter_context(output.open("wb")) if output else errors
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                start_new_session=True,
                env=os.environ | {"OMP_WAIT_POLICY": "passive"},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raises DemoError with the end of its log when the process has ended."""
        code = self._process.poll()
        if code is not None:
            raise DemoError(f"{self.name} ended with exit code {code}:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of its log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-TAIL_LINES:])

    def cpu_seconds(self) -> float:
        """Processor time so far, all threads, user and system; 0 when it is gone."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self) -> float:
        """Resident size now; 0 when it is gone."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except OSError:
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def sample_memory(self) -> None:
        """Keeps the largest resident size seen in `peak_mb`."""
        self.peak_mb = max(self.peak_mb, self.memory_mb())

    def open_files(self) -> int:
        """File descriptors in use, sockets included; 0 when it is gone."""
        return self._entries("fd")

    def threads(self) -> int:
        """Its threads; 0 when it is gone."""
        return self._entries("task")

    def _entries(self, folder: str) -> int:
        try:
            return len(os.listdir(f"/proc/{self.pid}/{folder}"))
        except OSError:
            return 0

    def wait(self, timeout: float) -> None:
        """Until it ends by itself. Raises DemoError where it takes too long or fails."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise DemoError(f"{self.name} took more than {timeout:g} s:\n{self.tail()}") from None
        if code:
            raise DemoError(f"{self.name} ended with exit code {code}:\n{self.tail()}")

    def stop(self, timeout: float = STOP_SECONDS) -> int:
        """SIGTERM, and SIGKILL when that takes too long; returns the exit code. May be called again."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()
