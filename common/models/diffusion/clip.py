"""Few-step sampling of whole clips: what a stream computes, all frames at once; roll-outs for distillation."""

from __future__ import annotations

import torch
from torch import Tensor

from common.models.diffusion.model import Attention, DiffusionModel, Weight
from common.models.diffusion.schedule import Plan
from common.models.diffusion.temporal import TemporalAdapter


def sample_clip(
    model: DiffusionModel,
    plan: Plan,
    noise: Tensor,
    frames: int,
    *,
    control: Tensor | None = None,
    degraded: Tensor | None = None,
    temporal: Attention | None = "window",
    adapter: TemporalAdapter | None = None,
    lambda_c: Weight | None = None,
    lambda_r: Weight | None = None,
    lambda_t: Weight | None = None,
) -> Tensor:
    """Latents (B, F, c, h, w) of clips; differentiable.

    noise: (S, B, c, h, w), the same for every frame as in a stream, or (S, B, F, c, h, w); control (B, F, K, H, W);
    degraded: latents (B, F, c, h, w), needed where the plan starts from them (strength below 1).
    """
    if noise.ndim == 5:
        noise = noise[:, :, None].expand(-1, -1, frames, -1, -1, -1)
    start = plan.start.tolist()
    if start[0] and degraded is None:
        raise ValueError("a strength below 1 starts from the degraded latents: give them")
    x: Tensor = start[1] * noise[0] if degraded is None else start[0] * degraded + start[1] * noise[0]
    for index, (k0, k1, k2) in enumerate(plan.coefficients.tolist()):
        t = torch.full(x.shape[:1], int(plan.timesteps[index]), device=x.device)
        output: Tensor = model(
            x, t, control=control, degraded=degraded, degraded_noise=noise[0], temporal=temporal,
            adapter=adapter, lambda_c=lambda_c, lambda_r=lambda_r, lambda_t=lambda_t,
        )  # fmt: skip
        x = k0 * x + k1 * output + k2 * noise[(index + 1) % len(noise)]
    return x
