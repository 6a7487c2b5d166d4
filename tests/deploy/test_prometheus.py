"""A real Prometheus scrapes both real daemons through a lossy link and answers all that dashboard and rules ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.deploy.dashboard import build, queries
from tests.deploy.prometheus import ALERTS, RULES, Server, needs_prometheus, prometheus, rules
from tests.e2e.daemons import daemons
from tests.waiting import wait_until

pytestmark = [needs_prometheus, pytest.mark.timeout(180)]

SELDOM = ("ALERTS", "contours_", "gpu_memory_bytes", '!~"late|duplicate|replayed"', "replies_dropped_total")
"""Queries with these may have nothing to tell while all is well, and no maps are sent."""


def unanswered(server: Server, wanted: list[str]) -> list[str]:
    """Those queries that give no series."""
    return [query for query in wanted if not server.query(query)]


def test_dashboard_and_rules_work_on_real_daemons(tmp_path: Path) -> None:
    wanted = [q for q in queries(build()) if not any(word in q for word in SELDOM)]
    with daemons(tmp_path) as bench:
        bench.receiver("--log.format", "json")
        _, port = bench.relay("--loss", "0.3", "--delay-ms", "20", "--seed", "3")
        bench.sender(port, None, "--audio", "synthetic")
        scraped = {"semcast-sender": bench.sender_metrics_port, "semcast-receiver": bench.metrics_port}
        with prometheus(tmp_path, scraped) as server:
            wait_until(lambda: server.targets() == dict.fromkeys(scraped, "up"), 60.0, "both targets")
            bench.wait_shown(30)
            wait_until(lambda: not unanswered(server, wanted), 60.0, "answers")
            for query in queries(build()):
                server.query(query)  # raises for one that is wrong
            found = [rule for group in server.api("rules")["groups"] for rule in group["rules"]]
            assert len(found) == len(rules(RULES)) + len(rules(ALERTS))
            wait_until(lambda: _healths(server) == {"ok"}, 60.0, "rules")
            wait_until(lambda: 0.05 < _loss(server) < 0.7, 60.0, "loss")
            trust = server.query("instance_trust:semcast_receiver_shown_regions:ratio_rate1m")
            assert sum(float(series["value"][1]) for series in trust) == pytest.approx(1.0)
            firing = {series["metric"]["alertname"] for series in server.query('ALERTS{alertstate="firing"}')}
            assert not firing, firing


def _healths(server: Server) -> set[str]:
    return {rule["health"] for group in server.api("rules")["groups"] for rule in group["rules"]}


def _loss(server: Server) -> float:
    found = server.query("instance:semcast_receiver_packet_loss:ratio_rate1m")
    return float(found[0]["value"][1]) if found else 0.0
