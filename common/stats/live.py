"""The terminal: reads a daemon once a second, draws, and ends on `q`."""

from __future__ import annotations

import contextlib
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from common.clock import monotonic
from common.service import EX_UNAVAILABLE, ServiceError
from common.stats.fetch import fetch, reason
from common.stats.report import Daemon, as_json, as_text
from common.stats.scrape import StatsError
from common.stats.values import span
from common.stats.view import screen
from common.stats.watch import Watch
from common.values import Address

INTERVAL_S = 1.0


def once(daemon: Daemon, address: Address, as_object: bool) -> str:
    """Two readings a second apart as plain text, or as a JSON object.  Raises ServiceError."""
    watch = _first(daemon, address)
    time.sleep(INTERVAL_S)
    try:
        watch.add(fetch(address))
    except (OSError, StatsError) as error:
        raise _absent(daemon, address, error) from None
    report = watch.report()
    if as_object:
        return as_json(report, daemon.name, str(address), watch.interval)
    return as_text(report, daemon.name, str(address))


def live(daemon: Daemon, address: Address) -> None:
    """Show figures until `q`, Ctrl-C or SIGTERM.  Raises ServiceError when the daemon is not there at first."""
    watch = _first(daemon, address)
    console = Console()
    signal.signal(signal.SIGTERM, _stop)
    with (
        contextlib.suppress(KeyboardInterrupt),
        _keys(),
        Live(Text(), console=console, screen=True, auto_refresh=False) as shown,
    ):
        due = monotonic()
        while True:
            silent = span(monotonic() - watch.lost_at)
            lost = None if watch.lost is None else f"for {silent}: {watch.lost}; trying again"
            name = f"{daemon.name} {address}"
            shown.update(screen(watch.report(), watch.trends, name, console.size, lost), refresh=True)
            due = max(due + INTERVAL_S, monotonic())
            if _quit_before(due):
                return
            try:
                watch.add(fetch(address))
            except (OSError, StatsError) as error:
                watch.gone(reason(error), monotonic())


def _first(daemon: Daemon, address: Address) -> Watch:
    watch = Watch(daemon)
    try:
        watch.add(fetch(address))
    except (OSError, StatsError) as error:
        raise _absent(daemon, address, error) from None
    return watch


def _absent(daemon: Daemon, address: Address, error: Exception) -> ServiceError:
    text = f"--stats: {address}: {reason(error)}"
    if isinstance(error, OSError):
        text += (
            f"; start the {daemon.name}, or give the address of its figures with --metrics.listen HOST:PORT"
        )
    return ServiceError(text, EX_UNAVAILABLE)


def _quit_before(due: float) -> bool:
    """Wait until `due`; whether `q` was pressed meanwhile."""
    while (left := due - monotonic()) > 0:
        if not sys.stdin.isatty():
            time.sleep(left)
        elif select.select([sys.stdin], [], [], left)[0]:
            key = sys.stdin.read(1)
            if key in ("q", "Q", "\x1b", "\x04", ""):  # Esc, Ctrl-D and the end of a terminal too
                return True
    return False


@contextlib.contextmanager
def _keys() -> Iterator[None]:
    """Keys come at once and are not echoed."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
