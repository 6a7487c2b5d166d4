"""What queries use, found without a whole parser; promtool checks that they are queries at all."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import yaml

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_MATCHERS = re.compile(r"\{[^}]*\}")
_RANGE = re.compile(r"\[[^\]]*\]")
_GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_WORD = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*(?!\s*\()\b")
_KEYWORDS = {
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "atan2",
    "inf",
    "nan",
    "by",
    "on",
    "without",
    "ignoring",
}

VARIABLES = {
    "$__rate_interval": "1m",
    "$__range": "5m",
    "$__interval": "15s",
    "$job": ".*",
    "$instance": ".*",
}


def plain(query: str) -> str:
    """The query as Grafana would ask it with everything selected."""
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    return query


def names(query: str) -> set[str]:
    """The metrics that a query reads."""
    for pattern in (_STRING, _MATCHERS, _RANGE, _GROUPING):
        query = pattern.sub(" ", query)
    # Numbers such as 1e6 begin with a digit.
    words = re.sub(r"\b\d[\w.]*", " ", query)
    found = {match.group() for match in _WORD.finditer(words)}
    functions = set(re.findall(r"([A-Za-z_:][\w:]*)\s*\(", words))
    return {word for word in found - functions if word.lower() not in _KEYWORDS}


def check(queries: Iterable[str], folder: Path) -> str:
    """What promtool has against the queries; empty if nothing."""
    rules = [
        {"record": f"checked:query{number}", "expr": plain(query)} for number, query in enumerate(queries)
    ]
    file = folder / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, timeout=60
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
