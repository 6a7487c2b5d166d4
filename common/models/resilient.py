"""The `resilient` codec's networks: encoder, expansion, recovery and decoder of access units of several frames.

A unit of T frames becomes two latents. The *base* is coarse, at 1/32 resolution, and travels in every packet of the
unit. The *latent* has C channels at 1/16 resolution (one *position* = 16x16 pixels of T frames); each packet carries
some of its positions, as the GOP features of MSTVSC (seed 004, sections II and IV). What the base tells of the latent,
the *prior*, is subtracted before coding and is what stands in for positions that are lost.

No unit needs another to be parsed, and without reports from the receiver none is coded against another. What ties them
is the recovery network's state over the units: the encoder may leave out positions that have not changed and code each
of the others as finely as it pays, for the state keeps what came before.

Shapes: B batch, T frames a unit, H x W luma size (multiples of 32), h = H/16, w = W/16, C latent channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.models.blocks import Block, RateScale, pack_planes, quality_basis, stack, unpack_planes


@dataclass(frozen=True, slots=True)
class ResilientConfig:
    """Sizes of the networks; saved in the weights' manifest."""

    frames: int = 4
    latent: int = 192
    base: int = 24
    context: int = 32
    width8: int = 96
    width16: int = 192
    width32: int = 96
    width_recovery: int = 128
    hidden: int = 64
    encoder_depth: tuple[int, int] = (2, 4)  # at 1/8, at 1/16
    decoder_depth: tuple[int, int, int] = (4, 3, 1)  # at 1/16, 1/8, 1/4
    recovery_depth: int = 4
    width4: int = 64


