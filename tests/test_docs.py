"""What the documents name exists: links, settings, flags, commands, metrics, alerts."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from common.config import Section, leaves
from receiver.config import ReceiverConfig
from sender.config import SenderConfig

ROOT = Path(__file__).parent.parent
MANUAL, README = ROOT / "deploy" / "README.md", ROOT / "README.md"
DOCUMENTS = [README, MANUAL, ROOT / "proto" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TOLD = [README, MANUAL]
"""Those that tell users what to type."""

SETTINGS = {leaf.name for model in (SenderConfig, ReceiverConfig) for leaf in leaves(model)}
FILES = {
    "md",
    "yaml",
    "yml",
    "key",
    "env",
    "json",
    "jsonl",
    "service",
    "smc",
    "safetensors",
    "mkv",
    "mp4",
    "m3u",
    "txt",
    "token",
    "py",
    "h",
}
FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.M | re.S)


@cache
def text_of(path: Path) -> str:
    return path.read_text()


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def spans(path: Path) -> list[str]:
    """Inline code, `|` of tables unescaped."""
    return [code.replace("\\|", "|") for code in re.findall(r"`([^`\n]+)`", FENCE.sub("", text_of(path)))]


def blocks(path: Path) -> list[str]:
    """Lines of code blocks, fenced or indented, without their comments; those that go on are joined."""
    text = text_of(path).replace("\\\n", "")
    fenced = [line for block in FENCE.findall(text) for line in block.splitlines()]
    indented = re.findall(r"^ {4}(.+)$", FENCE.sub("", text), re.M)
    return [re.sub(r"\s#\s.*", "", line) for line in [*fenced, *indented]]


def anchors(path: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(path)), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def flags_of(command: str) -> set[str]:
    return {flag for flag in re.findall(r"(?<![\w-])--[a-z][a-z.-]*", command)}


def daemon_flags(path: Path) -> Iterator[tuple[str, str]]:
    """(daemon, or empty where it is not told; flag) for each flag of ours that the document names."""
    for code in [*spans(path), *blocks(path)]:
        for daemon, rest in re.findall(r"(?:^|[\s/;&|])(sender|receiver)\s([^|&;]*)", code):
            yield from ((daemon, flag) for flag in flags_of(rest))
    for code in spans(path):
        if code.startswith("--"):
            yield from (("", flag) for flag in flags_of(code))


@cache
def known_flags(daemon: str) -> frozenset[str]:
    """As the command lines of the daemons take them."""
    models: dict[str, type[Section]] = {"sender": SenderConfig, "receiver": ReceiverConfig}
    every = {"--config", "--print-config", "--stats", "--help"} | (
        {"--new-key"} if daemon == "sender" else set()
    )
    for leaf in leaves(models[daemon]):
        every |= {leaf.flag, *filter(None, [leaf.extra.get("alias")])}
    return frozenset(every)


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_relative_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text_of(path)))
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        found = (path.parent / name).resolve() if name else path
        assert found.exists(), f"{ids(path)}: {target}"
        assert found == ROOT or ROOT in found.parents, f"{ids(path)}: {target} is outside"
        if anchor:
            assert anchor in anchors(found), f"{ids(path)}: {target}: no such heading"


@pytest.mark.parametrize("path", TOLD, ids=ids)
def test_flags_exist(path: Path) -> None:
    named = set(daemon_flags(path))
    assert len(named) > 10
    for daemon, flag in sorted(named):
        known = known_flags(daemon) if daemon else known_flags("sender") | known_flags("receiver")
        assert flag in known, f"{ids(path)}: {daemon or 'neither daemon'} has no {flag}"


@pytest.mark.parametrize("path", TOLD, ids=ids)
def test_settings_exist(path: Path) -> None:
    named = set()
    for code in spans(path):
        for name, ending in re.findall(r"^([a-z_]+\.([a-z_]+|\*))(?=$|[:,= ])", code):
            if ending not in FILES:
                named.add(name)
    assert named
    for name in named:
        exists = name in SETTINGS or (name.endswith(".*") and any(s.startswith(name[:-1]) for s in SETTINGS))
        assert exists, f"{ids(path)}: there is no setting {name}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_commands_of_the_tests_resolve(path: Path) -> None:
    for name in set(re.findall(r"python -m\s+(tests[\w.]*|common[\w.]*)", text_of(path))):
        found = importlib.util.find_spec(name)
        assert found is not None, f"{ids(path)}: no module {name}"
        if found.submodule_search_locations:
            assert importlib.util.find_spec(f"{name}.__main__"), f"{ids(path)}: {name} cannot be run"


@pytest.mark.parametrize("path", TOLD, ids=ids)
def test_metrics_exist(path: Path) -> None:
    known = set(re.findall(r"`(semcast_\w+)`", (ROOT / "deploy" / "METRICS.md").read_text()))
    named = set(re.findall(r"\bsemcast_(?:sender|receiver)_\w+", text_of(path)))
    assert named <= known, f"{ids(path)}: {sorted(named - known)}"


def test_the_manual_lists_every_alert_as_it_is() -> None:
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"]
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    rows = dict(
        (name, (wait.replace(" min", "m").replace(" h", "h").replace(" s", "s"), severity))
        for name, wait, severity in re.findall(
            r"^\| (Semcast\w+) \| ([^|]+) \| (\w+) \|", text_of(MANUAL), re.M
        )
    )
    assert rows == {name: (rule["for"], rule["labels"]["severity"]) for name, rule in rules.items()}


def test_make_targets_exist_and_are_explained() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.+)$", makefile, re.M).group(1).split())  # type: ignore[union-attr]
    told = set(re.findall(r"^## make (\w+)", makefile, re.M))
    assert told == targets - {"help"}
    for path in DOCUMENTS:
        named = {m for code in [*spans(path), *blocks(path)] for m in re.findall(r"^make (\w+)", code)}
        assert named <= targets, f"{ids(path)}: {sorted(named - targets)}"
