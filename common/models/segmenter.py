"""A small segmenter of pictures: colours in, a score for each class at every quarter sample out.

Residual blocks with two dilations side by side see far at a low resolution (as RegSeg, Gao 2021, does), and two finer
maps are added on the way back up. No state: each picture by itself.

Shapes: B batch, H x W samples (multiples of 16), N classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SITE = 4  # samples of a side of what one score stands for


@dataclass(frozen=True, slots=True)
class SegmenterConfig:
    """Sizes of the network; saved in the weights' manifest."""

    classes: int = 11
    inputs: int = 3  # planes of the picture
    stem: int = 24
    widths: tuple[int, int, int] = (32, 96, 192)  # at 1/4, 1/8, 1/16
    dilations: tuple[tuple[int, int], ...] = ((1, 1), (1, 2), (1, 4), (1, 4), (1, 8), (1, 8), (1, 14))
    group: int = 16  # channels of a group of the 3x3 convolutions


def unit(
    channels: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Convolution and normalisation."""
    pad = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(channels, out, kernel, stride, pad, dilation, groups, bias=False), nn.BatchNorm2d(out)
    )


class Dilated(nn.Module):
    """Residual block: 1x1, grouped 3x3 of which halves have dilations of their own, channel attention, 1x1."""

    def __init__(self, channels: int, out: int, stride: int, dilations: tuple[int, int], group: int) -> None:
        super().__init__()
        half = out // 2
        self.enter = unit(channels, out)
        self.halves = nn.ModuleList(
            unit(half, half, 3, stride, half // group, dilation) for dilation in dilations
        )
        self.squeeze = nn.Conv2d(out, out // 4, 1)
        self.excite = nn.Conv2d(out // 4, out, 1)
        self.leave = unit(out, out)
        self.short = (
            nn.Identity()
            if stride == 1 and channels == out
            else nn.Sequential(nn.AvgPool2d(stride) if stride > 1 else nn.Identity(), unit(channels, out))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, out, h / stride, w / stride)."""
        y = F.relu(self.enter(x))
        left, right = y.chunk(2, 1)
        y = F.relu(torch.cat((self.halves[0](left), self.halves[1](right)), 1))
        weight = torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3), keepdim=True)))))
        return F.relu(self.leave(y * weight) + self.short(x))


class Segmenter(nn.Module):
    """Pictures -> scores."""

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        c = config
        fine, mid, low = c.widths
        self.stem = unit(c.inputs, c.stem, 3, 2)
        self.fine = Dilated(c.stem, fine, 2, (1, 1), c.group)
        self.mid = nn.Sequential(
            Dilated(fine, mid, 2, (1, 1), c.group),
            Dilated(mid, mid, 1, (1, 1), c.group),
            Dilated(mid, mid, 1, (1, 2), c.group),
        )
        blocks = [Dilated(mid, low, 2, (1, 1), c.group)]
        self.low = nn.Sequential(*blocks, *(Dilated(low, low, 1, pair, c.group) for pair in c.dilations))
        self.up_low, self.up_mid, self.up_fine = unit(low, 96), unit(mid, 96), unit(fine, 16)
        self.join_mid = unit(96, 48, 3)
        self.join_fine = unit(64, 48, 3)
        self.leave = nn.Conv2d(48, c.classes, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """(B, 3, H, W), red green blue, 0 to 1 (or as many planes as `inputs`) -> (B, N, H / 4, W / 4)."""
        x = F.relu(self.stem((picture - 0.45) / 0.25))
        fine = self.fine(x)
        mid = self.mid(fine)
        low = self.low(mid)
        y = F.relu(self.up_low(low))
        y = F.relu(self.up_mid(mid)) + F.interpolate(
            y, scale_factor=2.0, mode="bilinear", align_corners=False
        )
        y = F.relu(self.join_mid(y))
        y = F.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
        y = F.relu(self.join_fine(torch.cat((F.relu(self.up_fine(fine)), y), 1)))
        scores: Tensor = self.leave(y)
        return scores
