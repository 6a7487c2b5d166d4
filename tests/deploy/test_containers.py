"""Container images, Compose and Kubernetes examples: what they name exists, and they say what the daemons do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.config import leaves
from common.runtime.engine_cache import default_folder
from receiver.config import ENV_PREFIX as RECEIVER
from receiver.config import ReceiverConfig
from receiver.generative.missing import PACKAGES as GENERATIVE
from sender.config import ENV_PREFIX as SENDER
from sender.config import SenderConfig

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
VARIABLES = {leaf.variable(RECEIVER) for leaf in leaves(ReceiverConfig)} | {
    leaf.variable(SENDER) for leaf in leaves(SenderConfig)
}


def settings_named(text: str) -> set[str]:
    return set(re.findall(r"SEMCAST_(?:SENDER|RECEIVER)_[A-Z_]+", text))


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.gpu"])
def test_images_copy_what_is_there_and_end_without_root(name: str) -> None:
    text = (DEPLOY / "docker" / name).read_text()
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.M):
        assert all((ROOT / source).exists() for source in line.split()[:-1]), line
    assert re.search(r"^USER semcast$", text, re.M)


def requirements(name: str) -> set[str]:
    """What an image installs: the program that lists it is run as the image's build runs it."""
    text = (DEPLOY / "docker" / name).read_text()
    program = re.search(r"<<'PYTHON' > requirements.txt\n(.*?)^PYTHON$", text, re.M | re.S)
    assert program is not None
    command = [sys.executable, "-c", program[1]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return {re.split(r"[<>=]", line)[0] for line in done.stdout.splitlines()}


def test_images_install_what_they_are_for() -> None:
    cpu, gpu = requirements("Dockerfile"), requirements("Dockerfile.gpu")
    assert {"numpy", "onnxruntime", "aiortc", "aiohttp"} <= cpu <= gpu
    assert not cpu & {"torch", "diffusers"}
    assert {*GENERATIVE, "onnx", "tensorrt-rtx"} <= gpu  # onnx: the graphs that engines are built from


def engines_of_the_image(monkeypatch: pytest.MonkeyPatch, name: str = "Dockerfile") -> Path:
    """Where the receiver of an image keeps engines; made there for the user that it ends with."""
    text = (DEPLOY / "docker" / name).read_text()
    (home,) = re.findall(r"\bXDG_CACHE_HOME=(\S+)", text)
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    (made,) = re.findall(r"install -d -o semcast -g semcast -m 700 (\S+)", text)
    assert default_folder().is_relative_to(made)
    return default_folder()


def test_containers_that_are_read_only_have_a_folder_for_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = engines_of_the_image(monkeypatch)
    assert folder == engines_of_the_image(monkeypatch, "Dockerfile.gpu")
    compose = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())
    receiver = compose["services"]["receiver"]
    mounts = dict(reversed(mount.split(":")) for mount in receiver["volumes"])
    (volume,) = (mounts[path] for path in mounts if folder.is_relative_to(path))
    assert receiver["read_only"] and volume in compose["volumes"]
    parts = yaml.safe_load_all((DEPLOY / "kubernetes" / "receivers.yaml").read_text())
    pod = next(part for part in parts if part["kind"] == "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (volume,) = (
        mount["name"] for mount in container["volumeMounts"] if folder.is_relative_to(mount["mountPath"])
    )
    assert {"name": volume, "emptyDir": {}} in pod["volumes"]


def test_compose_mounts_what_is_there_and_sets_what_exists() -> None:
    path = DEPLOY / "docker" / "compose.yaml"
    services: dict[str, Any] = yaml.safe_load(path.read_text())["services"]
    assert set(services) == {"receiver", "sender", "prometheus", "grafana"}
    for service in services.values():
        assert service["network_mode"] == "host"  # so that what listens on loopback stays there
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert not source.startswith(".") or (path.parent / source).exists(), source
    assert settings_named(path.read_text()) <= VARIABLES


def test_kubernetes_selectors_meet_and_settings_exist() -> None:
    text = (DEPLOY / "kubernetes" / "receivers.yaml").read_text()
    parts = {part["kind"]: part for part in yaml.safe_load_all(text)}
    template = parts["Deployment"]["spec"]["template"]
    labels, (container,) = template["metadata"]["labels"], template["spec"]["containers"]
    assert parts["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert parts["Service"]["spec"]["selector"] == labels
    assert parts["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert parts["ScaledObject"]["spec"]["scaleTargetRef"]["name"] == parts["Deployment"]["metadata"]["name"]
    ports = {port["name"] for port in container["ports"]}
    assert {
        container["livenessProbe"]["httpGet"]["port"],
        parts["Service"]["spec"]["ports"][0]["targetPort"],
    } <= ports
    assert settings_named(text) <= VARIABLES
