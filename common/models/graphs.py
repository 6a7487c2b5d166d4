"""The networks as graphs: names of inputs and outputs, in order; shared by export and the torch backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from common.models.fusion import Fusion, FusionConfig


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """How one network appears as a graph; all tensors are float32."""

    build: Callable[[FusionConfig], nn.Module]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


GRAPHS = {
    "fusion": GraphSpec(
        Fusion,
        ("luma", "chroma", "spread", "facts", "last", "last_chroma", "before", "before_chroma"),
        ("shown", "shown_chroma"),
    )
}
