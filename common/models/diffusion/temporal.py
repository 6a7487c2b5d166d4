"""Temporal Adapter (eq. 8): attention along time after every layer of the backbone, in AnimateDiff's layout.

Four ways to attend share one set of weights:

- full: every frame sees every frame (the teacher and the critic; AnimateDiff exactly, joint normalisation included);
- block: the mask of eq. 9 literally, over absolute positions;
- window: a frame sees itself and the W before it, positions counted back from itself;
- cached: the same for one new frame, keys and values of the W before it from ring buffers.

Eq. 9 read literally lets a frame see later ones of its own block, which would cost a live stream up to W - 1 frames of
delay, and all blocks before; the text around it (and section IV-B5's k - W : k) is the window. Streams use the window;
`window` and `cached` give the same numbers. Outside `full` each frame is normalised by itself: anything else would let
the future in.

The positional encoding enters before the projections to keys and values. Projections are linear, so that caches hold
what a frame is without where it is, and the slot's age adds the position when it is read: slots never move.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from diffusers import MotionAdapter
from torch import Tensor, nn

from common.models.diffusion.restoration import heads_of


def block_mask(frames: int, window: int) -> Tensor:
    """Eq. 9: True where frame i (row) may see frame j: floor((j-1)/W) <= floor((i-1)/W), counted from 1. (F, F)."""
    block = torch.arange(frames) // window
    return block[None, :] <= block[:, None]


def window_mask(frames: int, window: int) -> Tensor:
    """True where frame i (row) may see frame j: itself and the W before it. (F, F)."""
    age = torch.arange(frames)[:, None] - torch.arange(frames)[None, :]
    return (age >= 0) & (age <= window)


class Attend(Protocol):
    """One temporal attention: features (B, F, N, C) in and out."""

    joint_norm: bool

    def __call__(self, attn: Any, y: Tensor, table: Tensor) -> Tensor:
        """attn: diffusers Attention; y: normed features without positions; table: (positions, C)."""


class Joint:
    """All frames of a clip at once over absolute positions, under a mask or none."""

    def __init__(self, mask: Tensor | None) -> None:
        self.mask = mask
        self.joint_norm = mask is None

    def __call__(self, attn: Any, y: Tensor, table: Tensor) -> Tensor:
        """Attention between all frames at each place."""
        batch, frames, places, _ = y.shape
        y = (y + table[:frames, None]).transpose(1, 2).flatten(0, 1)  # (B*N, F, C)
        q, k, v = (heads_of(project(y), attn.heads) for project in (attn.to_q, attn.to_k, attn.to_v))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)
        result: Tensor = attn.to_out[0](out.transpose(1, 2).flatten(2))
        return result.reshape(batch, places, frames, -1).transpose(1, 2)


def _few_keys(query: Tensor, key: Tensor, value: Tensor, heads: int, valid: Tensor) -> Tensor:
    """Attention of one query a place to a handful of keys: (B, F, N, C), (B, F, S, N, C) twice, valid (B|1, F, S)."""
    q, k, v = (part.reshape(*part.shape[:-1], heads, -1) for part in (query, key, value))
    scores = (q[:, :, None] * k).sum(-1).float() * q.shape[-1] ** -0.5  # (B, F, S, N, heads)
    scores = scores.masked_fill(~valid[..., None, None], -1e9)
    weights = scores.softmax(2).to(v.dtype)
    out: Tensor = (weights[..., None] * v).sum(2)
    return out.flatten(3)


class Windowed:
    """All frames of a clip at once, each with itself and the W before it."""

    joint_norm = False

    def __init__(self, frames: int, window: int) -> None:
        self.window = window
        index = torch.arange(frames)[:, None] + torch.arange(-window, 1)[None, :]  # (F, W + 1), oldest first
        self.valid = index >= 0
        self.index = index.clamp(min=0)

    def __call__(self, attn: Any, y: Tensor, table: Tensor) -> Tensor:
        """Attention within the windows."""
        table = table[: self.window + 1]
        index, valid = self.index.to(y.device), self.valid.to(y.device)
        query = attn.to_q(y + table[-1])
        key = attn.to_k(y)[:, index] + F.linear(table, attn.to_k.weight)[:, None]
        value = attn.to_v(y)[:, index] + F.linear(table, attn.to_v.weight)[:, None]
        out: Tensor = attn.to_out[0](_few_keys(query, key, value, attn.heads, valid[None]))
        return out


class Cached:
    """One new frame of each stream; what it adds to the caches is left in `fresh`.

    caches: one (B, W, 2, N, C) an attention layer, keys and values without positions; slot (B,) int64: where the new
    frame will be written, so that slot w is (slot - w) mod W frames old, 0 meaning W; valid (B, W) bool.
    """

    joint_norm = False

    def __init__(self, caches: Sequence[Tensor], slot: Tensor, valid: Tensor) -> None:
        window = valid.shape[1]
        places = torch.arange(window, device=slot.device)
        self.position = torch.remainder(
            places[None] - slot[:, None], window
        )  # of each slot in the table, (B, W)
        self.valid, self.window = valid, window
        self.caches = iter(caches)
        self.fresh: list[Tensor] = []

    def __call__(self, attn: Any, y: Tensor, table: Tensor) -> Tensor:
        """Attention of the new frame, (B, 1, N, C), to the valid slots and itself."""
        table = table[: self.window + 1]
        query = attn.to_q(y + table[-1])
        fresh = torch.stack((attn.to_k(y[:, 0]), attn.to_v(y[:, 0])), 1)  # (B, 2, N, C)
        self.fresh.append(fresh)
        places = torch.stack([F.linear(table, p.weight) for p in (attn.to_k, attn.to_v)], 1)  # (W + 1, 2, C)
        # What was never written or is from before a reset must not count even where it is not a number.
        past = torch.where(self.valid[:, :, None, None, None], next(self.caches), 0.0)
        past = past + places[self.position][:, :, :, None]
        both = torch.cat((past, (fresh + places[-1][:, None])[:, None]), 1)[:, None]  # (B, 1, W + 1, 2, N, C)
        valid = torch.cat((self.valid, torch.ones_like(self.valid[:, :1])), 1)
        out: Tensor = attn.to_out[0](
            _few_keys(query, both[:, :, :, 0], both[:, :, :, 1], attn.heads, valid[:, None])
        )
        return out


class TemporalAdapter(nn.Module):
    """The trained parameters phi: diffusers' MotionAdapter, whose files load into `motion`. Starts as nothing."""

    def __init__(self, motion: Mapping[str, Any] | MotionAdapter) -> None:
        super().__init__()
        if isinstance(motion, MotionAdapter):
            self.motion = motion
            return
        self.motion = MotionAdapter(**motion)
        for module in self.modules_in_order():
            nn.init.zeros_(module.proj_out.weight)
            nn.init.zeros_(module.proj_out.bias)

    def modules_in_order(self) -> Iterator[Any]:
        """The motion modules in the order in which a pass meets them."""
        mid = [self.motion.mid_block] if self.motion.mid_block is not None else []
        for block in (*self.motion.down_blocks, *mid, *self.motion.up_blocks):
            yield from block.motion_modules


