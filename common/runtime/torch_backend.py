"""PyTorch, for training machines and GPUs: runs the networks from the safetensors beside the graphs."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from common.models.fusion import FusionConfig
from common.models.graphs import GRAPHS
from common.runtime.base import BackendError, Tensors


class TorchNetwork:
    """The network that `graph` was exported from, on the GPU where there is one."""

    def __init__(self, graph: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        try:
            manifest = json.loads((graph.parent / "manifest.json").read_text())
            weights = load_file(graph.parent / "weights.safetensors")
        except OSError as error:
            raise BackendError(
                f"{graph.parent}: torch needs the weights beside the graph: {error}"
            ) from error
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._spec = GRAPHS[graph.stem]
        self._network = self._spec.build(FusionConfig(**manifest["config"]))
        prefix = f"{graph.stem}."
        own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        self._network.load_state_dict(own)
        self._network.eval().to(self._device)

    @torch.inference_mode()
    def run(self, inputs: Tensors) -> Tensors:
        """See Network.run."""
        values = [torch.from_numpy(inputs[name]).to(self._device) for name in self._spec.inputs]
        results = self._network(*values)
        outputs = results if isinstance(results, tuple) else (results,)
        return {name: value.cpu().numpy() for name, value in zip(self._spec.outputs, outputs, strict=True)}
