"""What the generative decoder needs on this host, looked for without loading any of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

OURS = Path(__file__).resolve().parents[2] / "common" / "models" / "weights" / "generative"
"""The weights that come with the program."""

MANIFEST, DIFFUSERS = "manifest.json", "unet"
"""What a folder of our own, and one in diffusers' layout, has in it."""

PACKAGES = ("torch", "diffusers", "safetensors")
"""Without these there is no decoder."""

INSTALL = (
    "pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu (or /cu128 for a GPU), then "
    "pip install 'semcast[generative]'"
)


def missing(weights: Path | None) -> str | None:
    """What is not there, and how to get it; None: nothing."""
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if absent:
        return f"the generative decoder needs {' and '.join(absent)}: {INSTALL}"
    folder = weights or OURS
    if not (folder / MANIFEST).is_file() and not (folder / DIFFUSERS).is_dir():
        return (
            f"no weights of the generative decoder in {folder}: give decode.weights a folder with {MANIFEST} (ours) "
            f"or {DIFFUSERS}/ (diffusers' layout)"
        )
    return None
