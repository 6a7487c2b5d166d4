"""OpenVINO, the faster CPU backend (extra [openvino])."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov

from common.runtime.base import BackendError, Tensors


class OpenVinoNetwork:
    """A graph compiled by OpenVINO for the CPU; recompiled when the shapes change (once a session)."""

    def __init__(self, graph: Path, threads: int) -> None:
        self._core = ov.Core()
        self._options = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            self._model = self._core.read_model(str(graph))
        except RuntimeError as error:
            raise BackendError(f"{graph}: OpenVINO cannot load it: {error}") from error
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._request: ov.InferRequest | None = None

    def run(self, inputs: Tensors) -> Tensors:
        """See Network.run."""
        shapes = {name: value.shape for name, value in inputs.items()}
        if self._request is None or shapes != self._shapes:
            self._model.reshape({name: list(shape) for name, shape in shapes.items()})
            compiled = self._core.compile_model(self._model, "CPU", self._options)
            self._request, self._shapes = compiled.create_infer_request(), shapes
        results = self._request.infer(inputs)
        return {port.any_name: np.array(value) for port, value in results.items()}
