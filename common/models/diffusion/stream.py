"""Streaming inference: one frame of every stream of a batch at a time, at a constant cost, with explicit state.

Keys and values of the temporal attention live in rings of W slots, one set a denoising step, so that no pass is needed
to fill them. The noise of a stream is drawn once from its seed and used for every frame: what does not change in the
inputs does not flicker. Where the map is missing its influence fades out and the past shows through; where the texture
is missing the last frame's latent takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from common.models.diffusion.config import ConfigError
from common.models.diffusion.graphs import Graphs, TorchGraphs, Use, cache_shapes, write_slot
from common.models.diffusion.model import DiffusionModel
from common.models.diffusion.refine import held_back

ALL = Use()


@dataclass(frozen=True, slots=True)
class StreamInputs:
    """One frame of B streams.

    texture (B, 3, H, W) in [-1, 1], None where no stream has one; control (B, K, H, W) in [0, 1] or None; trusts
    (B, 1, h', w') of any size, None is 1 everywhere; reset (B,) bool: forget the stream's past; weights of the
    adapters: a number or (B,), None is the configuration's; qp, a number or (B,): how coarse the texture is, as H.265
    counts it, None is as coarse as can be: the finer, the less of it the Refiner changes.
    """

    texture: Tensor | None = None
    control: Tensor | None = None
    texture_trust: Tensor | None = None
    control_trust: Tensor | None = None
    reset: Tensor | None = None
    lambda_c: float | Tensor | None = None
    lambda_r: float | Tensor | None = None
    lambda_t: float | Tensor | None = None
    qp: float | Tensor | None = None


@dataclass(slots=True)
class StreamState:
    """All that a batch of streams remembers; fixed shapes. `step` writes into it and returns it."""

    caches: list[list[Tensor]]  # [step][temporal attention]: (B, W, 2, N, C)
    valid: Tensor  # (S, B, W) bool: slots that hold a frame
    slot: Tensor  # (B,) int64: the oldest slot, next to be written
    latent: Tensor  # (B, c, h, w): of the last picture
    seen: Tensor  # (B,) bool: there was one
    noise: Tensor  # (S, B, c, h, w)

    def bytes(self) -> int:
        """Memory held."""
        rings = [cache for step in self.caches for cache in step]
        return sum(t.nbytes for t in (*rings, self.valid, self.slot, self.latent, self.seen, self.noise))

    def clear(self) -> None:
        """As it was made, in the same tensors: recordings of CUDA graphs belong to them."""
        rings = [cache for step in self.caches for cache in step]
        for tensor in (*rings, self.valid, self.slot, self.latent, self.seen):
            tensor.zero_()  # what is in a slot that holds no frame must still be a number


class Streamer:
    """Runs streams of one picture size. Not for several threads at once; a state belongs to one batch."""

    def __init__(
        self,
        model: DiffusionModel,
        height: int,
        width: int,
        steps: int | None = None,
        strength: float | None = None,
        graphs: Graphs | None = None,
    ) -> None:
        """steps: what a frame gets unless asked otherwise, and the most; divisors of it can be asked of any frame.
        strength: how far towards noise the first latent is, in (0, 1], 1 ignoring the degraded frame there; None: as
        the weights say. Raises ConfigError (a ValueError) for sizes, steps and strengths that do not fit.
        """
        config = model.config
        config.check_size(height, width)
        strength = config.strength if strength is None else strength
        self.model, self.config = model, config
        self.graphs: Graphs = graphs or TorchGraphs(model)
        self.size = (height // config.downscale, width // config.downscale)
        self.usual = config.steps if steps is None else steps
        self.steps = max(1, self.usual)
        weight = next(model.unet.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self.plans = {
            count: tuple(t.to(self.device) for t in (plan.timesteps, plan.coefficients, plan.start))
            for count in range(1, self.steps + 1)
            if self.steps % count == 0
            for plan in [model.schedule.plan(count, strength)]
        }
        self.shapes = cache_shapes(model, height, width)

    def init_state(self, batch: int, seeds: Sequence[int] | None = None) -> StreamState:
        """Empty memory of `batch` streams; a stream's pictures depend on its seed, not on its place."""
        seeds = range(batch) if seeds is None else seeds
        if len(seeds) != batch:
            raise ValueError(f"{len(seeds)} seeds for {batch} streams")
        window, kind = self.config.window, {"device": self.device, "dtype": self.dtype}
        shape = (self.config.latent_channels, *self.size)
        noise = [
            torch.randn(self.steps, *shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds
        ]
        return StreamState(
            [
                [torch.zeros(batch, window, 2, n, c, **kind) for n, c in self.shapes]
                for _ in range(self.steps)
            ],
            torch.zeros(self.steps, batch, window, dtype=torch.bool, device=self.device),
            torch.zeros(batch, dtype=torch.int64, device=self.device),
            torch.zeros(batch, *shape, **kind),
            torch.zeros(batch, dtype=torch.bool, device=self.device),
            torch.stack(noise, 1).to(self.device, self.dtype),
        )

    @torch.no_grad()
    def step(
        self, inputs: StreamInputs, state: StreamState, steps: int | None = None, use: Use = ALL
    ) -> tuple[Tensor, StreamState]:
        """The next picture of every stream, (B, 3, H, W) in [-1, 1], and the state (the same object).

        steps: a divisor of the most, chosen anew for every frame, or 0: the Refiner alone over the texture, and the
        past is forgotten; use: adapters that are left out altogether (one whose input is None is left out by itself).
        """
        steps = self.usual if steps is None else steps
        if steps == 0 and self.model.refiner is not None and inputs.texture is not None:
            return self._refine_texture(inputs, state, use), state
        if steps not in self.plans:
            raise ConfigError(f"{steps} steps: this streamer can do {', '.join(map(str, self.plans))}")
        batch = len(state.slot)
        use = Use(
            use.control and inputs.control is not None,
            use.restoration and inputs.texture is not None,
            use.temporal,
        )
        if inputs.reset is not None:
            keep = ~inputs.reset.to(self.device)
            state.valid &= keep[None, :, None]
            state.seen &= keep
        trust = self._trusts(inputs, batch)
        base, known = self._base(inputs.texture, trust[:, 1:], state)
        x = self._denoise(inputs, state, steps, use, trust, base, known)
        state.latent.copy_(x)
        state.seen.fill_(True)
        picture = self.graphs.decode(x)
        if self.model.refiner is not None:
            picture = self._refine(picture, inputs, trust, use)
        return picture, state

    def _refine_texture(self, inputs: StreamInputs, state: StreamState, use: Use) -> Tensor:
        assert inputs.texture is not None
        state.valid.fill_(False)
        state.seen.fill_(False)
        texture = inputs.texture.to(self.device, self.dtype)
        return self._refine(texture, inputs, self._trusts(inputs, len(state.slot)), use)

    def _refine(self, made: Tensor, inputs: StreamInputs, trust: Tensor, use: Use) -> Tensor:
        """The picture that is shown; what an adapter must not see is not trusted here either."""
        given = inputs.control if use.control else None, inputs.texture if use.restoration else None
        there = trust.new_tensor([one is not None for one in given])
        seen = there * (self._lambdas(inputs, len(made))[:, :2] > 0)
        control, texture = (
            made.new_zeros(len(made), count, *made.shape[2:])
            if one is None
            else one.to(self.device, self.dtype)
            for one, count in zip(given, (self.config.control_channels, 3), strict=True)
        )
        trust = trust * seen[:, :, None, None]
        refined = self.graphs.refine(made, texture, control, trust)
        if inputs.qp is None:
            return refined
        qp = torch.as_tensor(inputs.qp, dtype=self.dtype, device=self.device).expand(len(made))
        return held_back(refined, made, texture, trust[:, 1:], qp)

    def _denoise(
        self, inputs: StreamInputs, state: StreamState, steps: int, use: Use,
        trust: Tensor, base: Tensor, known: Tensor,
    ) -> Tensor:  # fmt: skip
        """The clean latents, and the rings advanced by one slot."""
        batch = len(state.slot)
        timesteps, coefficients, start = self.plans[steps]
        # Where nothing is known the start is noise alone.
        x = known * (start[0] * base + start[1] * state.noise[0]) + (1 - known) * state.noise[0]
        x = x.to(self.dtype)
        embedded = None
        if use.control:
            assert inputs.control is not None
            embedded = self.graphs.embed(inputs.control.to(self.device, self.dtype), trust[:, :1])
        lambdas = self._lambdas(inputs, batch)
        graph = self.graphs.step(use)
        valid = state.valid.clone()
        rows = torch.arange(batch, device=self.device)
        state.valid[:, rows, state.slot] = False  # steps left out leave a hole in their rings
        queries: list[Tensor] = []
        for index in range(steps):
            ring = index * (self.steps // steps)
            time = timesteps[index].expand(batch)
            if use.restoration and (index == 0 or self.config.degraded_timestep == "same"):
                queries = self._queries(base, time, state.noise[0])
            after = state.noise[(ring + self.steps // steps) % self.steps]
            x, fresh = graph(
                x, after, time, coefficients[index].expand(batch, -1), lambdas, trust,
                state.slot, valid[ring], embedded, queries, state.caches[ring],
            )  # fmt: skip
            if use.temporal:
                if fresh:
                    write_slot(state.caches[ring], fresh, state.slot)
                state.valid[ring, rows, state.slot] = True
        state.slot.add_(1).remainder_(self.config.window)
        return x

    def _base(self, texture: Tensor | None, trust: Tensor, state: StreamState) -> tuple[Tensor, Tensor]:
        """The degraded latent, the last frame's where it is not trusted; and how much is known, (B, 1, h, w)."""
        seen = state.seen[:, None, None, None]
        # What is from before a reset must not count even where it is not a number.
        last = torch.where(seen, state.latent, 0.0)
        known = seen.to(self.dtype)
        if texture is None:
            return last, known.expand_as(trust)
        latent = self.graphs.encode(texture.to(self.device, self.dtype))
        return trust * latent + (1 - trust) * last, torch.maximum(trust, known)

    def _queries(self, base: Tensor, time: Tensor, noise: Tensor) -> list[Tensor]:
        if self.config.degraded_timestep == "zero":
            return self.graphs.degraded(base, torch.zeros_like(time))
        return self.graphs.degraded(self.model.schedule.add_noise(base, noise, time), time)

    def _trusts(self, inputs: StreamInputs, batch: int) -> Tensor:
        """Of the map and of the texture, (B, 2, h, w)."""
        return torch.cat([self._trust(t, batch) for t in (inputs.control_trust, inputs.texture_trust)], 1)

    def _trust(self, trust: Tensor | None, batch: int) -> Tensor:
        """A trust map at the latent's size, (B, 1, h, w)."""
        if trust is None:
            return torch.ones(batch, 1, *self.size, device=self.device, dtype=self.dtype)
        trust = trust.to(self.device, self.dtype)
        shrinks = trust.shape[2] > self.size[0]
        return F.interpolate(trust, self.size, mode="area" if shrinks else "nearest")

    def _lambdas(self, inputs: StreamInputs, batch: int) -> Tensor:
        given = (inputs.lambda_c, inputs.lambda_r, inputs.lambda_t)
        default = (self.config.lambda_control, self.config.lambda_restoration, self.config.lambda_temporal)
        columns = [
            torch.as_tensor(d if g is None else g, dtype=self.dtype, device=self.device).expand(batch)
            for g, d in zip(given, default, strict=True)
        ]
        return torch.stack(columns, 1)
