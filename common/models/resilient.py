"""The `resilient` codec's networks: encoder, recovery and decoder of access units of several frames.

A unit of T frames becomes one latent of C channels at 1/16 resolution (one *position* = 16x16 pixels of T frames), as
the GOP features of MSTVSC (seed 004, sections II and IV) but convolutional and light. Units stand alone: no unit
needs another to be decoded, so a lost one never poisons later ones. What ties them is at the receiver only: the
recovery network carries a state over the units that did arrive and fills what did not.

Shapes: B batch, T frames a unit, H x W luma size (multiples of 16), h = H/16, w = W/16, C latent channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.models.blocks import RateScale, pack_planes, quality_basis, stack, unpack_planes


@dataclass(frozen=True, slots=True)
class ResilientConfig:
    """Sizes of the networks; saved in the weights' manifest."""

    frames: int = 4
    latent: int = 96
    width8: int = 96
    width16: int = 192
    width_recovery: int = 128
    hidden: int = 64
    encoder_depth: tuple[int, int] = (2, 4)  # at 1/8, at 1/16
    decoder_depth: tuple[int, int, int] = (4, 3, 1)  # at 1/16, 1/8, 1/4
    recovery_depth: int = 4
    width4: int = 64


class Encoder(nn.Module):
    """T pictures -> latent. Causal over units: it sees the frames of its own unit only."""

    def __init__(self, config: ResilientConfig) -> None:
        super().__init__()
        c = config
        self.enter = nn.Conv2d(96 * c.frames, c.width8, 1)
        self.fine = stack(c.encoder_depth[0], c.width8)
        self.down = nn.Conv2d(c.width8, c.width16, 2, stride=2)
        self.rate = RateScale(c.width16)
        self.coarse = stack(c.encoder_depth[1], c.width16, 5)
        self.leave = nn.Conv2d(c.width16, c.latent, 1)

    def forward(self, luma: Tensor, chroma: Tensor, quality: Tensor) -> Tensor:
        """luma (B, T, H, W), chroma (B, T, 2, H/2, W/2) in [-1, 1], quality (B,) in [0, 1] -> (B, C, h, w)."""
        x = self.fine(self.enter(pack_planes(luma, chroma)))
        x = self.coarse(self.rate(self.down(x), quality))
        out: Tensor = self.leave(x)
        return out


class RecoveryState:
    """Names and channel counts of the recovery state: the last filled latent and a hidden memory."""

    @staticmethod
    def init(config: ResilientConfig, batch: int, h: int, w: int) -> tuple[Tensor, Tensor]:
        """Zero state: (B, C, h, w) and (B, hidden, h, w)."""
        return torch.zeros(batch, config.latent, h, w), torch.zeros(batch, config.hidden, h, w)


class Recovery(nn.Module):
    """Mask-aware recovery: fills the missing elements, refines the received ones within their quantiser step.

    As the recovery module of MSTVSC (section IV.D: network output times the loss mask, added to what arrived), with a
    state over units instead of a 3D convolution, so that it works live and through whole lost units."""

    def __init__(self, config: ResilientConfig) -> None:
        super().__init__()
        c = config
        self.enter = nn.Conv2d(2 * c.latent + c.hidden + 2, c.width_recovery, 1)
        self.body = stack(c.recovery_depth, c.width_recovery, 5)
        self.guess = nn.Conv2d(c.width_recovery, c.latent, 1)
        self.refine = nn.Conv2d(c.width_recovery, c.latent, 1)
        self.memory = nn.Conv2d(c.width_recovery, 2 * c.hidden, 1)
        for head in (self.guess, self.refine):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def forward(
        self,
        latent: Tensor,
        mask: Tensor,
        step: Tensor,
        quality: Tensor,
        reset: Tensor,
        last: Tensor,
        hidden: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """latent (B, C, h, w), zero where missing; mask (B, 1, h, w), 1 where arrived; step (B, C) the quantiser
        step; quality (B,); reset (B,), 1 forgets the state; last (B, C, h, w) and hidden (B, hidden, h, w) the state
        -> (filled latent = next `last`, next `hidden`)."""
        keep = (1.0 - reset)[:, None, None, None]
        last, hidden = last * keep, hidden * keep
        plane = quality[:, None, None, None].expand_as(mask)
        x = self.body(self.enter(torch.cat((latent, mask, plane, last, hidden), dim=1)))
        update, candidate = self.memory(x).chunk(2, dim=1)
        gate = torch.sigmoid(update)
        hidden = (1.0 - gate) * hidden + gate * torch.tanh(candidate)
        refined = latent + 0.5 * step[:, :, None, None] * torch.tanh(self.refine(x))
        guessed = last + self.guess(x)
        return mask * refined + (1.0 - mask) * guessed, hidden


class Decoder(nn.Module):
    """Filled latent -> T pictures, heavy work at 1/16 and 1/8 resolution."""

    def __init__(self, config: ResilientConfig) -> None:
        super().__init__()
        c = config
        self.frames = c.frames
        self.enter = nn.Conv2d(c.latent + 1, c.width16, 1)
        self.rate = RateScale(c.width16)
        self.coarse = stack(c.decoder_depth[0], c.width16, 5)
        self.up8 = nn.Conv2d(c.width16, 4 * c.width8, 1)
        self.fine = stack(c.decoder_depth[1], c.width8)
        self.up4 = nn.Conv2d(c.width8, 4 * c.width4, 1)
        self.finest = stack(c.decoder_depth[2], c.width4)
        self.leave = nn.Conv2d(c.width4, 24 * c.frames, 1)

    def forward(self, latent: Tensor, mask: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """latent (B, C, h, w), mask (B, 1, h, w), quality (B,) -> luma (B, T, H, W), chroma (B, T, 2, H/2, W/2)."""
        x = self.coarse(self.rate(self.enter(torch.cat((latent, mask), dim=1)), quality))
        x = self.fine(F.pixel_shuffle(self.up8(x), 2))
        x = self.finest(F.pixel_shuffle(self.up4(x), 2))
        return unpack_planes(self.leave(x), self.frames, 4)


class Quantiser(nn.Module):
    """Per-channel quantiser step as a function of the quality: step = exp(a + b t + c t^2), t in [-1, 1]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_step = nn.Parameter(torch.zeros(3, channels))
        with torch.no_grad():
            self.log_step[0].fill_(-1.2)
            self.log_step[1].fill_(-1.3)

    def forward(self, quality: Tensor) -> Tensor:
        """quality (B,) -> step (B, C)."""
        return torch.exp(quality_basis(quality) @ self.log_step)
