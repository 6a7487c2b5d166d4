"""Exit codes and signals of real processes, and what systemd hears."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from common import service
from common.config import ConfigError, Section
from common.reload import Reloads

PRELUDE = """
import asyncio, sys
from common import log, service
from common.config import ConfigError, Section
from common.reload import Reloads
log.setup()
async def main():
"""


def start(body: str, **environ: str) -> subprocess.Popen[str]:
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    program = f"{PRELUDE}{lines}\nsys.exit(service.run(main))"
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environ},
    )


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def test_the_end_is_zero() -> None:
    assert outcome(start("print('done')"))[:2] == (0, "done\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_run_every_finally_and_exit_zero(number: signal.Signals) -> None:
    process = start("""
async def part(name):
    try:
        print("up", flush=True)
        await asyncio.sleep(60)
    finally:
        print("closed", name, flush=True)
async with asyncio.TaskGroup() as group:
    for name in "ab":
        group.create_task(part(name))
""")
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(2)] == ["up\n"] * 2
    process.send_signal(number)
    code, out, err = outcome(process)
    assert (code, sorted(out.splitlines())) == (0, ["closed a", "closed b"])
    assert f"signal={number.name}" in err
    assert "Traceback" not in err


def test_a_crash_is_one_and_cancels_the_others() -> None:
    code, out, err = outcome(
        start("""
async def other():
    try:
        await asyncio.sleep(60)
    finally:
        print("closed")
async with asyncio.TaskGroup() as group:
    group.create_task(other())
    await asyncio.sleep(0)
    raise KeyError("a bug")
""")
    )
    assert (code, out) == (1, "closed\n")
    assert "KeyError: 'a bug'" in err


def test_a_foreseen_error_in_a_group_is_one_line() -> None:
    code, _, err = outcome(
        start("""
async def part():
    raise service.ServiceError("no camera", 66)
async with asyncio.TaskGroup() as group:
    group.create_task(part())
""")
    )
    assert (code, err) == (66, "-c: no camera\n")


def test_a_bug_beside_a_foreseen_error_shows() -> None:
    code, _, err = outcome(
        start("raise ExceptionGroup('two', [service.ServiceError('no camera', 66), KeyError('a bug')])")
    )
    assert code == 1
    assert "a bug" in err


def test_a_wrong_configuration_is_78(capsys: pytest.CaptureFixture[str]) -> None:
    def configure() -> Section:
        raise ConfigError("a: must be 1", "b: is required")

    async def never(config: Section, reloads: Reloads[Section]) -> None:
        raise AssertionError

    assert service.launch(configure, never) == 78
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in lines[:2]] == ["a: must be 1", "b: is required"]


def test_systemd_hears_ready_watchdog_and_stopping(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(20)
        process = start(
            "service.ready()\nawait asyncio.sleep(60)", NOTIFY_SOCKET=path, WATCHDOG_USEC="100000"
        )
        heard = {manager.recv(100).decode() for _ in range(4)}
        process.terminate()
        assert outcome(process)[0] == 0
        while (message := manager.recv(100).decode()) == "WATCHDOG=1":
            pass
    assert heard == {"READY=1", "WATCHDOG=1"}
    assert message == "STOPPING=1"


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not service.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "absent"))
    assert not service.notify("READY=1")
