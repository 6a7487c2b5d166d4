"""A corpus and a recipe of toy size, and clips that need no autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any

import cv2
import numpy as np

from common.models.diffusion import vocabulary
from common.training.diffusion import clips, corpus, store
from common.training.diffusion.config import RecipeConfig
from common.training.diffusion.stages import Place

SIZE, FRAMES, CHANNELS = 64, 5, 4
BLOCK = {"batch": 2, "batch_cuda": 2, "learning_rate": 2e-3, "warm_up_steps": 1, "bf16": False}
STAGE = {**BLOCK, "steps": 2}

RECIPE: dict[str, Any] = {
    "data": {"crop": SIZE, "shares": {"clip": 0.5, "tabletop": 0.5}},
    "clips": {"clips": 6, "clips_cuda": 6, "frames": FRAMES, "frames_cuda": FRAMES},
    "model": {
        "name": "toy",
        "widths": [16, 32],
        "head": 8,
        "groups": 4,
        "control_widths": [4, 4, 8, 8],
        "steps": 2,
        "refiner": [8, 16],
        "refiner_blocks": 1,
    },
    "autoencoder": {**STAGE, "width": 8, "latent_channels": CHANNELS, "encoder_blocks": [0, 1, 1, 1]}
    | {"decoder_blocks": [1, 1, 1, 0]},
    "backbone": {**STAGE, "trains": ["unet", "context"]},
    "control": {**STAGE, "trains": ["control"], "control": 1.0},
    "restoration": {**STAGE, "trains": ["restoration"], "texture": 1.0, "degraded": 0.8},
    "teacher": {**STAGE, "trains": ["temporal"], "frames": None},
    "lcm": {**STAGE, "videos": 3, "video_steps": 2},
    "dmd": {**STAGE},
    "pictures": {"clips": 4, "clips_cuda": 4},
    "refinement": {**STAGE},
}


def recipe(**changes: Mapping[str, Any]) -> RecipeConfig:
    """The toy recipe with other values in its sections."""
    return RecipeConfig.model_validate(
        {**RECIPE, **{key: {**RECIPE[key], **value} for key, value in changes.items()}}
    )


def fill(folder: Path) -> None:
    """A clip without maps and a tabletop with: a square that moves over a slope of grey, 80x96."""
    rng = np.random.default_rng(5)
    for name, kind in (("moving", "clip"), ("tabletop-0", "tabletop")):
        frames, labels = [], []
        ground = np.linspace(40, 180, 96)[None, :, None] + rng.normal(0, 3, (80, 96, 3))
        for step in range(12):
            picture, drawn = ground.copy(), np.full((80, 96), vocabulary.OBJECTS, np.uint8)
            place = slice(20 + step, 44 + step), slice(10 + 3 * step, 36 + 3 * step)
            picture[place], drawn[place] = (200, 60, 30), vocabulary.OBJECTS + 1
            frames.append(np.clip(picture, 0, 255).astype(np.uint8))
            labels.append(drawn)
        corpus.write(
            folder, name, corpus.Facts(kind, False, 10.0), frames, labels if kind == "tabletop" else []
        )


def place(folder: Path, settings: RecipeConfig, device: str = "cpu") -> Place:
    """A run of its own in `folder`."""
    return Place(settings, folder / "run", folder / "corpus", device)


def fill_latents(folder: Path, count: int = 6) -> None:
    """Clips whose latents are smooth noise and whose degraded ones are dim and noisy copies."""

    def one(number: int) -> clips.Clip:
        rng = np.random.default_rng(number)
        pictures = rng.integers(0, 255, (FRAMES, SIZE, SIZE, 3), np.uint8)
        labels = np.full((FRAMES, SIZE, SIZE), vocabulary.OBJECTS + number % 3, np.uint8)
        trust = np.full((FRAMES, SIZE // 8, SIZE // 8), 255, np.uint8)
        return clips.Clip(pictures, pictures, labels, trust, trust)

    def encode(pictures: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float16]]:
        rng = np.random.default_rng(int(pictures[0, 0, 0, 0]))
        clean = np.repeat(rng.normal(0, 2, (1, CHANNELS, SIZE // 8, SIZE // 8)), FRAMES, 0)
        return np.concatenate((clean, 0.5 * clean + rng.normal(0, 0.5, clean.shape))).astype(np.float16)

    clips.make(folder, count, FRAMES, "toy", one, encode, Event())


def fill_pictures(folder: Path, count: int = 6) -> None:
    """Slopes, what is left of them after blur, and something else as what was decoded."""

    def one(number: int) -> dict[str, np.ndarray[Any, np.dtype[np.uint8]]]:
        rng = np.random.default_rng(number)
        clean = np.repeat(rng.integers(0, 255, (2, SIZE // 4, SIZE // 4, 3), np.uint8), 4, 1).repeat(4, 2)
        blurred = np.stack([cv2.GaussianBlur(picture, (0, 0), 2.0) for picture in clean]).astype(np.uint8)
        labels = np.full((2, SIZE, SIZE), vocabulary.OBJECTS, np.uint8)
        trust = np.full((2, 2, SIZE // 8, SIZE // 8), 255, np.uint8)
        return {"clean": clean, "texture": blurred, "made": clean // 2, "labels": labels, "trust": trust}

    store.fill(folder, count, "toy", one, Event())
