"""The graphs of a stream with named inputs and outputs of fixed shapes: what is exported, built and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.models.diffusion.graphs import TorchGraphs, Use, cache_shapes
from common.models.diffusion.model import DiffusionModel

FRAME_GRAPHS = ("encode", "decode", "refine", "embed", "degraded")
STEP_INPUTS = (  # then query_NN, cache_NN
    *("x", "noise", "timestep", "coefficients", "lambdas", "trust", "slot", "valid", "embedded"),
)


@dataclass(frozen=True, slots=True)
class Spec:
    """One graph. `inputs`: examples by name, in the order of the module's arguments, lists flattened."""

    name: str  # encode, decode, refine, embed, degraded, step-crt (the adapters in use)
    module: nn.Module
    arguments: tuple[object, ...]  # as the module takes them
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]

    def shapes(self) -> dict[str, str]:
        """`1x4x8x8 float16` by name of input."""
        return {
            name: f"{'x'.join(map(str, t.shape))} {str(t.dtype).removeprefix('torch.')}"
            for name, t in self.inputs.items()
        }


def step_name(use: Use) -> str:
    """Of the step with these adapters."""
    letters = zip("crt", (use.control, use.restoration, use.temporal), strict=True)
    return "step-" + ("".join(letter for letter, on in letters if on) or "0")


def use_of(name: str) -> Use:
    """The inverse of `step_name`."""
    letters = name.partition("-")[2]
    return Use("c" in letters, "r" in letters, "t" in letters)


def numbered(kind: str, count: int) -> list[str]:
    """query_00, query_01, ..."""
    return [f"{kind}_{index:02d}" for index in range(count)]


def flat(arguments: Sequence[object]) -> Iterator[Tensor]:
    """Tensors of arguments or results, lists flattened, None left out."""
    for argument in arguments:
        if isinstance(argument, Tensor):
            yield argument
        elif argument is not None:
            yield from argument  # type: ignore[misc]


def results(result: object) -> Iterator[Tensor]:
    """The tensors that a graph returned, in the order of `Spec.outputs`."""
    return flat(result if isinstance(result, tuple) else (result,))


class Specs:
    """Specs of one model, picture size and batch, made when asked for. Examples are random, and alike for one seed."""

    def __init__(self, model: DiffusionModel, height: int, width: int, batch: int = 1) -> None:
        model.config.check_size(height, width)
        self.model, self.batch = model, batch
        self.height, self.width = height, width
        weight = next(model.unet.parameters())
        self._device, self._dtype = weight.device, weight.dtype
        self._graphs = TorchGraphs(model)
        self._generator = torch.Generator().manual_seed(1)

    def of(self, name: str) -> Spec:
        """The spec of a graph by its name."""
        config, batch = self.model.config, self.batch
        h, w = self.height // config.downscale, self.width // config.downscale
        latent = self._normal(batch, config.latent_channels, h, w)
        picture = self._normal(batch, 3, self.height, self.width).clamp(-1, 1)
        time = torch.zeros(batch, dtype=torch.int64, device=self._device)
        if name == "encode":
            return Spec(name, self._graphs.encode, (picture,), {"picture": picture}, ("latent",))
        if name == "decode":
            return Spec(name, self._graphs.decode, (latent,), {"latent": latent}, ("picture",))
        if name == "degraded":
            count = len(self.model.restoration.layers)
            inputs = {"latent": latent, "timestep": time}
            return Spec(name, self._graphs.degraded, (latent, time), inputs, tuple(numbered("query", count)))
        trust = self._uniform(batch, 2, h, w)
        control = self._uniform(batch, config.control_channels, self.height, self.width)
        if name == "refine":
            inputs = {"made": picture, "texture": picture.flip(3), "control": control, "trust": trust}
            return Spec(name, self._graphs.refine, tuple(inputs.values()), inputs, ("picture",))
        if name == "embed":
            inputs = {"control": control, "trust": trust[:, :1].contiguous()}
            return Spec(name, self._graphs.embed, tuple(inputs.values()), inputs, ("embedded",))
        return self._step(name, latent, trust, time)

    @torch.no_grad()
    def _step(self, name: str, latent: Tensor, trust: Tensor, time: Tensor) -> Spec:
        use, batch, window = use_of(name), self.batch, self.model.config.window
        embedded, queries, caches = None, [], []
        if use.control:
            embedded = self._normal(*self._graphs.embed(*self.of("embed").arguments).shape)
        if use.restoration:
            queries = [self._normal(*q.shape) for q in self._graphs.degraded(latent, time)]
        if use.temporal:
            shapes = cache_shapes(self.model, self.height, self.width)
            caches = [self._normal(batch, window, 2, n, c) for n, c in shapes]
        valid = torch.ones(batch, window, dtype=torch.bool, device=self._device)
        valid[:, -1] = False
        arguments = (
            latent, self._normal(*latent.shape), time + 499, self._uniform(batch, 3).float(), self._uniform(batch, 3),
            trust, time + 1, valid, embedded, queries, caches,
        )  # fmt: skip
        names = list(STEP_INPUTS if use.control else STEP_INPUTS[:-1])
        names += numbered("query", len(queries)) + numbered("cache", len(caches))
        inputs = dict(zip(names, flat(arguments), strict=True))
        return Spec(
            name, self._graphs.step(use), arguments, inputs, ("next", *numbered("fresh", len(caches)))
        )

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator).to(self._device, self._dtype)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._generator).to(self._device, self._dtype)


@torch.no_grad()
def expected(spec: Spec) -> dict[str, Tensor]:
    """What torch gives for the examples, by name of output."""
    return dict(zip(spec.outputs, results(spec.module(*spec.arguments)), strict=True))
