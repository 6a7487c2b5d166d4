"""Waiting for what other tasks, threads and processes do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PAUSE_S = 0.02


async def until(condition: Callable[..., object], seconds: float = 20.0) -> None:
    """Wait for it to hold while the event loop goes on."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"waited for {seconds} s"
        await asyncio.sleep(PAUSE_S)


def wait_until(condition: Callable[..., object], seconds: float = 30.0, what: str = "") -> None:
    """Wait for it to hold; blocks the thread."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"waited for {what or f'{seconds} s'}"
        time.sleep(PAUSE_S)
