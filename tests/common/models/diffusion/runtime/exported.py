"""ONNX of the toy's graphs, each exported once."""

from __future__ import annotations

from functools import cache

import torch

from common.models.diffusion.runtime.build import build
from common.models.diffusion.runtime.specs import FRAME_GRAPHS, Specs
from tests.common.models.diffusion.toy import SIZE, toy_model

GRAPHS = (*FRAME_GRAPHS, "step-crt")  # those of a stream with all adapters


@cache
def onnx_of(graph: str, dtype: torch.dtype = torch.float32) -> bytes:
    """A graph in a precision, traced on the CPU as the building process does it."""
    return build(Specs(toy_model().to(dtype), SIZE, SIZE).of(graph), "onnx")
