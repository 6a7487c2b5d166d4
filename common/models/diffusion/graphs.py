"""The networks of a stream as modules with tensors in and out: what runtimes export and run.

Fixed shapes, no branch that depends on data. The caches go in whole; of each, the new slot's contents come out, and the
caller writes them into its ring with one indexed copy (`write_slot`): a third of the traffic of returning the rings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from common.models.diffusion.model import DiffusionModel
from common.models.diffusion.temporal import Cached, TemporalPass


@dataclass(frozen=True, slots=True)
class Use:
    """Adapters that take part; one left out costs nothing. A weight of 0 gives the same picture at full cost."""

    control: bool = True
    restoration: bool = True
    temporal: bool = True


class Encode(nn.Module):
    """picture (B, 3, H, W) in [-1, 1] -> latent (B, c, h, w)."""

    def __init__(self, model: DiffusionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, picture: Tensor) -> Tensor:
        """Encode a picture."""
        return self.model.encode(picture)


class Decode(nn.Module):
    """latent (B, c, h, w) -> picture (B, 3, H, W), clamped to [-1, 1]."""

    def __init__(self, model: DiffusionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, latent: Tensor) -> Tensor:
        """Decode a latent."""
        return self.model.decode(latent).clamp(-1, 1)


class Refine(nn.Module):
    """made, texture (B, 3, H, W), map (B, K, H, W), trust (B, 2, h, w) -> the picture that is shown, in [-1, 1]."""

    def __init__(self, model: DiffusionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, made: Tensor, texture: Tensor, control: Tensor, trust: Tensor) -> Tensor:
        """Refine a picture; of a model without a Refiner it is what was made."""
        if self.model.refiner is None:
            return made
        shown: Tensor = self.model.refiner(made, texture, control, trust)
        return shown.clamp(-1, 1)


class EmbedControl(nn.Module):
    """map (B, K, H, W), trust (B, 1, h, w) -> embedding (B, C, h, w); once a frame, whatever the steps."""

    def __init__(self, model: DiffusionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, control: Tensor, trust: Tensor) -> Tensor:
        """Embed a map."""
        return self.model.embed(control, trust)


class DegradedPass(nn.Module):
    """degraded latent (B, c, h, w), timestep (B,) -> queries of every self-attention, (B, N, C) each."""

    def __init__(self, model: DiffusionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, latent: Tensor, timestep: Tensor) -> list[Tensor]:
        """Run the backbone over the degraded latent."""
        return self.model.degraded_queries(latent, timestep)


class UNetStep(nn.Module):
    """One denoising step of one frame of each stream.

    x, noise (B, c, h, w); timestep (B,) int64; coefficients (B, 3): next = k0 x + k1 output + k2 noise;
    lambdas (B, 3): control, restoration, temporal; trust (B, 2, h, w): of the map, of the texture; slot (B,) int64 and
    valid (B, W) bool of the rings; embedded (B, C, h, w); queries and caches as lists (`cache_shapes`).
    Returns the next x and the new slot's contents, (B, 2, N, C) each. An adapter not in `use` needs no input.
    """

    def __init__(self, model: DiffusionModel, use: Use | None = None) -> None:
        super().__init__()
        self.model = model
        self.use = use or Use()

    def forward(
        self,
        x: Tensor,
        noise: Tensor,
        timestep: Tensor,
        coefficients: Tensor,
        lambdas: Tensor,
        trust: Tensor,
        slot: Tensor,
        valid: Tensor,
        embedded: Tensor | None,
        queries: Sequence[Tensor],
        caches: Sequence[Tensor],
    ) -> tuple[Tensor, list[Tensor]]:
        """Advance x by one step."""
        weights = lambdas[:, :, None, None]
        temporal, fresh = None, []
        if self.use.temporal:
            cached = Cached(caches, slot, valid)
            temporal, fresh = TemporalPass(self.model.temporal, cached, 1, weights[:, 2:]), cached.fresh
        output = self.model.predict(
            x,
            timestep,
            embedded if self.use.control else None,
            weights[:, :1] * trust[:, :1],
            queries if self.use.restoration else None,
            weights[:, 1:2] * trust[:, 1:],
            temporal,
        )
        k = coefficients.to(x.dtype)[:, :, None, None, None]
        return k[:, 0] * x + k[:, 1] * output + k[:, 2] * noise, fresh


def cache_shapes(model: DiffusionModel, height: int, width: int) -> list[tuple[int, int]]:
    """(N, C) of each temporal attention's cache for pictures of this size, in order; each is (B, W, 2, N, C)."""
    config, motion = model.config, model.temporal.motion
    places = [
        (height // config.downscale >> level) * (width // config.downscale >> level)
        for level in range(config.levels)
    ]
    blocks = list(zip(motion.down_blocks, places, strict=True))
    blocks += [(motion.mid_block, places[-1])] if motion.mid_block is not None else []
    blocks += list(zip(motion.up_blocks, reversed(places), strict=True))
    return [
        (tokens, attention.to_k.out_features)
        for block, tokens in blocks
        for module in block.motion_modules
        for layer in module.transformer_blocks
        for attention in (layer.attn1, layer.attn2)
    ]


def write_slot(caches: Sequence[Tensor], fresh: Sequence[Tensor], slot: Tensor) -> None:
    """Put the new slot's contents into the rings, in place. slot: (B,) int64 on the caches' device."""
    rows = torch.arange(len(slot), device=slot.device)
    for cache, new in zip(caches, fresh, strict=True):
        cache[rows, slot] = new


class StepGraph(Protocol):
    """What runs one denoising step; arguments and results of UNetStep.forward.

    One that writes the new slot into the caches itself returns no contents of it.
    """

    def __call__(
        self, x: Tensor, noise: Tensor, timestep: Tensor, coefficients: Tensor, lambdas: Tensor, trust: Tensor,
        slot: Tensor, valid: Tensor, embedded: Tensor | None, queries: Sequence[Tensor], caches: Sequence[Tensor],
    ) -> tuple[Tensor, list[Tensor]]: ...  # fmt: skip


class Graphs(Protocol):
    """A runtime's networks; torch's are TorchGraphs."""

    def encode(self, picture: Tensor) -> Tensor: ...
    def decode(self, latent: Tensor) -> Tensor: ...
    def refine(self, made: Tensor, texture: Tensor, control: Tensor, trust: Tensor) -> Tensor: ...
    def embed(self, control: Tensor, trust: Tensor) -> Tensor: ...
    def degraded(self, latent: Tensor, timestep: Tensor) -> list[Tensor]: ...
    def step(self, use: Use) -> StepGraph: ...


class TorchGraphs:
    """The networks run by torch as they are: the reference."""

    def __init__(self, model: DiffusionModel) -> None:
        self.model = model
        self.encode, self.decode = Encode(model), Decode(model)
        self.refine = Refine(model)
        self.embed, self.degraded = EmbedControl(model), DegradedPass(model)
        self.steps: dict[Use, UNetStep] = {}

    def step(self, use: Use) -> UNetStep:
        """The step with these adapters; all share their weights."""
        return self.steps.setdefault(use, UNetStep(self.model, use))
