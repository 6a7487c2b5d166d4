"""ONNX of the graphs, caches as named inputs and their new slots as named outputs.

The tracing exporter: it takes a tenth of the time of torch.export's, and of graphs of fixed shapes without branches it
misses nothing.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from common.models.diffusion.runtime.specs import Spec, results

OPSET = 18


class Flat(nn.Module):
    """A module whose results are one tuple: the tracer takes no empty list."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *arguments: object) -> tuple[Tensor, ...]:
        """The module's results in order."""
        return tuple(results(self.module(*arguments)))


@torch.no_grad()
def export(spec: Spec, path: Path) -> None:
    """Write a graph to `path`; weights beyond ONNX's 2 GB go into files beside it, so give each its own folder.

    An input that the graph does not need is not in the file. Raises RuntimeError for a model that cannot be traced.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of constants, which is what sizes are meant to be, and of the tracer's age
        torch.onnx.export(
            Flat(spec.module).eval(),
            spec.arguments,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(spec.inputs),
            output_names=list(spec.outputs),
        )