class TemporalPass:
    """The motion modules of one pass, in order; called after each layer of the backbone."""

    def __init__(self, adapter: TemporalAdapter, attend: Attend, frames: int, weight: Tensor) -> None:
        """weight: lambda_T, (B*F, 1, 1, 1)."""
        self.modules = adapter.modules_in_order()
        self.has_mid = adapter.motion.mid_block is not None
        self.attend, self.frames, self.weight = attend, frames, weight

    def __call__(self, hidden: Tensor) -> Tensor:
        """hidden: (B*F, C, h, w)."""
        added = motion(next(self.modules), hidden, self.attend, self.frames)
        return hidden + self.weight * added


def motion(module: Any, hidden: Tensor, attend: Attend, frames: int) -> Tensor:
    """What an AnimateDiff motion module adds to (B*F, C, h, w)."""
    _, channels, height, width = hidden.shape
    x = hidden.reshape(-1, frames, channels, height * width)  # (B, F, C, N)
    if attend.joint_norm:
        x = module.norm(x.transpose(1, 2)).permute(0, 2, 3, 1)
    else:
        x = module.norm(x.flatten(0, 1)).reshape(x.shape).transpose(2, 3)
    x = module.proj_in(x)  # (B, F, N, C)
    for block in module.transformer_blocks:
        table = block.pos_embed.pe[0].to(x.dtype)
        x = x + attend(block.attn1, block.norm1(x), table)
        x = x + attend(block.attn2, block.norm2(x), table)
        x = x + block.ff(block.norm3(x))
    out: Tensor = module.proj_out(x)
    return out.transpose(2, 3).reshape(hidden.shape)
