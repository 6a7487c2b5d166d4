"""Processes of the contestants: started, watched, and ended one by one by their ids."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent.parent
STOP_S = 2.0
POLL_S = 0.02


class Ended(RuntimeError):
    """A process ended though nobody had asked it to; the message has the end of its log."""


class Process:
    """A command that runs until it is stopped."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, command: Sequence[str]) -> None:
        self._process = process
        self._log = log
        self._name = Path(command[0]).name

    @classmethod
    async def start(cls, command: Sequence[str], log: Path) -> Process:
        """Raises OSError. Its output goes to `log`."""
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=ROOT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the benchmark, which then ends them
            )
        return cls(process, log, command)

    def check(self) -> None:
        """Raises Ended."""
        if self._process.returncode is not None:
            lines = self._log.read_text(errors="replace").splitlines()
            told = "; ".join(lines[-3:])[-300:] or "no word"
            raise Ended(f"{self._name} ended with {self._process.returncode}: {told}")

    async def stop(self, gently: bool = True) -> None:
        """Ends it, by force if it does not go in time."""
        with contextlib.suppress(ProcessLookupError):
            if gently:
                self._process.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), STOP_S)
            if self._process.returncode is None:
                self._process.kill()
        await self._process.wait()


def is_bound(port: int) -> bool:
    """Whether something listens at this UDP port, or TCP port."""
    return any(_listed(Path(f"/proc/net/{table}"), port) for table in ("udp", "udp6", "tcp"))


def _listed(table: Path, port: int) -> bool:
    wanted = f":{port:04X}"
    return any(line.split()[1].endswith(wanted) for line in table.read_text().splitlines()[1:])


def missing(tools: Sequence[str]) -> list[str]:
    """Those that are not installed."""
    return [tool for tool in tools if shutil.which(tool) is None]
