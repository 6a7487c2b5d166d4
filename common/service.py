"""Life cycle of a daemon: event loop, signals, exit codes, and what systemd wants to hear.

Exit codes: 0 ended or asked to end (SIGINT, SIGTERM); 1 a bug; 66 no such input; 68 no such host; 69
something needed is missing; 73 an output cannot be made; 78 wrong configuration.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import uvloop

from common.config import ConfigError, Section
from common.log import Log, is_structured, uncaught
from common.reload import Reloads

EX_OK = 0
EX_CRASH = 1
EX_NOINPUT = 66
EX_NOHOST = 68
EX_UNAVAILABLE = 69
EX_CANTCREAT = 73

C = TypeVar("C", bound=Section)
log = Log("service")


class ServiceError(Exception):
    """The daemon cannot go on, for a reason that its user can understand: one line, no traceback."""

    def __init__(self, message: str, exit_code: int = EX_UNAVAILABLE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def launch(configure: Callable[[], C], main: Callable[[C, Reloads[C]], Awaitable[None]]) -> int:
    """`run(main)` with the configuration that `configure` returns, or the exit code of what it raises.

    SIGHUP reads the configuration again, see common.reload."""
    try:
        config = configure()
    except (ConfigError, ServiceError) as error:
        return _explain(error, error.exit_code)
    reloads = Reloads(configure, config)
    with uncaught():
        return run(lambda: main(config, reloads), reloads.reload)


def run(main: Callable[[], Awaitable[None]], hang_up: Callable[[], Awaitable[None]] | None = None) -> int:
    """Run `main` on a uvloop event loop until it returns, fails or a signal cancels it; return the exit code.

    SIGHUP calls `hang_up`. SIGINT and SIGTERM cancel the task of `main`, whose `finally` blocks then run. A
    ServiceError or ConfigError, also inside the exception group of a TaskGroup, is printed as one line; anything
    else is logged with its traceback.
    """
    supervisor = _Supervisor(hang_up)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(supervisor.run(main))
    except (asyncio.CancelledError, KeyboardInterrupt):
        return EX_OK if supervisor.stopping else EX_CRASH
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        foreseen = _foreseen(error)
        if foreseen is not None:
            return _explain(foreseen, foreseen.exit_code)
        log.exception("crashed", error)
        return EX_CRASH
    return EX_OK


class _Supervisor:
    """What goes on beside the daemon's main: signals, reloads, systemd's watchdog. Event loop."""

    def __init__(self, hang_up: Callable[[], Awaitable[None]] | None) -> None:
        self.stopping = False
        """Whether a signal has ended it."""
        self._hang_up = hang_up
        self._reloading: set[asyncio.Task[None]] = set()

    async def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Until `main` has ended; a signal cancels the task that this runs in."""
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, task, number.name)
        if self._hang_up is not None:
            loop.add_signal_handler(signal.SIGHUP, self._reload_soon, self._hang_up)
        watchdog = asyncio.create_task(_watchdog(), name="watchdog")
        try:
            await main()
        finally:
            for running in (watchdog, *self._reloading):
                running.cancel()

    def _stop(self, task: asyncio.Task[None], name: str) -> None:
        self.stopping = True
        log.info("stopping", signal=name)
        notify("STOPPING=1")
        task.cancel()

    def _reload_soon(self, hang_up: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(_reload(hang_up), name="reload")
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)


async def _reload(hang_up: Callable[[], Awaitable[None]]) -> None:
    notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
    await hang_up()
    notify("READY=1")


def _foreseen(error: BaseException) -> ServiceError | ConfigError | None:
    """The first understandable error of a group, unless there is a bug in it as well."""
    if isinstance(error, ServiceError | ConfigError):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    found = [_foreseen(part) for part in error.exceptions if not isinstance(part, asyncio.CancelledError)]
    return None if None in found or not found else found[0]


def _explain(error: Exception, code: int) -> int:
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    if is_structured():
        log.error("cannot go on", reason=str(error), exit_code=code)
        return code
    for line in str(error).splitlines():
        print(f"{name}: {line}", file=sys.stderr)
    if code == ConfigError.exit_code:
        print("(--help lists every setting)", file=sys.stderr)
    return code


def notify(state: str) -> bool:
    """Tell systemd (`Type=notify`) a state such as READY=1; False when nobody listens. Any thread."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.sendto(state.encode(), address)
        return True
    return False


def ready() -> None:
    """Tell systemd that the daemon does its work now. Called once by the daemon's main."""
    notify("READY=1")
    log.info("ready")


async def _watchdog() -> None:
    """Keep systemd's watchdog quiet for as long as the event loop turns."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdigit() or int(microseconds) == 0:
        return
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(int(microseconds) / 2e6)
