"""What is lost of a picture: plain difference, gradients at several scales, and HaarPSI."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from common.training.haarpsi import haarpsi_colour

SCALES = 3


def gradient_loss(found: Tensor, true: Tensor) -> Tensor:
    """Mean absolute difference of horizontal and vertical steps at SCALES halvings. (B, 3, H, W) -> scalar."""
    difference = found - true
    total = difference.new_zeros(())
    for scale in range(SCALES):
        if scale:
            difference = F.avg_pool2d(difference, 2)
        across = difference[..., 1:] - difference[..., :-1]
        down = difference[..., 1:, :] - difference[..., :-1, :]
        total = total + (across.abs().mean() + down.abs().mean()) / (2 * SCALES)
    return total


def dissimilarity(found: Tensor, true: Tensor) -> Tensor:
    """1 - HaarPSI of pictures in [-1, 1], (B, 3, H, W) -> scalar."""
    return 1.0 - haarpsi_colour((found.clamp(-1, 1) + 1) * 127.5, (true + 1) * 127.5).mean()


def psnr(found: Tensor, true: Tensor) -> Tensor:
    """Of pictures in [-1, 1], (B, ...) -> (B,), dB."""
    error = (found.clamp(-1, 1) - true).square().flatten(1).mean(1)
    return 10 * torch.log10(4.0 / error.clamp(min=1e-8))
