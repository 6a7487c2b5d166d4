"""Building blocks of networks: a depthwise residual block."""

from __future__ import annotations

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


def stack(depth: int, channels: int, kernel: int = 3) -> nn.Sequential:
    """`depth` residual blocks in a row."""
    return nn.Sequential(*(Block(channels, kernel) for _ in range(depth)))
