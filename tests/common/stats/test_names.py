"""Every figure that is shown exists: asked for in what the daemons really export."""

from __future__ import annotations

import math
from typing import ClassVar

import pytest

from common.stats.daemons import RECEIVER, SENDER
from common.stats.report import Daemon, Span
from common.stats.scrape import Scrape
from tests.deploy.expositions import exposition


class Asking(Span):
    """Notes the names that are asked for, with the daemon's prefix."""

    asked: ClassVar[set[str]] = set()

    def get(self, name: str, **labels: str) -> float:
        self.asked.add(self.prefix + name)
        return 1.0 if name.startswith("audio_") else math.nan  # without sound nothing of it is shown

    def rate(self, name: str, **labels: str) -> float:
        return self.get(name)

    def quantile(self, share: float, name: str, recent: bool = False, **labels: str) -> float:
        return self.get(name + "_bucket")

    def which(self, name: str, label: str) -> str:
        self.get(name)
        return "-"

    def counts(self, name: str, label: str) -> str:
        self.get(name)
        return "0"


@pytest.mark.parametrize("daemon", [RECEIVER, SENDER])
def test_the_daemon_exports_what_is_asked_for(daemon: Daemon) -> None:
    nothing = Scrape(0.0)
    Asking.asked = set()
    daemon.describe(Asking(nothing, nothing, nothing, daemon.prefix))
    missing = Asking.asked - exposition(daemon.name).names
    assert len(Asking.asked) > 20 and not missing, f"{daemon.name} exports no {sorted(missing)}"
