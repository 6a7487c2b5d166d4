"""The shipped models: where they lie, what is in them, and that they are whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.codec.entropy import Tables

MODELS = Path(__file__).resolve().parent.parent / "models" / "weights"


class WeightsError(RuntimeError):
    """A model is missing or damaged; the message names the file."""


@dataclass(frozen=True)
class ModelFiles:
    """One model: its manifest, steps and tables; the graphs are loaded by a backend from `folder`."""

    folder: Path
    model_id: int
    frames: int
    latent: int
    base: int
    context: int
    hidden: int
    steps: NDArray[np.float32]  # (QUALITIES, latent): quantiser step of each channel
    base_steps: NDArray[np.float32]  # (QUALITIES, base)
    tables: Tables
    base_tables: Tables

    def graph(self, name: str) -> Path:
        """Path of an exported graph: encoder, expansion, recovery or decoder."""
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
    config = manifest["config"]
    with np.load(place / "steps.npz") as stored:
        steps, base_steps = (np.asarray(stored[name], np.float32) for name in ("steps", "base_steps"))
    with np.load(place / "tables.npz") as stored:
        tables, base_tables = Tables(stored["latent"]), Tables(stored["base"])
    return ModelFiles(
        place,
        int(manifest["model_id"]),
        int(config["frames"]),
        int(config["latent"]),
        int(config["base"]),
        int(config["context"]),
        int(config["hidden"]),
        steps,
        base_steps,
        tables,
        base_tables,
    )


def read_manifest(place: Path) -> dict[str, Any]:
    """The manifest of a model folder. Raises WeightsError."""
    path = place / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: {error}") from error
    return manifest
