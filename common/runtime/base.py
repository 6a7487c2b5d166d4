"""The one interface of every backend, and how a backend is chosen."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Tensors = dict[str, NDArray[np.float32]]

BACKENDS = ("onnxruntime", "openvino", "torch")


class BackendError(RuntimeError):
    """A backend is unknown, not installed, or refuses a graph; the message names the fix."""


class Network(Protocol):
    """A loaded graph. State is explicit: it goes in and comes out by name. Called by one thread at a time."""

    def run(self, inputs: Tensors) -> Tensors:
        """Named float32 inputs -> named outputs; the outputs belong to the caller."""
        ...


@lru_cache(maxsize=16)
def load(graph: Path, backend: str = "auto", threads: int = 1) -> Network:
    """Load an ONNX graph. `auto` is ONNX Runtime. Raises BackendError.

    A graph that is loaded already is shared: networks keep no state, and a restarted sender needs no second copy."""
    if backend == "auto":
        backend = "onnxruntime"
    if backend not in BACKENDS:
        raise BackendError(f"backend: must be one of auto, {', '.join(BACKENDS)} (got {backend!r})")
    if find_spec(backend) is None:
        extra = {"torch": "gpu"}.get(backend, backend)
        raise BackendError(f"backend {backend}: not installed; try: pip install 'semcast[{extra}]'")
    if backend == "openvino":
        from common.runtime.openvino_backend import OpenVinoNetwork

        return OpenVinoNetwork(graph, threads)
    if backend == "torch":
        from common.runtime.torch_backend import TorchNetwork

        return TorchNetwork(graph, threads)
    from common.runtime.onnx_backend import OnnxNetwork

    return OnnxNetwork(graph, threads)
