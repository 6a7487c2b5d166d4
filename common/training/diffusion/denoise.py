"""The stages of the diffusion loss (eq. 3): which parts move and what they see is their configuration."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from common.models.diffusion.model import DiffusionModel
from common.training.diffusion.clips import Batch, Latents
from common.training.diffusion.config import DenoiseConfig
from common.training.diffusion.inputs import Inputs, between, gaussian, prepare, spread, timesteps
from common.training.diffusion.runner import Turn


def parameters(model: DiffusionModel, parts: tuple[str, ...]) -> dict[str, nn.Parameter]:
    """Those of the named parts, all others frozen."""
    chosen = {}
    for name, value in model.named_parameters():
        value.requires_grad_(name.split(".")[0] in parts)
        if value.requires_grad:
            chosen[name] = value
    return chosen


class DenoiseTask:
    """Trains some parts of a model to denoise single frames or clips."""

    def __init__(
        self, model: DiffusionModel, config: DenoiseConfig, latents: Latents, strength: float, device: str
    ) -> None:
        self.model, self.config, self.latents = model.to(device), config, latents
        self.strength, self.device = strength, device
        self.count = config.batch_cuda if device.startswith("cuda") else config.batch
        self._groups = {"loss": parameters(model, config.trains)}

    @property
    def groups(self) -> dict[str, dict[str, nn.Parameter]]:
        """The parts that this stage trains."""
        return self._groups

    def batch(self, rng: np.random.Generator) -> tuple[Batch, bool, bool]:
        """Clips, and whether they are seen with their maps and textures."""
        c = self.config
        control, texture = (bool(rng.random() < share) for share in (c.control, c.texture))
        return self.latents.batch(rng, self.count, c.frames), control, texture

    def turns(self, batch: tuple[Batch, bool, bool], noise: torch.Generator) -> Iterator[Turn]:
        """One: noise on, noise off."""
        clips, control, texture = batch
        inputs = prepare(clips, self.latents.scale, self.device)
        schedule = self.model.schedule
        start, far = between(inputs, self.config.degraded if texture else 0.0, noise)
        t = timesteps(schedule, far, self.strength, noise)
        x = schedule.add_noise(start, gaussian(start, noise), t)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.config.bf16):
            out = see(self.model, inputs, x, t, control=control, texture=texture)
        found = schedule.predict_x0(out.float(), x, t)
        error = (found - inputs.clean).square()
        loss = (error / spread(schedule, t, error).clamp(min=self.config.weak).square()).mean()
        with torch.no_grad():
            figures = {"error": float(error.mean())}
            if (near := far > 0).any():
                before = (inputs.degraded - inputs.clean)[near].square().mean()
                figures |= {"restored": float(error[near].mean()), "degraded": float(before)}
        yield Turn("loss", loss, figures)


def see(
    model: DiffusionModel,
    inputs: Inputs,
    x: Tensor,
    t: Tensor,
    *,
    control: bool,
    texture: bool,
    temporal: str | None = None,
    adapter: nn.Module | None = None,
) -> Tensor:
    """The model's output (B, F, c, h, w) for x; clips of more than one frame go through the Temporal Adapter.

    `temporal`: how the frames see each other, "full" unless said otherwise. Training knows only lambda = 1 or 0."""
    clip = x.shape[1] > 1
    out: Tensor = model(
        x,
        t,
        control=inputs.control if control else None,
        degraded=inputs.degraded if texture else None,
        temporal=(temporal or "full") if clip else None,
        adapter=adapter,
        lambda_c=1.0,
        lambda_r=1.0,
        lambda_t=1.0,
        control_trust=inputs.control_trust,
        texture_trust=inputs.texture_trust,
    )
    return out
