"""Debian's Prometheus for the tests: promtool, and a server of our own on loopback."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.expositions import DAEMONS, exposition
from tests.deploy.promql import plain
from tests.ports import free_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"

needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None or shutil.which("prometheus") is None,
    reason="no prometheus on this host (apt-get install prometheus)",
)

OF_PROMETHEUS = {"up", "ALERTS"}
"""Series that Prometheus makes itself."""


def rules(file: Path) -> list[dict[str, Any]]:
    """All rules of a file."""
    return [rule for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def known_names() -> set[str]:
    """What queries may use: what the daemons export, what is recorded, and Prometheus' own."""
    recorded = {rule["record"] for rule in rules(RULES)}
    return OF_PROMETHEUS.union(recorded, *(exposition(daemon).names for daemon in DAEMONS))


class Server:
    """A running Prometheus."""

    def __init__(self, port: int) -> None:
        self.port = port

    def api(self, path: str, **arguments: str) -> Any:
        """The data of an answer. Raises OSError (HTTPError for a query that is wrong)."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]

    def query(self, query: str) -> list[dict[str, Any]]:
        """The series that a query of the dashboard gives now."""
        found: list[dict[str, Any]] = self.api("query", query=plain(query))["result"]
        return found

    def targets(self) -> dict[str, str]:
        """The health of each job."""
        return {t["labels"]["job"]: t["health"] for t in self.api("targets")["activeTargets"]}


@contextmanager
def prometheus(folder: Path, scraped: Mapping[str, int], seconds: float = 1.0) -> Iterator[Server]:
    """A server with our rules that scrapes ports of loopback (by job) every `seconds`; gone at the end."""
    tree = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    tree["global"] = {"scrape_interval": f"{seconds:g}s", "evaluation_interval": f"{seconds:g}s"}
    tree["rule_files"] = [str(DEPLOY / "prometheus" / name) for name in tree["rule_files"]]
    assert [job["job_name"] for job in tree["scrape_configs"]] == list(scraped)
    for job in tree["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{scraped[job['job_name']]}"]}]
    config = folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(tree))
    port = free_port()
    with open(folder / "prometheus.log", "wb") as log:
        process = subprocess.Popen(
            [
                *("prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"),
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield _ready(Server(port), process, folder / "prometheus.log")
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(server: Server, process: subprocess.Popen[bytes], log: Path) -> Server:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/-/ready", timeout=2):
                return server
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
