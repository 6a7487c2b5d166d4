"""The dashboard imports, and asks for nothing that does not exist."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.dashboard import TARGET, build, queries, text
from tests.deploy.prometheus import DEPLOY, known_names, needs_prometheus
from tests.deploy.promql import check, names

BOARD: dict[str, Any] = json.loads(TARGET.read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]


def test_the_dashboard_is_up_to_date() -> None:
    assert TARGET.read_text() == text(), "run: python -m tests.deploy.dashboard"
    assert build() == BOARD


def test_it_is_what_grafana_imports() -> None:
    assert BOARD["schemaVersion"] >= 39 and BOARD["uid"] and BOARD["title"] and "id" not in BOARD
    numbers = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert {panel["type"] for panel in PANELS} <= {"stat", "timeseries", "state-timeline"}
    for panel in PANELS:
        assert panel["title"] and panel["description"].endswith(".") and panel["targets"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
        assert all(target["legendFormat"] for target in panel["targets"])
    titles = [panel["title"] for panel in PANELS]
    assert len(set(titles)) >= len(titles) - 1  # the signal now, and over time


def test_panels_do_not_overlap() -> None:
    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        place = panel["gridPos"]
        assert place["x"] >= 0 and place["x"] + place["w"] <= 24
        return {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }

    for one, other in combinations(BOARD["panels"], 2):
        assert not cells(one) & cells(other), (one["title"], other["title"])


def test_no_installation_is_named() -> None:
    variables = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
    assert set(variables) == {"datasource", "job", "instance"}

    def sources(node: object) -> list[object]:
        if isinstance(node, list):
            return [found for part in node for found in sources(part)]
        if not isinstance(node, dict):
            return []
        here = [node["datasource"]] if "datasource" in node else []
        return here + [found for part in node.values() for found in sources(part)]

    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources(BOARD))
    for query in queries(BOARD):
        assert "ALERTS" in query or ('job=~"$job"' in query and 'instance=~"$instance"' in query), query


def test_every_metric_exists() -> None:
    known = known_names()
    for query in queries(BOARD):
        assert names(query) and names(query) <= known, query


@needs_prometheus
def test_every_query_parses(tmp_path: Path) -> None:
    assert check(queries(BOARD), tmp_path) == ""
    assert "parse error" in check(["sum(", "1"], tmp_path)


@pytest.mark.parametrize("file", sorted((DEPLOY / "grafana" / "provisioning").rglob("*.yml")))
def test_provisioning_is_yaml_of_version_1(file: Path) -> None:
    tree = yaml.safe_load(file.read_text())
    assert tree["apiVersion"] == 1
    assert tree.get("datasources") or tree["providers"]
