"""Every figure that is shown exists: asked for in the daemons' own registries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from common.stats import daemons
from common.stats.daemons import RECEIVER, SENDER
from common.stats.report import Daemon

ROOT = Path(__file__).parents[3]
METRICS = {RECEIVER.name: "receiver", SENDER.name: "sender"}


def asked(daemon: Daemon) -> set[str]:
    """The names in the source of what describes the daemon."""
    source = Path(daemons.__file__).read_text()
    start = source.index(f"def {daemon.name}(")
    end = source.find("\nRECEIVER = " if daemon is SENDER else "\ndef sender(", start)
    body = source[start:end].replace("latency = ", "span.get(")
    return set(re.findall(r'span\.(?:get|rate|counts|which)\(\s*[\'"](\w+)', body))


@pytest.mark.parametrize("daemon", [RECEIVER, SENDER])
def test_the_daemon_exports_what_is_asked_for(daemon: Daemon) -> None:
    exported = {
        name
        for path in (ROOT / METRICS[daemon.name]).glob("metrics*.py")
        for name in re.findall(r'"([a-z_0-9]+)"', path.read_text())
    }
    names = asked(daemon)
    assert len(names) > 10
    assert names <= exported, f"{daemon.name} exports no {sorted(names - exported)}"
