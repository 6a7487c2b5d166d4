"""The one interface of what runs a decoder's graphs, and how a runtime is chosen.

| name | what | first frames |
|---|---|---|
| torch | the modules as they are: the reference, CPU and GPU | at once |
| cudagraphs | the same, recorded and replayed: no time is lost between kernels | slower once a graph |
| tensorrt | engines, built in the background; CUDA graphs serve until then and where one fails | at once |
| onnxruntime | the CPU: half the processor time of torch; built and replaced in the same way | at once |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch

from common.models.diffusion.graphs import Graphs, TorchGraphs
from common.models.diffusion.model import DiffusionModel
from common.runtime.base import BackendError

RUNTIMES = ("auto", "torch", "cudagraphs", "tensorrt", "onnxruntime")


class NoRoom(BackendError):
    """An engine is fine, but too large to be used beside what there is."""


def no_bound() -> None:
    """Every engine is admitted."""


@dataclass(slots=True)
class Figures:
    """For metrics and the status page. Written by the runtime's threads, read by any; each is one number."""

    runtime: str  # that was asked for
    below: Figures | None = None  # of the runtime that serves the graphs that this one has not
    captures: int = 0  # CUDA graphs recorded since the start
    engines: int = 0  # in use
    building: int = 0  # wanted and not there yet
    fallbacks: int = 0  # graphs that a slower runtime serves for good
    reasons: list[str] = field(default_factory=list)  # of the fallbacks, one each

    @property
    def serving(self) -> str:
        """The runtime that runs graphs now: the first that has any."""
        if self.below is None or self.captures or self.engines:
            return self.runtime
        return self.below.serving

    @property
    def graphs(self) -> dict[str, int]:
        """Of the runtime asked for: how many are built, still building, and failed."""
        built = self.captures + self.engines
        return {"built": built, "building": self.building, "failed": self.fallbacks}


class Runtime(Graphs, Protocol):
    """Runs the graphs of a Streamer: `Streamer(model, height, width, graphs=runtime)`. One thread calls at a time.

    Tensors it returns are valid until the same graph runs again; decoded pictures are the caller's.
    """

    figures: Figures

    def close(self) -> None:
        """End what runs in the background, and give memory back."""
        ...


class TorchRuntime(TorchGraphs):
    """Torch as it is."""

    def __init__(self, model: DiffusionModel) -> None:
        super().__init__(model)
        self.figures = Figures("torch")

    def close(self) -> None:
        """Nothing to end."""


def create_runtime(
    name: str,
    model: DiffusionModel,
    height: int,
    width: int,
    cache: Path | None = None,
    admit: Callable[[], None] = no_bound,
) -> Runtime:
    """A runtime for pictures of this size, any batch. Raises BackendError naming what is missing.

    auto: CUDA graphs on a GPU, ONNX Runtime on a CPU. cache: folder of engines, by default in the user's cache; where
    it cannot be used, what would serve until there are engines serves for good. admit: called by a thread of the
    runtime after each engine that it has loaded; raises NoRoom where that is not to be used.
    """
    if name not in RUNTIMES:
        raise BackendError(f"runtime: must be one of {', '.join(RUNTIMES)} (got {name!r})")
    on_gpu = next(model.parameters()).is_cuda
    if name == "auto":
        name = "cudagraphs" if on_gpu else "onnxruntime"
    if name == "torch":
        return TorchRuntime(model)
    from common.models.diffusion.runtime.engine_graphs import create_engines

    if name == "onnxruntime" and not on_gpu:
        return create_engines(name, model, height, width, TorchRuntime(model), cache, admit)
    if name == "onnxruntime" or not on_gpu:
        raise BackendError(
            f"runtime {name}: runs on {'a CPU' if on_gpu else 'an NVIDIA GPU'}, the model is elsewhere; "
            f"use {'cudagraphs' if on_gpu else 'onnxruntime'} or torch"
        )
    from common.models.diffusion.runtime.cudagraphs import CudaCapturer, CudaGraphs

    graphs = CudaGraphs(model, CudaCapturer())
    if name == "cudagraphs":
        return graphs
    return create_engines(name, model, height, width, graphs, cache, admit)


def place(model: DiffusionModel, device: str | torch.device) -> DiffusionModel:
    """The model where and as it runs fastest: half precision and channels last on a GPU, as it is on the CPU."""
    device = torch.device(device)
    if device.type == "cuda":
        model = model.to(device, torch.float16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.to(device).eval().requires_grad_(False)
