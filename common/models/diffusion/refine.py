"""The Refiner: what is shown, of the picture that the decoder made, the texture and the map.

A latent cannot hold what the texture holds: an autoencoder that shrinks each side by 8 loses detail that was received.
As StableSR's controllable feature wrapping does (Wang et al., "Exploiting Diffusion Prior for Real-World Image
Super-Resolution", section 3.3), features of the degraded picture join those of the decoded one behind the decoder; here
as a residual over the texture, with the outlines of the map beside, on a grid of a quarter of the size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL = 4  # samples of the picture on a side of the grid
OUTLINES = 2  # across and down
AROUND = 5  # cells on a side, over which what repeats is found
FINE_QP, COARSE_QP = 18.0, 36.0  # of textures that the Refiner hardly touches, and that it has for itself
LEAST_SHARE = 0.2


def zeroed(module: nn.Conv2d) -> nn.Conv2d:
    """With all weights 0."""
    for value in module.parameters():
        nn.init.zeros_(value)
    return module


class Residual(nn.Module):
    """Two convolutions beside the identity, which it is at the start."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = zeroed(nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same."""
        change: Tensor = self.second(F.silu(self.first(F.silu(x))))
        return x + change


class Refiner(nn.Module):
    """A small U-Net of two levels; at the start it shows the texture, where that is trusted, and `made` elsewhere."""

    def __init__(self, widths: tuple[int, ...], blocks: int, classes: int) -> None:
        """widths: channels at 1/4 and 1/8 of the size; blocks: of each stretch; classes of a map."""
        super().__init__()
        fine, coarse = widths
        pixels = CELL * CELL
        self.enter = nn.Conv2d((3 + 3 + OUTLINES) * pixels + classes + 2, fine, 3, padding=1)
        self.before = nn.Sequential(*(Residual(fine) for _ in range(blocks)))
        self.shrink = nn.Conv2d(fine, coarse, 3, stride=2, padding=1)
        self.within = nn.Sequential(*(Residual(coarse) for _ in range(blocks)))
        self.grow = nn.Conv2d(coarse, fine, 1)
        self.after = nn.Sequential(*(Residual(fine) for _ in range(blocks)))
        self.leave = zeroed(nn.Conv2d(fine, 3 * pixels, 3, padding=1))

    def forward(self, made: Tensor, texture: Tensor, control: Tensor, trust: Tensor) -> Tensor:
        """made, texture (B, 3, H, W) in [-1, 1]; control (B, K, H, W); trust (B, 2, h, w): of the map, of the texture.

        Returns the picture (B, 3, H, W), not clamped. What is not trusted is not seen."""
        size = [side // CELL for side in made.shape[2:]]
        known = F.interpolate(trust, size, mode="nearest")
        weight = F.interpolate(known[:, 1:], scale_factor=CELL, mode="nearest")
        base = made + weight * (texture - made)
        control = control * F.interpolate(known[:, :1], scale_factor=CELL, mode="nearest")
        x = self.enter(
            torch.cat(
                [
                    F.pixel_unshuffle(torch.cat([made, base, outlines(control)], 1), CELL),
                    F.avg_pool2d(control, CELL),
                    known,
                ],
                1,
            )
        )
        x = self.before(x)
        x = self.after(x + self.grow(F.interpolate(self.within(self.shrink(x)), size, mode="nearest")))
        return base + F.pixel_shuffle(_without_grid(self.leave(F.silu(x))), CELL)


def _without_grid(change: Tensor) -> Tensor:
    """Changes by cells, (B, 3 x CELL^2, h, w), less what repeats from cell to cell: HaarPSI takes such a grid for
    detail, and so a network learns to draw one."""
    batch, channels, height, width = change.shape
    around = F.avg_pool2d(change, AROUND, 1, AROUND // 2, count_include_pad=False)
    places = around.reshape(batch, 3, channels // 3, height, width)
    return change - (places - places.mean(2, keepdim=True)).reshape(batch, channels, height, width)


def share(qp: Tensor) -> Tensor:
    """How much of what the Refiner changes is shown of textures that are so coarse (H.265's quantiser parameter): what
    was received in fine steps is nearer to the source than a small network's idea of it."""
    return ((qp - FINE_QP) / (COARSE_QP - FINE_QP)).clamp(LEAST_SHARE, 1.0)


def held_back(refined: Tensor, made: Tensor, texture: Tensor, trust: Tensor, qp: Tensor) -> Tensor:
    """(B, 3, H, W): of what the Refiner changed that `share`, where the texture is trusted (B, 1, h, w); qp (B,)."""
    weight = F.interpolate(trust, made.shape[2:], mode="nearest")
    base = made + weight * (texture - made)
    return base + (1 - weight * (1 - share(qp)[:, None, None, None])) * (refined - base)


def outlines(control: Tensor) -> Tensor:
    """(B, K, H, W) one-hot -> (B, 2, H, W): 1 where a sample's class is not that of the one to its left, above it."""
    across = (control[..., 1:] - control[..., :-1]).abs().sum(1, keepdim=True) / 2
    down = (control[..., 1:, :] - control[..., :-1, :]).abs().sum(1, keepdim=True) / 2
    return torch.cat([F.pad(across, (1, 0)), F.pad(down, (0, 0, 1, 0))], 1)
