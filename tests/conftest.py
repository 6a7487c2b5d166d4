"""Settings of all tests."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from common.log_format import ROOT

# The same examples in every run of the same tests, so that a change alone decides whether they pass;
# HYPOTHESIS_PROFILE=explore looks for new ones. No example is timed: another process may hold any of them up.
_SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", _SLOW, derandomize=True)
settings.register_profile("explore", _SLOW, derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(autouse=True)
def log_reaches_pytest() -> Iterator[None]:
    """Whatever a test sets up, the next one's `caplog` sees each record, and sees it once."""
    yield
    logging.getLogger(ROOT).propagate = True


BESIDE = 10  # niceness of what runs beside daemons that are timed
DAEMONS = ("e2e", "demo", "deploy", "receiver/play", "sender/capture")
"""Folders whose tests wait for real daemons, browsers, screens and servers: one of them at a time."""


HERE = Path(__file__).parent


def _waits(item: pytest.Item) -> bool:
    return any(item.path.is_relative_to(HERE / folder) for folder in DAEMONS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wait first, one after another, beside the rest, file by file (pytest-xdist's `loadgroup`)."""
    for item in items:
        name = "daemons" if _waits(item) else item.path.relative_to(HERE).as_posix()
        item.add_marker(pytest.mark.xdist_group(name))
    items.sort(key=lambda item: not _waits(item))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The process that has tests which wait does these first, and the other keeps out of their way."""
    if "PYTEST_XDIST_WORKER" in os.environ and not _waits(item):
        os.setpriority(os.PRIO_PROCESS, 0, max(BESIDE, os.getpriority(os.PRIO_PROCESS, 0)))
