"""ONNX Runtime, the default backend: one thread a network, spinning off (a spinning thread starves a shared core)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort

from common.runtime.base import BackendError, Tensors


class OnnxNetwork:
    """A graph in an ONNX Runtime session."""

    def __init__(self, graph: Path, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own classes share no base but Exception
            raise BackendError(f"{graph}: ONNX Runtime cannot load it: {error}") from error
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Tensors) -> Tensors:
        """See Network.run."""
        values = self._session.run(self._outputs, inputs)
        return {name: np.asarray(value) for name, value in zip(self._outputs, values, strict=True)}
