"""HaarPSI: how alike two pictures look, 0..1, from their Haar wavelet responses. Differentiable, any batch shape.

Written from R. Reisenhofer, S. Bosse, G. Kutyniok, T. Wiegand: "A Haar wavelet-based perceptual similarity index for
image quality assessment", Signal Processing: Image Communication 61, 2018; borders and odd sides as in the authors'
published program. Pictures are halved first (the distance that a viewer keeps). The responses of the two finer of three
scales are compared, those of the coarsest say how much a place counts:

    similarity s = mean over scales 1, 2 of (2 |a| |b| + C) / (|a|^2 + |b|^2 + C)     for each orientation
    weight     w = max(|a|, |b|) at scale 3
    HaarPSI      = (inverse logistic of (sum of w logistic(s) / sum of w))^2     logistic(x) = 1 / (1 + e^(-ALPHA x))

In colour, the means of I and Q over 2x2 pixels are compared like responses and make a third map beside the two
orientations, weighted by the mean of their weights.

The same sums are done here on what is lost, 1 - s, so that single precision keeps its digits near 1: equal pictures
give exactly 1, with a gradient of exactly 0.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

C = 30.0  # keeps responses that nobody sees from counting; for samples in 0..255
ALPHA = 4.2  # steepness of the logistic function
SCALES = 3
YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))  # NTSC, rows Y, I, Q

LEAST_WEIGHT = 1e-6  # where two pictures are black throughout, their plain mean counts, not 0 / 0
ODDS = math.exp(-ALPHA)  # (1 - logistic(1)) / logistic(1)


def haarpsi(first: Tensor, second: Tensor) -> Tensor:
    """Of grey pictures in 0..255: two tensors (..., H, W) of one shape -> (...). Raises ValueError on others."""
    return _pooled(*_grey_maps(_halved(_pair(first, second, 2))))


def haarpsi_colour(first: Tensor, second: Tensor) -> Tensor:
    """Of RGB pictures in 0..255: two tensors (..., 3, H, W) of one shape -> (...). Raises ValueError on others."""
    pair = _halved(_pair(first, second, 3))
    if pair.shape[-3] != 3:
        raise ValueError(f"pictures are (..., 3, H, W), not {tuple(first.shape)}")
    red, green, blue = pair.unbind(-3)
    luma, *chroma = (r * red + g * green + b * blue for r, g, b in YIQ)
    lost, weight = _grey_maps(luma)
    tint = _mean_2x2(torch.stack(chroma, -3)).abs()
    tint_lost = _loss(tint[0], tint[1]).mean(-3, keepdim=True)
    tint_weight = weight.mean(-3, keepdim=True)
    return _pooled(torch.cat((lost, tint_lost), -3), torch.cat((weight, tint_weight), -3))


def _pair(first: Tensor, second: Tensor, least: int) -> Tensor:
    """Both pictures in one tensor (2, ...), in single precision at least."""
    if first.shape != second.shape or first.ndim < least or 0 in first.shape:
        raise ValueError(f"two batches of pictures, not {tuple(first.shape)} and {tuple(second.shape)}")
    return torch.stack((first, second)).to(torch.promote_types(first.dtype, torch.float32))


def _halved(planes: Tensor) -> Tensor:
    """Means of 2x2 blocks; an odd side goes on with zeros."""
    planes = F.pad(planes, (0, planes.shape[-1] % 2, 0, planes.shape[-2] % 2))
    rows = planes[..., ::2, :] + planes[..., 1::2, :]
    return 0.25 * (rows[..., ::2] + rows[..., 1::2])


def _mean_2x2(planes: Tensor) -> Tensor:
    """Mean of each sample and its neighbours to the right and below, zeros beyond the border. (..., H, W) as given."""
    padded = F.pad(planes, (0, 1, 0, 1))
    rows = padded[..., :-1, :] + padded[..., 1:, :]
    return 0.25 * (rows[..., :-1] + rows[..., 1:])


def _grey_maps(pair: Tensor) -> tuple[Tensor, Tensor]:
    """(2, ..., H, W) -> similarity lost and weight, each (..., 2, H, W): one map an orientation."""
    fine, middle, coarse = _responses(pair)
    lost = 0.5 * (_loss(fine[0], fine[1]) + _loss(middle[0], middle[1]))
    return lost, torch.maximum(coarse[0], coarse[1])


def _responses(planes: Tensor) -> list[Tensor]:
    """Magnitudes of the Haar responses at every position, finest scale first: (..., H, W) -> SCALES x (..., 2, H, W).

    The filter of scale j is 2^-j over a square of 2^j samples, one half of it negative. Squares double their side from
    scale to scale, four to one, so each scale costs a few additions a sample. Zeros beyond the border.
    """
    height, width = planes.shape[-2:]
    reach = 2 ** (SCALES - 1)
    box = F.pad(planes, (reach - 1, reach, reach - 1, reach))
    responses = []
    for scale in range(1, SCALES + 1):
        half = 2 ** (scale - 1)
        left, right = box[..., :-half], box[..., half:]
        row, step = left + right, right - left
        above, below = row[..., :-half, :], row[..., half:, :]
        maps = torch.stack((below - above, step[..., :-half, :] + step[..., half:, :]), -3)
        start = reach - half
        maps = maps[..., start : start + height, start : start + width]
        responses.append(2.0**-scale * maps.abs())
        box = above + below
    return responses


def _loss(first: Tensor, second: Tensor) -> Tensor:
    """1 - similarity of two magnitudes, 0..1."""
    return (first - second).square() / (first.square() + second.square() + C)


def _pooled(lost: Tensor, weight: Tensor) -> Tensor:
    """(..., maps, H, W) -> (...): through the logistic function, averaged by weight, and back."""
    weight = weight.clamp_min(LEAST_WEIGHT)
    # With p = ODDS (e^(ALPHA lost) - 1):  logistic(1) - logistic(1 - lost) = p / (1 + ODDS + p) / (1 + ODDS)
    growth = ODDS * torch.expm1(ALPHA * lost)
    short = growth / (1.0 + ODDS + growth)
    places = (-3, -2, -1)
    mean = (weight * short).sum(places) / weight.sum(places)
    return (1.0 + (torch.log1p(-mean) - torch.log1p(mean / ODDS)) / ALPHA).square()
