"""What a run's decoder makes of its clips: PSNR and HaarPSI of its pictures beside those of the enlarged textures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from common.models.diffusion.clip import sample_clip
from common.models.diffusion.model import DiffusionModel
from common.models.diffusion.stream import anchored
from common.training.diffusion import clips, corpus
from common.training.diffusion.autoencoder import tensor
from common.training.diffusion.inputs import prepare
from common.training.diffusion.losses import dissimilarity, psnr
from common.training.diffusion.samples import Sampler
from common.training.diffusion.stages import Place, assemble, encoder

HELD = 99  # draws of their own, that no stage has trained on


@torch.no_grad()
def measure(place: Place, steps: int = 1, count: int = 32) -> dict[str, float]:
    """Means over fresh clips of the training sources; control, texture and time all in use."""
    model = assemble(place).to(place.device).eval()
    recipe = place.recipe
    sampler = Sampler(corpus.read(place.corpus), recipe.data.shares, recipe.data.caps, recipe.data.crop)
    encode, scale = encoder(place), float(model.vae.config.scaling_factor)
    rows = []
    for number in range(count):
        rng = np.random.default_rng((recipe.seed, HELD, number))
        clip = clips.draw(sampler, rng, place.frames, recipe.data, recipe.degrade)
        true, shown = tensor(clip.clean), tensor(clip.degraded)
        made, kept = decoded(model, clip, encode, scale, steps, place.device)
        rows.append(
            [
                float(v)
                for found in (shown, made, kept)
                for v in (psnr(found, true).mean(), 1 - dissimilarity(found, true))
            ]
        )
    names = ("texture psnr", "texture haarpsi", "psnr", "haarpsi", "autoencoder psnr", "autoencoder haarpsi")
    return {name: round(value, 4) for name, value in zip(names, np.mean(rows, 0).tolist(), strict=True)}


def decoded(
    model: DiffusionModel,
    clip: clips.Clip,
    encode: clips.Encode,
    scale: float,
    steps: int,
    device: str,
) -> tuple[Tensor, Tensor]:
    """Pictures (T, 3, S, S) that the decoder makes, and those that its autoencoder alone makes of the true ones."""
    both = encode(np.concatenate((clip.clean, clip.degraded)))
    half = len(clip.clean)
    batch = clips.Batch(
        both[None, :half],
        both[None, half:],
        clip.labels[None],
        clip.texture_trust[None],
        clip.control_trust[None],
    )
    inputs = prepare(batch, scale, device)
    plan = model.schedule.plan(steps, model.config.strength)
    noise = torch.randn(
        len(plan.timesteps), 1, *inputs.clean.shape[2:], generator=torch.Generator().manual_seed(7)
    )
    made = sample_clip(
        model,
        plan,
        noise.to(device),
        half,
        control=inputs.control if bool(inputs.known.any()) else None,
        degraded=inputs.degraded,
        temporal="window",
    )
    weight = inputs.texture_trust[0].cpu() * model.config.anchor
    pictures = anchored(model.decode(made[0]).cpu(), tensor(clip.degraded), weight)
    return pictures.clamp(-1, 1), model.decode(inputs.clean[0]).cpu().clamp(-1, 1)
