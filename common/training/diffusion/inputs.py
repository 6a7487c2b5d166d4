"""From stored clips to what the model takes: latents at deviation 1, one-hot maps, trust; noise and timesteps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from common.models.diffusion import vocabulary
from common.models.diffusion.schedule import Schedule
from common.training.diffusion.clips import Batch


@dataclass(frozen=True, slots=True)
class Inputs:
    """B clips of F frames on the device, F = 1 for single frames. clean, degraded (B, F, c, h, w); control
    (B, F, K, H, W); trusts (B, F, 1, h, w)."""

    clean: Tensor
    degraded: Tensor
    control: Tensor
    texture_trust: Tensor
    control_trust: Tensor

    @property
    def known(self) -> Tensor:
        """(B,) whether a clip has a map at all."""
        return self.control_trust.flatten(1).amax(1) > 0


def prepare(batch: Batch, scale: float, device: str) -> Inputs:
    """Bytes and halves to tensors."""
    return Inputs(
        _floats(batch.clean, device) * scale,
        _floats(batch.degraded, device) * scale,
        one_hot(torch.from_numpy(batch.labels).to(device)),
        _floats(batch.texture_trust, device)[:, :, None] / 255,
        _floats(batch.control_trust, device)[:, :, None] / 255,
    )


def one_hot(labels: Tensor) -> Tensor:
    """(..., H, W) labels of the shared space -> (..., K, H, W); zero where nothing is known."""
    count = vocabulary.CLASSES
    hot = F.one_hot(labels.long().clamp(max=count), count + 1)[..., :count]
    return hot.movedim(-1, -3).float()


def _floats(values: NDArray[np.generic], device: str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device).float()


def between(inputs: Inputs, share: float, noise: torch.Generator) -> tuple[Tensor, Tensor]:
    """What is noised: for `share` of the clips something between clean and degraded, as sampling meets it on its way;
    (B, F, c, h, w), and (B,) how far from the clean, 0 for the others."""
    count, device = len(inputs.clean), inputs.clean.device
    chosen = torch.rand(count, generator=noise, device=device) < share
    far = torch.rand(count, generator=noise, device=device).sqrt() * chosen
    return torch.lerp(inputs.clean, inputs.degraded, far[:, None, None, None, None]), far


def timesteps(schedule: Schedule, far: Tensor, strength: float, noise: torch.Generator) -> Tensor:
    """(B,) evenly drawn; for clips that start from their texture, no later than sampling does."""
    total = len(schedule.alphas)
    most = torch.where(far > 0, float(max(1, round(strength * total))), float(total))
    drawn = torch.rand(len(far), generator=noise, device=far.device) * most
    return drawn.long().clamp(max=total - 1)


def spread(schedule: Schedule, t: Tensor, like: Tensor) -> Tensor:
    """Deviation of the noise at t (B,), shaped to multiply `like`."""
    levels = (1 - schedule.alphas.to(like.device)[t]).sqrt()
    return levels.reshape(*t.shape, *([1] * (like.ndim - t.ndim)))


def gaussian(like: Tensor, noise: torch.Generator, shared: bool = False) -> Tensor:
    """Of the shape of `like`, (B, F, ...); `shared`: the same for all frames of a clip, as a stream has it."""
    shape = (len(like), 1, *like.shape[2:]) if shared else like.shape
    return torch.randn(shape, generator=noise, device=like.device).expand(like.shape)