class Encoder(nn.Module):
    """T pictures -> latent and base. Sees the frames of its own unit only."""

    def __init__(self, config: ResilientConfig) -> None:
        super().__init__()
        c = config
        self.enter = nn.Conv2d(96 * c.frames, c.width8, 1)
        self.fine = stack(c.encoder_depth[0], c.width8)
        self.down = nn.Conv2d(c.width8, c.width16, 2, stride=2)
        self.rate = RateScale(c.width16)
        self.coarse = stack(c.encoder_depth[1], c.width16, 5)
        self.leave = nn.Conv2d(c.width16, c.latent, 1)
        self.base = nn.Sequential(
            nn.Conv2d(c.width16, c.width32, 2, stride=2), Block(c.width32), nn.Conv2d(c.width32, c.base, 1)
        )

    def forward(self, luma: Tensor, chroma: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """luma (B, T, H, W), chroma (B, T, 2, H/2, W/2) in [-1, 1], quality (B,) in [0, 1]
        -> latent (B, C, h, w), base (B, base, h/2, w/2)."""
        x = self.fine(self.enter(pack_planes(luma, chroma)))
        x = self.coarse(self.rate(self.down(x), quality))
        return self.leave(x), self.base(x)


class Expansion(nn.Module):
    """What the base tells of each position; both ends run it."""

    def __init__(self, config: ResilientConfig) -> None:
        super().__init__()
        c = config
        self.enter = nn.Conv2d(c.base, 4 * c.width32, 1)
        self.body = stack(1, c.width32, 5)
        self.prior = nn.Conv2d(c.width32, c.latent, 1)
        self.context = nn.Conv2d(c.width32, c.context, 1)

    def forward(self, base: Tensor) -> tuple[Tensor, Tensor]:
        """base (B, base, h/2, w/2) -> prior (B, C, h, w), context (B, context, h, w)."""
        x = self.body(F.pixel_shuffle(self.enter(base), 2))
        return self.prior(x), self.context(x)


def zero_state(config: ResilientConfig, batch: int, h: int, w: int) -> tuple[Tensor, Tensor]:
    """The recovery state before anything arrived: last filled latent (B, C, h, w), memory (B, hidden, h, w)."""
    return torch.zeros(batch, config.latent, h, w), torch.zeros(batch, config.hidden, h, w)


HOLD = 4.0  # logit of how firmly an untrained recovery keeps what was left out


class Recovery(nn.Module):
    """Mask-aware recovery with a state: fills what is missing or was left out, sharpens what arrived.

    As the recovery module of MSTVSC (section IV.D: network output times the loss mask, added to what arrived), with a
    state over units instead of a 3D convolution, so that it works live and through whole lost units. An element that
    arrived tells an interval of one quantiser step; the value of the state that is nearest inside that interval is the
    better guess where nothing moved (side information at the decoder, as in Wyner-Ziv coding)."""

    def __init__(self, config: ResilientConfig) -> None:
        super().__init__()
        c = config
        self.enter = nn.Conv2d(2 * c.latent + c.hidden + c.context + 4, c.width_recovery, 1)
        self.body = stack(c.recovery_depth, c.width_recovery, 5)
        self.guess = nn.Conv2d(c.width_recovery, 2 * c.latent, 1)
        self.refine = nn.Conv2d(c.width_recovery, 2 * c.latent, 1)
        self.memory = nn.Conv2d(c.width_recovery, 2 * c.hidden, 1)
        self.hold = nn.Conv2d(c.width_recovery, 1, 1)
        nn.init.zeros_(self.hold.weight)
        nn.init.constant_(self.hold.bias, HOLD)  # type: ignore[arg-type]
        for head, lean in ((self.guess, -1.0), (self.refine, 0.0)):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]
            nn.init.constant_(head.bias[c.latent :], lean)  # type: ignore[index]

    def forward(
        self,
        latent: Tensor,
        step: Tensor,
        mask: Tensor,
        kept: Tensor,
        level: Tensor,
        prior: Tensor,
        context: Tensor,
        based: Tensor,
        reset: Tensor,
        last: Tensor,
        hidden: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """What arrived of a unit and the state -> (filled latent = next `last`, next `hidden`).

        latent (B, C, h, w), zero where missing; step (B, C, h, w) its quantiser steps, zero where missing; mask
        (B, 1, h, w), 1 where elements arrived; kept (B, 1, h, w), 1 where it arrived that nothing was sent; level
        (B, 1, h, w) the quality in [0, 1] of the elements; prior and context of the base, zero without one; based
        (B,), 1 if the base arrived; reset (B,), 1 forgets the state; last (B, C, h, w), hidden (B, hidden, h, w)."""
        keep = (1.0 - reset)[:, None, None, None]
        last, hidden = last * keep, hidden * keep
        has_base = based[:, None, None, None].expand_as(mask)
        x = self.body(
            self.enter(torch.cat((latent, last, hidden, context, mask, kept, level, has_base), dim=1))
        )
        update, candidate = self.memory(x).chunk(2, dim=1)
        gate = torch.sigmoid(update)
        hidden = (1.0 - gate) * hidden + gate * torch.tanh(candidate)
        shift, trust = self.refine(x).chunk(2, dim=1)
        half = 0.5 * step
        inside = torch.minimum(torch.maximum(last, latent - half), latent + half)
        refined = latent + torch.sigmoid(trust) * (inside - latent) + half * torch.tanh(shift)
        change, lean = self.guess(x).chunk(2, dim=1)
        guessed = last + has_base * torch.sigmoid(lean) * (prior - last) + change
        # what was left out on purpose stands, unless the state itself looks wrong (its last change was lost, say)
        guessed = guessed + kept * torch.sigmoid(self.hold(x)) * (last - guessed)
        return mask * refined + (1.0 - mask) * guessed, hidden


class Decoder(nn.Module):
    """Filled latent -> T pictures, heavy work at 1/16 and 1/8 resolution."""

    def __init__(self, config: ResilientConfig) -> None:
        super().__init__()
        c = config
        self.frames = c.frames
        self.enter = nn.Conv2d(c.latent + c.hidden + 1, c.width16, 1)
        self.rate = RateScale(c.width16)
        self.coarse = stack(c.decoder_depth[0], c.width16, 5)
        self.up8 = nn.Conv2d(c.width16, 4 * c.width8, 1)
        self.fine = stack(c.decoder_depth[1], c.width8)
        self.up4 = nn.Conv2d(c.width8, 4 * c.width4, 1)
        self.finest = stack(c.decoder_depth[2], c.width4)
        self.leave = nn.Conv2d(c.width4, 24 * c.frames, 1)

    def forward(self, latent: Tensor, hidden: Tensor, mask: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
        """latent (B, C, h, w), hidden (B, hidden, h, w), mask (B, 1, h, w), quality (B,)
        -> luma (B, T, H, W), chroma (B, T, 2, H/2, W/2)."""
        x = self.coarse(self.rate(self.enter(torch.cat((latent, hidden, mask), dim=1)), quality))
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
        """quality (...,) -> step (..., C)."""
        return torch.exp(quality_basis(quality) @ self.log_step)
