"""Distortion: PSNR of the 4:2:0 planes, and multi-scale structural similarity of the luma."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_ERROR = 0.5  # squared, of 255: better than this is not paid for


def squared_error(luma: Tensor, chroma: Tensor, luma_true: Tensor, chroma_true: Tensor) -> Tensor:
    """Mean squared error on the 0..255 scale, planes weighted as an error in RGB is. (B, T, ...) in -1..1 -> (B,)."""
    y = (luma - luma_true).square().flatten(1).mean(1)
    c = (chroma - chroma_true).square().flatten(1).mean(1)
    return 127.5**2 * (0.4 * y + 0.6 * c)


def decibels(error: Tensor) -> Tensor:
    """PSNR of a mean squared error on the 0..255 scale."""
    return 10 * torch.log10(255.0**2 / (error + LEAST_ERROR))


def dissimilarity(luma: Tensor, luma_true: Tensor, scales: int = 3) -> Tensor:
    """1 - SSIM averaged over scales, with 8x8 box windows (cheap stand-in for the Gaussian). (B, T, H, W) -> (B,)."""
    x, y = luma + 1.0, luma_true + 1.0
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    total = torch.zeros(x.shape[0], device=x.device)
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
