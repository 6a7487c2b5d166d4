"""The shipped models: where they lie, what is in them, and that they are whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

MODELS = Path(__file__).resolve().parent.parent / "models" / "weights"


class WeightsError(RuntimeError):
    """A model is missing or damaged; the message names the file."""


@dataclass(frozen=True)
class ModelFiles:
    """One model; its graphs are loaded by a backend from `folder`."""

    folder: Path
    model_id: int
    frames: int

    def graph(self, name: str) -> Path:
        """Path of an exported graph."""
        return self.folder / f"{name}.onnx"


@lru_cache(maxsize=4)
def load_model(profile: str, folder: Path = MODELS) -> ModelFiles:
    """Load and verify a model by profile name. Raises WeightsError."""
    place = folder / profile
    manifest = read_manifest(place)
    if missing := {"model_id", "config", "sha256"} - set(manifest):
        raise WeightsError(f"{place / 'manifest.json'}: lacks {', '.join(sorted(missing))}")
    for name in manifest["sha256"]:
        verified(place, name, manifest)
    return ModelFiles(place, int(manifest["model_id"]), int(manifest["config"]["frames"]))


def read_manifest(place: Path) -> dict[str, Any]:
    """The manifest of a model folder. Raises WeightsError."""
    path = place / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: {error}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("sha256", {}), dict):
        raise WeightsError(f"{path}: must be an object, and so must sha256")
    return manifest


def verified(place: Path, name: str, manifest: dict[str, Any]) -> Path:
    """A file of a model folder that is what its manifest says. Raises WeightsError."""
    path, digests = place / name, manifest.get("sha256", {})
    if name not in digests or Path(name).name != name:
        raise WeightsError(f"{place / 'manifest.json'}: names no file {name}")
    if not path.is_file():
        raise WeightsError(f"{path}: missing")
    if hashlib.sha256(path.read_bytes()).hexdigest() != digests[name]:
        raise WeightsError(f"{path}: does not match the manifest's sha256 (damaged or replaced)")
    return path
