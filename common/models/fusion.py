"""The `resilient` codec's network: a draft of a unit's pictures and the two before -> the pictures that are shown.

The draft is the mean of whatever views arrived (common.codec.compose). The network takes out what the AV1 coder left in
them, sharpens what was coded small, and leans on the picture before where that knows more; where nothing arrived it
lets things move on. Its state are the last two pictures that it showed. As the recovery of MSTVSC (seed 004, section
II) it works on all pictures of a unit at once, told what arrived.

Shapes: B batch, T pictures of a unit, H x W luma samples (multiples of 16); values -1 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.models.blocks import stack

SITE = 4  # luma samples of a side of a site


@dataclass(frozen=True, slots=True)
class FusionConfig:
    """Sizes of the network; saved in the weights' manifest."""

    frames: int = 4
    facts: int = 5  # numbers that tell of the draft, common.codec.compose
    width: int = 96
    depth: int = 6
    kernel: int = 5


class Fusion(nn.Module):
    """Draft and last picture -> pictures. All at sites of 4x4 luma samples."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        c, square = config, SITE * SITE
        unit = c.frames * square * 3 // 2
        self.enter = nn.Conv2d(unit + square * 3 // 2 + square + square * 3 // 2, c.width, 1)
        self.told = nn.Sequential(
            nn.Linear(c.facts, c.width), nn.LeakyReLU(0.1), nn.Linear(c.width, 2 * c.width)
        )
        self.body = stack(c.depth, c.width, c.kernel)
        self.leave = nn.Conv2d(c.width, unit + c.frames, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.leave.bias[unit:] = -3.0  # type: ignore[index]

    def forward(
        self,
        luma: Tensor,
        chroma: Tensor,
        spread: Tensor,
        facts: Tensor,
        last: Tensor,
        last_chroma: Tensor,
        before: Tensor,
        before_chroma: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """luma (B, T, H, W), chroma (B, T, 2, H/2, W/2), spread (B, 1, H, W), facts (B, FACTS); the last picture
        and the one before it (B, 1, H, W) and (B, 2, H/2, W/2) -> luma and chroma, shaped as the draft's."""
        b, t, h, w = luma.shape
        flat = chroma.reshape(b, 2 * t, h // 2, w // 2)
        old = last_chroma.repeat(1, t, 1, 1)
        # what the last picture is told as: how it differs from the first, so that a still scene shows nothing new
        seen = (
            F.pixel_unshuffle(luma, SITE),
            F.pixel_unshuffle(flat, SITE // 2),
            F.pixel_unshuffle(last - luma[:, :1], SITE),
            F.pixel_unshuffle(last_chroma - flat[:, :2], SITE // 2),
            F.pixel_unshuffle(spread, SITE),
            F.pixel_unshuffle(last - before, SITE),
            F.pixel_unshuffle(last_chroma - before_chroma, SITE // 2),
        )
        scale, shift = self.told(facts)[:, :, None, None].chunk(2, 1)
        x = self.enter(torch.cat(seen, 1)) * (1 + scale) + shift
        out = self.leave(self.body(x))
        split = t * SITE * SITE
        error, error_chroma, lean = out.split((split, split // 2, t), 1)
        lean = torch.sigmoid(lean)
        fine = F.interpolate(lean, scale_factor=float(SITE), mode="nearest")
        half = F.interpolate(lean, scale_factor=float(SITE // 2), mode="nearest").repeat_interleave(2, 1)
        shown = luma + fine * (last - luma) + F.pixel_shuffle(error, SITE)
        colour = flat + half * (old - flat) + F.pixel_shuffle(error_chroma, SITE // 2)
        return shown, colour.reshape(b, t, 2, h // 2, w // 2)
