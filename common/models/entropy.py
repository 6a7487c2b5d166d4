"""Differentiable rate of the quantised latent: the mirror of common.codec.context for training.

Each element is coded with a Laplace-like table chosen by (channel, context, quality). Shipped tables are counted from
the training set afterwards (common.training.tables); these scales only steer the training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from common.codec.context import CONTEXTS, group_sizes


def element_contexts(elements: Tensor) -> Tensor:
    """Integer-valued elements (B, C, h, w) -> contexts (B, C, h, w) int64; same as common.codec.context.contexts."""
    magnitude = elements.detach().abs().long()
    sizes = group_sizes(elements.shape[1])
    bounds = torch.tensor([1, 2, 4, 8, 16, 32, 64])
    out, done = [torch.zeros_like(magnitude[:, : sizes[0]])], sizes[0]
    for size in sizes[1:]:
        mean16 = 16 * magnitude[:, :done].sum(1, keepdim=True) // done
        out.append(torch.bucketize(mean16.clamp(max=64), bounds, right=True).expand(-1, size, -1, -1))
        done += size
    return torch.cat(out, dim=1)


class RateModel(nn.Module):
    """Bits of the latent's elements under logistic tables with learned scales."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        start = torch.linspace(-2.0, 1.5, CONTEXTS).repeat(channels, 1)
        self.log_scale = nn.Parameter(start)
        self.slope = nn.Parameter(torch.zeros(channels, CONTEXTS))
        self.channels = channels

    def forward(self, noisy: Tensor, rounded: Tensor, quality: Tensor) -> Tensor:
        """noisy, rounded (B, C, h, w) in quantiser steps, quality (B, 1, h, w) -> bits (B, C, h, w)."""
        index = element_contexts(rounded) + CONTEXTS * torch.arange(self.channels)[None, :, None, None]
        t = 2.0 * quality - 1.0
        return _logistic_bits(noisy, self.log_scale.view(-1)[index] + t * self.slope.view(-1)[index])


class BaseRateModel(nn.Module):
    """Bits of the base's elements: one scale a channel, moving with the quality."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.slope = nn.Parameter(torch.zeros(channels))

    def forward(self, noisy: Tensor, quality: Tensor) -> Tensor:
        """noisy (B, base, h, w) in quantiser steps, quality (B,) -> bits (B, base, h, w)."""
        t = (2.0 * quality - 1.0)[:, None]
        return _logistic_bits(noisy, (self.log_scale + t * self.slope)[:, :, None, None])


def _logistic_bits(noisy: Tensor, log_scale: Tensor) -> Tensor:
    """Symmetric logistic: P = F((-x+.5)/s) - F((-x-.5)/s), computed in the tail where it is exact."""
    scale = torch.exp(log_scale.clamp(-2.3, 6.0))
    x = noisy.abs()
    p = torch.sigmoid((0.5 - x) / scale) - torch.sigmoid((-0.5 - x) / scale)
    return -torch.log2(p + 1e-7)
