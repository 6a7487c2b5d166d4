"""Restoration Adapter (eq. 7): features of the degraded frame as queries beside the backbone's self-attention.

z <- attention(Q, K, V) W^O + lambda_R attention(Q~, K', V') W'^O, with Q~ = z~ W^Q of the frozen backbone's own pass
over the degraded latent, K' = z W'^K, V' = z W'^V. It hangs on diffusers' attention processors: blocks stay unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from torch import Tensor, nn


class Side(Protocol):
    """What a pass of the backbone does beside each self-attention."""

    def __call__(self, layer: int, attention: Any, z: Tensor, query: Tensor) -> Tensor | None:
        """Get the layer's normed input (B, N, C) and query; return what to add to its output, or None."""


def heads_of(x: Tensor, heads: int) -> Tensor:
    """(B, N, C) to (B, heads, N, C / heads)."""
    return x.reshape(*x.shape[:-1], heads, -1).transpose(1, 2)


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Scaled dot-product attention of (B, N, C) by heads."""
    q, k, v = (heads_of(x, heads) for x in (query, key, value))
    out: Tensor = F.scaled_dot_product_attention(q, k, v)
    return out.transpose(1, 2).flatten(2)


class SelfAttention:
    """diffusers attention processor of a self-attention; with no `side` it computes what diffusers' own does."""

    def __init__(self, layer: int) -> None:
        self.layer = layer

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        side: Side | None = None,
    ) -> Tensor:
        """Attention, its projection, and what `side` adds."""
        query = attn.to_q(hidden_states)
        out = attention(query, attn.to_k(hidden_states), attn.to_v(hidden_states), attn.heads)
        projected: Tensor = attn.to_out[0](out)
        extra = side(self.layer, attn, hidden_states, query) if side is not None else None
        return projected if extra is None else projected + extra


class CrossAttention:
    """diffusers attention processor of a cross-attention: takes `side` and leaves it alone."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        side: Side | None = None,
    ) -> Tensor:
        """Attention to the context and its projection."""
        key, value = attn.to_k(encoder_hidden_states), attn.to_v(encoder_hidden_states)
        projected: Tensor = attn.to_out[0](attention(attn.to_q(hidden_states), key, value, attn.heads))
        return projected


def self_attentions(unet: UNet2DConditionModel) -> Iterator[Any]:
    """The self-attention layers in the order in which a pass meets them."""
    for block in (*unet.down_blocks, unet.mid_block, *unet.up_blocks):
        for transformer in getattr(block, "attentions", None) or ():
            for layer in transformer.transformer_blocks:
                yield layer.attn1


def install(unet: UNet2DConditionModel) -> None:
    """Set the processors; weights and results of the backbone alone do not change."""
    layers = {id(layer): index for index, layer in enumerate(self_attentions(unet))}
    for module in unet.modules():
        if hasattr(module, "set_processor") and hasattr(module, "to_q"):
            index = layers.get(id(module))
            module.set_processor(CrossAttention() if index is None else SelfAttention(index))


class RestorationLayer(nn.Module):
    """W'K, W'V and W'O of one self-attention; W'O is zero at birth, so that the adapter starts as nothing."""

    def __init__(self, channels: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_k = nn.Linear(channels, inner, bias=False)
        self.to_v = nn.Linear(channels, inner, bias=False)
        self.to_out = nn.Linear(inner, channels)
        nn.init.zeros_(self.to_out.weight)
        nn.init.zeros_(self.to_out.bias)

    def forward(self, query: Tensor, z: Tensor) -> Tensor:
        """query: Q~ (B, N, inner); z (B, N, C). Returns (B, N, C)."""
        out: Tensor = self.to_out(attention(query, self.to_k(z), self.to_v(z), self.heads))
        return out


class RestorationAdapter(nn.Module):
    """The trained parameters omega for every self-attention of a backbone."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        made = [
            RestorationLayer(layer.to_k.in_features, layer.to_k.out_features, layer.heads)
            for layer in self_attentions(unet)
        ]
        self.layers = nn.ModuleList(made)  # names of the weights
        self.typed = tuple(made)

    @torch.no_grad()
    def init_from(self, unet: UNet2DConditionModel) -> None:
        """Start W'K and W'V at the backbone's W^K and W^V; W'O stays as it is."""
        for mine, theirs in zip(self.typed, self_attentions(unet), strict=True):
            mine.to_k.weight.copy_(theirs.to_k.weight)
            mine.to_v.weight.copy_(theirs.to_v.weight)


class Recorder:
    """Side of the pass over the degraded latent: keeps the queries Q~ of every layer."""

    def __init__(self) -> None:
        self.queries: list[Tensor] = []

    def __call__(self, layer: int, attention: Any, z: Tensor, query: Tensor) -> None:
        self.queries.append(query)


class Restorer:
    """Side of a denoising pass: adds the second term of eq. 7, weighted at each place by lambda_R and trust."""

    def __init__(
        self, adapter: RestorationAdapter, queries: Sequence[Tensor], gains: Mapping[int, Tensor]
    ) -> None:
        self.adapter, self.queries, self.gains = adapter, queries, gains

    def __call__(self, layer: int, attention: Any, z: Tensor, query: Tensor) -> Tensor:
        added: Tensor = self.adapter.typed[layer](self.queries[layer], z)
        return added * self.gains[int(z.shape[1])]
