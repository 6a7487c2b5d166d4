"""Building blocks shared by the networks: a depthwise residual block, rate conditioning, plane packing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Residual block: depthwise k x k, expand by 2, leaky ReLU, project (4 C^2 + k^2 C multiplies a site)."""

    def __init__(self, channels: int, kernel: int = 3) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.project = nn.Conv2d(2 * channels, channels, 1)
        nn.init.zeros_(self.project.bias)  # type: ignore[arg-type]
        self.project.weight.data.mul_(
            0.25
        )  # starts close to the identity, so deep stacks train at high rates

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        out: Tensor = x + self.project(F.leaky_relu(self.expand(self.spatial(x)), 0.1))
        return out


class RateScale(nn.Module):
    """Per-channel scale as a quadratic function of the quality in [0, 1]: one model for many rates."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, channels))

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        """x (B, C, h, w), quality (B,) -> x scaled per channel."""
        return x * (1.0 + quality_basis(quality) @ self.weight)[:, :, None, None]


def quality_basis(quality: Tensor) -> Tensor:
    """Quality (...,) in [0, 1] -> 1, t, t^2 with t in [-1, 1], (..., 3)."""
    t = 2.0 * quality - 1.0
    return torch.stack((torch.ones_like(t), t, t * t), dim=-1)


def stack(depth: int, channels: int, kernel: int = 3) -> nn.Sequential:
    """`depth` residual blocks in a row."""
    return nn.Sequential(*(Block(channels, kernel) for _ in range(depth)))


def pack_planes(luma: Tensor, chroma: Tensor) -> Tensor:
    """4:2:0 planes to sites of 8x8 luma samples.

    luma (B, T, H, W), chroma (B, T, 2, H/2, W/2), both centred on 0 -> (B, T*96, H/8, W/8)."""
    b, t, h, w = luma.shape
    y = F.pixel_unshuffle(luma, 8)
    c = F.pixel_unshuffle(chroma.reshape(b, t * 2, h // 2, w // 2), 4)
    return torch.cat((y, c), dim=1)


def unpack_planes(sites: Tensor, frames: int, factor: int) -> tuple[Tensor, Tensor]:
    """Inverse of packing at `factor` luma samples a site: (B, T*(f^2 * 3/2), h, w) -> luma, chroma planes."""
    b, _, h, w = sites.shape
    split = frames * factor * factor
    luma = F.pixel_shuffle(sites[:, :split], factor)
    half = factor // 2
    chroma = F.pixel_shuffle(sites[:, split:], half)
    return luma, chroma.reshape(b, frames, 2, h * half, w * half)
