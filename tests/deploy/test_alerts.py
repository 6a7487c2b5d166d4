"""The alert rules fire when they should and only then, as promtool evaluates them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.alert_cases import CASES, Case
from tests.deploy.prometheus import ALERTS, RULES, known_names, needs_prometheus, rules
from tests.deploy.promql import names

OURS = rules(ALERTS)


def test_every_metric_exists() -> None:
    known = known_names()
    for rule in [*OURS, *rules(RULES)]:
        assert names(rule["expr"]) and names(rule["expr"]) <= known, rule


def test_every_alert_says_what_to_do() -> None:
    seen = [rule["alert"] for rule in OURS]
    assert len(set(seen)) == len(seen)
    for rule in OURS:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"Semcast[A-Z]\w+", rule["alert"])
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert "$labels" in rule["annotations"]["summary"]
        assert len(rule["annotations"]["description"].split()) > 10


def test_every_alert_has_a_case() -> None:
    assert {case.alert for case in CASES} == {rule["alert"] for rule in OURS}


@needs_prometheus
def test_rules_are_valid() -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", str(RULES), str(ALERTS)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    tree: dict[str, Any] = {
        "rule_files": [str(RULES), str(ALERTS)],
        "evaluation_interval": "1m",
        "tests": [test for case in CASES for test in (_test(case, True), _test(case, False))],
    }
    file = tmp_path / "cases.yml"
    file.write_text(yaml.safe_dump(tree, sort_keys=False))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _test(case: Case, fires: bool) -> dict[str, Any]:
    series = case.fires if fires else case.quiet
    name = f"{case.alert} {'fires' if fires else 'stays quiet'}"
    firing = f'count(ALERTS{{alertname="{case.alert}", alertstate="firing"}}) or vector(0)'
    return {
        "name": name,
        "interval": "30s",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": [
            _expect(firing, "0m", 0),  # every alert waits for a while
            _expect(firing, f"{case.minutes}m", int(fires)),
        ],
    }


def _expect(query: str, at: str, value: int) -> dict[str, Any]:
    return {"expr": query, "eval_time": at, "exp_samples": [{"labels": "{}", "value": value}]}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('sum by (job, le) (rate(a_total{x="b_c"}[5m])) > 1e6', {"a_total"}),
        ("a:b:rate1m and on (job) c_d == 1 or x / (y > 0)", {"a:b:rate1m", "c_d", "x", "y"}),
        ("abs(-a) * on (i) group_left () b offset 5m", {"a", "b"}),
        ("histogram_quantile(0.95, a_bucket)", {"a_bucket"}),
    ],
)
def test_names_of_a_query(query: str, expected: set[str]) -> None:
    assert names(query) == expected
