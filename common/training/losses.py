"""Distortion: squared error of the 4:2:0 planes mixed with multi-scale structural similarity of the luma."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SSIM_WEIGHT = (
    1500.0  # squared error (0..255) that weighs as much as a similarity lost wholly, at the rates we code
)


def squared_error(luma: Tensor, chroma: Tensor, luma_true: Tensor, chroma_true: Tensor) -> Tensor:
    """Mean squared error a sequence on the 0..255 scale, planes weighted 3:1:1. (B, T, ...) -> (B,).

    Between the 6:1:1 of luma-minded codec work and the near 1:1:1 that an error in RGB amounts to."""
    scale = 127.5**2
    y = (luma - luma_true).square().flatten(1).mean(1)
    c = (chroma - chroma_true).square().flatten(1).mean(1)
    return scale * (0.6 * y + 0.4 * c)


def dissimilarity(luma: Tensor, luma_true: Tensor, scales: int = 3) -> Tensor:
    """1 - SSIM averaged over scales, with 8x8 box windows (cheap stand-in for the Gaussian). (B, T, H, W) -> (B,)."""
    x, y = luma + 1.0, luma_true + 1.0
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    total = torch.zeros(x.shape[0])
    for scale in range(scales):
        if scale:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        mx, my = F.avg_pool2d(x, 8, 4), F.avg_pool2d(y, 8, 4)
        vx = (F.avg_pool2d(x * x, 8, 4) - mx * mx).clamp(min=0)
        vy = (F.avg_pool2d(y * y, 8, 4) - my * my).clamp(min=0)
        vxy = F.avg_pool2d(x * y, 8, 4) - mx * my
        s = (2 * mx * my + c1) / (mx * mx + my * my + c1) * (2 * vxy + c2) / (vx + vy + c2)
        total = total + (1.0 - s.flatten(1).mean(1)) / scales
    return total


def distortion(
    luma: Tensor, chroma: Tensor, luma_true: Tensor, chroma_true: Tensor, similarity: float
) -> Tensor:
    """Mixed distortion a sequence (B,); `similarity` in [0, 1] is the share of the structural term."""
    mse = squared_error(luma, chroma, luma_true, chroma_true)
    return (1.0 - similarity) * mse + similarity * SSIM_WEIGHT * dissimilarity(luma, luma_true)
