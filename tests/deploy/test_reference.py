"""deploy/METRICS.md is what the code exports, and the names follow Prometheus' rules."""

from __future__ import annotations

import re
import subprocess

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tests.deploy.expositions import DAEMONS, exposition
from tests.deploy.prometheus import needs_prometheus
from tests.deploy.reference import TARGET, reference


def test_the_reference_is_up_to_date() -> None:
    assert TARGET.read_text() == reference(), "run: python -m tests.deploy.reference"


@pytest.mark.parametrize("daemon", DAEMONS)
def test_every_figure_is_described(daemon: str) -> None:
    shown = exposition(daemon)
    described = {figure.name: figure for figure in shown.described}
    assert len(described) == len(shown.described)
    assert {name for name in shown.families if name.startswith("semcast_")} == set(described)
    for name, figure in described.items():
        assert re.fullmatch(rf"semcast_{daemon}_[a-z0-9_]+", name)
        assert figure.kind == shown.families[name].type
        assert figure.kind != "counter" or name.endswith("_total")
        assert figure.help[0].isupper() or figure.help[0].isdigit(), figure.help
        assert figure.help.endswith(".") and len(figure.help.split()) >= 2
        found = {label for sample in shown.families[name].samples for label in sample.labels} - {"le"}
        assert found <= set(figure.labels)


@pytest.mark.parametrize("daemon", DAEMONS)
def test_series_are_few(daemon: str) -> None:
    assert sum(len(family.samples) for family in exposition(daemon).families.values()) < 340


class Fixed(Collector):
    def __init__(self, daemon: str) -> None:
        self.families = exposition(daemon).families.values()

    def collect(self) -> list[Metric]:
        return list(self.families)


@needs_prometheus
@pytest.mark.parametrize("daemon", DAEMONS)
def test_promtool_likes_the_names(daemon: str) -> None:
    registry = CollectorRegistry()
    registry.register(Fixed(daemon))
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=generate_latest(registry), capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
