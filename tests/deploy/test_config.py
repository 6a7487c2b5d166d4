"""What deploy/ says is what the daemons do: every setting listed with its default, units that start them."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from common.config import Section, leaves
from common.runtime.engine_cache import default_folder
from receiver.config import ReceiverConfig
from sender.config import SenderConfig

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
MODELS: dict[str, type[Section]] = {"sender": SenderConfig, "receiver": ReceiverConfig}


@pytest.mark.parametrize("name", MODELS)
def test_example_lists_every_setting_with_its_default(name: str) -> None:
    tree = yaml.safe_load((DEPLOY / "config" / f"{name}.yaml").read_text())
    settings = list(leaves(MODELS[name]))
    required = {
        leaf.path[0]: tree[leaf.path[0]]
        for leaf in settings
        if leaf.field.is_required() or leaf.name == "key_file"
    }
    defaults = MODELS[name].model_validate(required).model_dump(mode="json")
    assert MODELS[name].model_validate(tree).model_dump(mode="json") == defaults
    for leaf in settings:
        branch = tree
        for part in leaf.path:
            assert part in branch, f"{leaf.name} is not in the example"
            branch = branch[part]


@pytest.mark.parametrize("name", MODELS)
def test_units_start_the_daemons_and_do_not_restart_in_vain(name: str) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read(DEPLOY / "systemd" / f"{name}.service")
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert f"bin/{name} --config /etc/semcast/{name}.yaml" in service["ExecStart"]
    assert "78" in service["RestartPreventExitStatus"].split()


@pytest.mark.parametrize("name", MODELS)
def test_small_boards_have_settings_that_load(name: str) -> None:
    tree = yaml.safe_load((DEPLOY / "config" / f"tiny-{name}.yaml").read_text())
    MODELS[name].model_validate(tree)


@pytest.mark.parametrize("name", MODELS)
def test_units_expose_little(name: str) -> None:
    """`systemd-analyze security` gives tenths; 1.5 was reached when the units were written."""
    unit = DEPLOY / "systemd" / f"{name}.service"
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
    assert "ExecReload=/bin/kill -HUP $MAINPID" in unit.read_text()


@pytest.mark.parametrize("name", MODELS)
def test_units_are_understood(name: str, tmp_path: Path) -> None:
    """By systemd, which only warns of what it does not know; with a program that is on this host."""
    text = (DEPLOY / "systemd" / f"{name}.service").read_text()
    unit = tmp_path / f"{name}.service"
    unit.write_text(re.sub(r"^ExecStart=.*$", "ExecStart=/bin/true", text, flags=re.M))
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_receivers_unit_has_a_folder_for_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a user without a home, on a system that is read-only but for what the unit names."""
    text = (DEPLOY / "systemd" / "receiver.service").read_text()
    given = dict(re.findall(r"(?<=[= ])(\w+)=(\S+)", "\n".join(re.findall(r"^Environment=.*$", text, re.M))))
    named = re.findall(r"^CacheDirectory=(.+)$", text, re.M)
    monkeypatch.setenv("XDG_CACHE_HOME", given["XDG_CACHE_HOME"].replace("%C", "/var/cache"))
    assert any(default_folder().is_relative_to(f"/var/cache/{name}") for name in named)
    filters = re.findall(r"^SystemCallFilter=(.+)$", text, re.M)
    assert filters[-1] == "setpriority"  # what builds engines steps back


def test_prometheus_scrapes_the_default_addresses() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    targets = [t for job in config["scrape_configs"] for s in job["static_configs"] for t in s["targets"]]
    for name, target in zip(MODELS, targets, strict=True):
        tree = yaml.safe_load((DEPLOY / "config" / f"{name}.yaml").read_text())
        assert tree["metrics"]["listen"] == target
