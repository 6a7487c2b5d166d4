"""Stages `pictures` and `refinement`: what the decoder makes of fresh clips, as pixels; the Refiner, trained on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from common.models.diffusion import vocabulary
from common.models.diffusion.model import DiffusionModel
from common.models.diffusion.refine import Refiner
from common.training.diffusion import clips
from common.training.diffusion.autoencoder import tensor
from common.training.diffusion.config import RefinementConfig
from common.training.diffusion.inputs import one_hot
from common.training.diffusion.losses import Scene, dissimilarity, gradient_loss, psnr
from common.training.diffusion.runner import Turn
from common.training.diffusion.serve import made, received
from common.training.diffusion.store import Arrays, Store

STEPS = (1, 1, 1, 2, 4)  # of a clip, drawn evenly

FLAT = ("labels", "trust")  # whose last axis is the width
SHOWN = ("clean", "texture", "made")
LIGHT = 0.3  # largest logarithm of gain and gamma


@dataclass(frozen=True, slots=True)
class Sample:
    """B single pictures; the names of the arrays on disk."""

    clean: NDArray[np.uint8]  # (B, S, S, 3)
    texture: NDArray[np.uint8]
    made: NDArray[np.uint8]
    labels: NDArray[np.uint8]  # (B, S, S)
    trust: NDArray[np.uint8]  # (B, 2, S/8, S/8): of the map, of the texture


def decoded(
    model: DiffusionModel,
    clip: clips.Clip,
    encode: clips.Encode,
    every: int,
    rng: np.random.Generator,
    device: str,
) -> Arrays:
    """What is kept of a clip: (F, ...) for each field of Sample."""
    inputs = received(clip, encode, float(model.vae.config.scaling_factor), device)
    found = made(model, inputs, STEPS[int(rng.integers(len(STEPS)))])
    pixels = ((found + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    trust = np.stack((clip.control_trust, clip.texture_trust), 1)
    values = (clip.clean, clip.degraded, pixels, clip.labels, trust)
    names = ("clean", "texture", "made", "labels", "trust")
    return {name: value[every - 1 :: every] for name, value in zip(names, values, strict=True)}


def turned(values: Arrays, mirrored: bool, quarters: int) -> Arrays:
    """The same samples mirrored, and turned by so many right angles."""
    out = {}
    for name, array in values.items():
        width = array.ndim - (1 if name in FLAT else 2)
        seen = np.flip(array, width) if mirrored else array
        out[name] = np.rot90(seen, quarters, (width - 1, width))
    return out


def tinted(values: Arrays, rng: np.random.Generator) -> Arrays:
    """Each sample in another light: gain and gamma of each channel, the same in all that is shown of it."""
    out = dict(values)
    gamma, gain = np.exp(rng.uniform(-LIGHT, LIGHT, (2, len(values["clean"]), 3, 1)))
    curves = np.clip(255 * gain * (np.arange(256) / 255) ** gamma, 0, 255).round().astype(np.uint8)
    for name in SHOWN:
        out[name] = np.stack(
            [
                np.stack([curve[one[..., channel]] for channel, curve in enumerate(own)], -1)
                for one, own in zip(values[name], curves, strict=True)
            ]
        )
    return out


class RefinementTask:
    """Trains the Refiner on single pictures."""

    def __init__(self, refiner: Refiner, config: RefinementConfig, folder: Path, device: str) -> None:
        """Raises FileNotFoundError where no pictures were made."""
        self.refiner, self.config, self.device = refiner.to(device), config, device
        stored = Store(folder)
        self._count, self._arrays = stored.count, stored.arrays
        self._scene = Scene(device) if config.scene else None
        self.batch_size = config.batch_cuda if device.startswith("cuda") else config.batch

    @property
    def groups(self) -> dict[str, dict[str, nn.Parameter]]:
        """All of it, under the names that it has in the decoder."""
        return {"loss": {f"refiner.{name}": value for name, value in self.refiner.named_parameters()}}

    def batch(self, rng: np.random.Generator) -> Sample:
        """Pictures of as many clips."""
        rows = rng.integers(self._count, size=self.batch_size)
        frames = rng.integers(self._arrays["clean"].shape[1], size=self.batch_size)
        values: Arrays = {name: array[rows, frames] for name, array in self._arrays.items()}
        upright = rng.random() >= self.config.turned
        values = turned(values, bool(rng.random() < 0.5), 0 if upright else int(rng.integers(1, 4)))
        if rng.random() < self.config.tinted:
            values = tinted(values, rng)
        labels = np.stack([self._late(labels, rng) for labels in values["labels"]])
        made = values["texture" if rng.random() < self.config.plain else "made"]
        c = self.config
        seen = np.array([rng.random() < c.control, rng.random() >= c.blind], np.uint8)
        trust = values["trust"] * seen[:, None, None]
        return Sample(values["clean"], values["texture"], made, labels, trust)

    def _late(self, labels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Now and then a map that lies elsewhere, as one that was not renewed in time does."""
        if rng.random() >= self.config.late:
            return labels
        most, side = self.config.shift, labels.shape[0]
        top, left = rng.integers(2 * most + 1, size=2)
        return np.pad(labels, most, mode="edge")[top : top + side, left : left + side]

    def turns(self, batch: Sample, noise: torch.Generator) -> Iterator[Turn]:
        """One."""
        c = self.config
        true, texture = tensor(batch.clean).to(self.device), tensor(batch.texture).to(self.device)
        found = self.show(batch)
        unlike = dissimilarity(found, true)
        loss = (found - true).abs().mean() + c.squared * (found - true).square().mean()
        loss = loss + c.gradient * gradient_loss(found, true) + c.haarpsi * unlike
        apart = self._apart(found, true, batch.labels)
        loss = loss + c.scene * apart
        with torch.no_grad():
            figures = {
                "psnr": float(psnr(found, true).mean()),
                "texture psnr": float(psnr(texture, true).mean()),
                "haarpsi": 1 - float(unlike),
                "texture haarpsi": 1 - float(dissimilarity(texture, true)),
                "scene": float(apart),
            }
        yield Turn("loss", loss, figures)

    def _apart(self, found: Tensor, true: Tensor, labels: NDArray[np.uint8]) -> Tensor:
        streets = np.flatnonzero((labels < len(vocabulary.STREET_NAMES)).any(axis=(1, 2)))
        if self._scene is None or not len(streets):
            return found.new_zeros(())
        return self._scene.apart(found[streets], true[streets]) * (len(streets) / len(labels))

    def show(self, batch: Sample) -> Tensor:
        """What the Refiner makes of pictures."""
        pictures = (tensor(values).to(self.device) for values in (batch.made, batch.texture))
        control = one_hot(torch.from_numpy(np.ascontiguousarray(batch.labels)).to(self.device))
        trust = torch.from_numpy(np.ascontiguousarray(batch.trust)).to(self.device).float() / 255
        with torch.autocast(self.device.split(":")[0], torch.bfloat16, enabled=self.config.bf16):
            found: Tensor = self.refiner(*pictures, control, trust)
        return found.float()
