"""What the decoder makes of a clip as a stream would: conditions as received, a causal window, few steps."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from common.models.diffusion.clip import sample_clip
from common.models.diffusion.model import DiffusionModel
from common.training.diffusion import clips
from common.training.diffusion.inputs import Inputs, prepare

SEED = 7  # of the noise


def received(clip: clips.Clip, encode: clips.Encode, scale: float, device: str) -> Inputs:
    """A clip as a batch of one."""
    both = encode(np.concatenate((clip.clean, clip.degraded)))
    half = len(clip.clean)
    batch = clips.Batch(
        both[None, :half],
        both[None, half:],
        clip.labels[None],
        clip.texture_trust[None],
        clip.control_trust[None],
    )
    return prepare(batch, scale, device)


@torch.no_grad()
def made(model: DiffusionModel, inputs: Inputs, steps: int) -> Tensor:
    """Pictures (T, 3, S, S) in [-1, 1] as they come from the autoencoder."""
    plan = model.schedule.plan(steps, model.config.strength)
    shape = len(plan.timesteps), 1, *inputs.clean.shape[2:]
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(SEED)).to(inputs.clean.device)
    latents = sample_clip(
        model,
        plan,
        noise,
        inputs.clean.shape[1],
        control=inputs.control if bool(inputs.known.any()) else None,
        degraded=inputs.degraded,
        temporal="window",
    )
    return model.decode(latents[0]).clamp(-1, 1)
