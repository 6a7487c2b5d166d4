"""The networks as graphs: names of inputs and outputs, in order; shared by export and the torch backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from common.models.resilient import Decoder, Encoder, Expansion, Recovery, ResilientConfig


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """How one network appears as a graph; all tensors are float32."""

    build: Callable[[ResilientConfig], nn.Module]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


GRAPHS = {
    "encoder": GraphSpec(Encoder, ("luma", "chroma", "quality"), ("latent", "base")),
    "expansion": GraphSpec(Expansion, ("base",), ("prior", "context")),
    "recovery": GraphSpec(
        Recovery,
        (
            *("latent", "step", "mask", "kept", "level"),
            *("prior", "context", "based", "reset", "last", "hidden"),
        ),
        ("filled", "hidden_out"),
    ),
    "decoder": GraphSpec(Decoder, ("latent", "hidden", "mask", "quality"), ("luma", "chroma")),
}
