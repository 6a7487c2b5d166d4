"""A toy decoder whose every part does something, and inputs for it."""

from __future__ import annotations

import torch
from torch import Tensor

from common.models.diffusion.config import PRESETS
from common.models.diffusion.model import DiffusionModel, build
from common.models.diffusion.stream import Streamer, StreamInputs, StreamState

SIZE = 32  # side of a picture


def awake(model: DiffusionModel) -> DiffusionModel:
    """Give every weight that starts at zero a value, so that no adapter is neutral."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
        last = model.vae.decoder.layers[-1]  # random decoders put out a flat black
        last.weight.mul_(10)
        last.bias.fill_(0.5)
    return model.eval()


def toy_model(**settings: object) -> DiffusionModel:
    """A toy with awake adapters."""
    return awake(build(PRESETS["toy"].with_(**settings)))


def clip(frames: int, batch: int = 1, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Textures (B, F, 3, H, W) and one-hot maps (B, F, K, H, W)."""
    generator = torch.Generator().manual_seed(seed)
    textures = torch.rand(batch, frames, 3, SIZE, SIZE, generator=generator) * 2 - 1
    labels = torch.randint(0, 5, (batch, frames, SIZE, SIZE), generator=generator)
    return textures, torch.nn.functional.one_hot(labels, 5).movedim(-1, 2).float()


def run(
    streamer: Streamer, state: StreamState, textures: Tensor, maps: Tensor, **inputs: Tensor | float
) -> list[Tensor]:
    """Pictures of a clip, frame by frame."""
    given = [
        StreamInputs(textures[:, k], maps[:, k], **inputs)  # type: ignore[arg-type]
        for k in range(textures.shape[1])
    ]
    return [streamer.step(one, state)[0].clone() for one in given]
