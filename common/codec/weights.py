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
    for name, digest in manifest["sha256"].items():
        path = place / name
        if not path.is_file():
            raise WeightsError(f"{path}: missing")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise WeightsError(f"{path}: does not match the manifest's sha256 (damaged or replaced)")
    return ModelFiles(place, int(manifest["model_id"]), int(manifest["config"]["frames"]))


def read_manifest(place: Path) -> dict[str, Any]:
    """The manifest of a model folder. Raises WeightsError."""
    path = place / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: {error}") from error
    return manifest
