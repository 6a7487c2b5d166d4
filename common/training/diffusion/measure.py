"""What a run's decoder makes of its clips: PSNR and HaarPSI of its pictures beside those of the enlarged textures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from common.models.diffusion.model import DiffusionModel
from common.training.diffusion import clips, corpus
from common.training.diffusion.autoencoder import tensor
from common.training.diffusion.inputs import Inputs
from common.training.diffusion.losses import dissimilarity, psnr
from common.training.diffusion.samples import Sampler
from common.training.diffusion.serve import made, received
from common.training.diffusion.stages import Place, assemble, encoder

HELD = 99  # draws of their own, that no stage has trained on


@torch.no_grad()
def measure(
    place: Place, steps: int = 1, count: int = 32, model: DiffusionModel | None = None
) -> dict[str, float]:
    """Means over fresh clips of the training sources; control, texture and time all in use. `model`: None for what the
    stages have left."""
    model = (model or assemble(place)).to(place.device).eval()
    recipe = place.recipe
    sampler = Sampler(corpus.read(place.corpus), recipe.data.shares, recipe.data.caps, recipe.data.crop)
    encode, scale = encoder(place), float(model.vae.config.scaling_factor)
    rows = []
    for number in range(count):
        rng = np.random.default_rng((recipe.seed, HELD, number))
        clip = clips.draw(sampler, rng, place.frames, recipe.data, recipe.degrade)
        inputs = received(clip, encode, scale, place.device)
        true, texture = tensor(clip.clean), tensor(clip.degraded)
        found = shown(model, clip, inputs, steps).cpu()
        kept = model.decode(inputs.clean[0]).cpu().clamp(-1, 1)
        rows.append(
            [
                float(v)
                for one in (texture, found, kept)
                for v in (psnr(one, true).mean(), 1 - dissimilarity(one, true))
            ]
        )
    names = ("texture psnr", "texture haarpsi", "psnr", "haarpsi", "autoencoder psnr", "autoencoder haarpsi")
    return {name: round(value, 4) for name, value in zip(names, np.mean(rows, 0).tolist(), strict=True)}


def shown(model: DiffusionModel, clip: clips.Clip, inputs: Inputs, steps: int) -> Tensor:
    """Pictures (T, 3, S, S) that a receiver would see, all of what the Refiner changes (see refine.share)."""
    found, texture = made(model, inputs, steps), tensor(clip.degraded).to(inputs.clean.device)
    trust = torch.cat((inputs.control_trust[0], inputs.texture_trust[0]), 1)
    if model.refiner is None:
        return found
    picture: Tensor = model.refiner(found, texture, inputs.control[0], trust)
    return picture.clamp(-1, 1)
