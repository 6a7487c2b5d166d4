"""Runtimes of engines: TensorRT on a GPU, ONNX Runtime on a CPU. Another runtime serves what has no engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import onnxruntime as ort
import torch
from torch import Tensor

from common.log import Log
from common.models.diffusion.graphs import StepGraph, Use
from common.models.diffusion.model import DiffusionModel
from common.models.diffusion.runtime.base import Figures, Runtime, no_bound
from common.models.diffusion.runtime.engines import Engine, Engines, Kind
from common.models.diffusion.runtime.export import OPSET
from common.models.diffusion.runtime.specs import STEP_INPUTS, numbered, step_name
from common.runtime.base import BackendError
from common.runtime.engine_cache import DEFAULT_LIMIT, CacheError, EngineCache, default_folder
from common.runtime.tensorrt_backend import TensorRT, TensorRTEngine, find

_log = Log("diffusion.engines")


class EngineGraphs:
    """Runtime: see base.py."""

    def __init__(
        self,
        name: str,
        model: DiffusionModel,
        height: int,
        width: int,
        kind: Kind,
        cache: EngineCache,
        below: Runtime,
    ) -> None:
        """below: what serves until there are engines."""
        self.below, self.figures = below, Figures(name, below=below.figures)
        self.engines = Engines(model, height, width, kind, cache, self.figures)

    def encode(self, picture: Tensor) -> Tensor:
        """See Graphs."""
        made = self._run("encode", len(picture), {"picture": picture})
        return self.below.encode(picture) if made is None else made["latent"]

    def decode(self, latent: Tensor) -> Tensor:
        """See Graphs."""
        made = self._run("decode", len(latent), {"latent": latent})
        return self.below.decode(latent) if made is None else made["picture"]

    def refine(self, made: Tensor, texture: Tensor, control: Tensor, trust: Tensor) -> Tensor:
        """See Graphs."""
        inputs = {"made": made, "texture": texture, "control": control, "trust": trust}
        shown = self._run("refine", len(made), inputs)
        return self.below.refine(made, texture, control, trust) if shown is None else shown["picture"]

    def embed(self, control: Tensor, trust: Tensor) -> Tensor:
        """See Graphs."""
        made = self._run("embed", len(control), {"control": control, "trust": trust})
        return self.below.embed(control, trust) if made is None else made["embedded"]

    def degraded(self, latent: Tensor, timestep: Tensor) -> list[Tensor]:
        """See Graphs."""
        made = self._run("degraded", len(latent), {"latent": latent, "timestep": timestep})
        return self.below.degraded(latent, timestep) if made is None else in_order(made, "query")

    def step(self, use: Use) -> StepGraph:
        """See Graphs."""
        name, below = step_name(use), self.below.step(use)

        def step(
            x: Tensor, noise: Tensor, timestep: Tensor, coefficients: Tensor, lambdas: Tensor, trust: Tensor,
            slot: Tensor, valid: Tensor, embedded: Tensor | None, queries: Sequence[Tensor], caches: Sequence[Tensor],
        ) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
            plain = (x, noise, timestep, coefficients, lambdas, trust, slot, valid)
            inputs = dict(zip(STEP_INPUTS, plain, strict=False))
            if use.control and embedded is not None:
                inputs["embedded"] = embedded
            inputs |= dict(zip(numbered("query", len(queries)), queries, strict=True))
            inputs |= dict(zip(numbered("cache", len(caches)), caches, strict=True))
            made = self._run(name, len(x), inputs)
            if made is None:
                return below(*plain, embedded, queries, caches)
            return made["next"], in_order(made, "fresh")

        return step

    def close(self) -> None:
        """See Runtime."""
        self.engines.close()
        self.below.close()

    def _run(self, graph: str, batch: int, inputs: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        engine = self.engines.get(graph, batch)
        if engine is None:
            return None
        try:
            return engine.run(inputs)
        except (RuntimeError, KeyError) as error:
            self.engines.drop(graph, batch, error)
            return None


def in_order(made: Mapping[str, Tensor], kind: str) -> list[Tensor]:
    """Outputs of a kind by their number."""
    return [made[name] for name in sorted(made) if name.startswith(kind)]


class OnnxEngine:
    """A graph in ONNX Runtime, on the CPU and torch's number of threads."""

    def __init__(self, data: bytes) -> None:
        """Raises BackendError."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own classes share no base but Exception
            raise BackendError(f"ONNX Runtime cannot load it: {error}") from error
        self._inputs = [value.name for value in self._session.get_inputs()]
        self._outputs = [value.name for value in self._session.get_outputs()]

    def check(self, inputs: Mapping[str, Tensor], outputs: tuple[str, ...]) -> None:
        """Raise BackendError unless it has these outputs and no other inputs."""
        if set(self._outputs) != set(outputs) or not set(self._inputs) <= set(inputs):
            raise BackendError(f"its tensors are {self._inputs} and {self._outputs}, not those of the graph")

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Named CPU tensors -> named outputs."""
        feeds = {name: inputs[name].contiguous().numpy() for name in self._inputs}
        try:
            values = self._session.run(self._outputs, feeds)
        except Exception as error:  # as above
            raise BackendError(f"ONNX Runtime: {error}") from error
        return {name: torch.from_numpy(value) for name, value in zip(self._outputs, values, strict=True)}


def onnx_kind() -> Kind:
    """ONNX Runtime on this CPU."""
    facts = {"kind": "onnx", "onnxruntime": ort.__version__, "torch": torch.__version__, "opset": str(OPSET)}
    return Kind("onnx", facts, OnnxEngine)


def tensorrt_kind(found: TensorRT, level: int | None = None) -> Kind:
    """TensorRT on this GPU."""
    load: Callable[[bytes], Engine] = lambda data: TensorRTEngine(found, data)  # noqa: E731
    facts = {
        "kind": found.package, "version": found.version, "torch": version("torch"), "opset": str(OPSET),
        "gpu": torch.cuda.get_device_name(), "capability": str(torch.cuda.get_device_capability()),
        "level": str(level),
    }  # fmt: skip
    return Kind(found.package, facts, load, level)


def admitted(kind: Kind, admit: Callable[[], None]) -> Kind:
    """The kind, with each engine admitted once it is loaded; what is not is let go."""

    def load(data: bytes) -> Engine:
        engine = kind.load(data)
        admit()
        return engine

    return replace(kind, load=load)


def create_engines(
    name: str, model: DiffusionModel, height: int, width: int, below: Runtime, folder: Path | None,
    admit: Callable[[], None] = no_bound, limit: int = DEFAULT_LIMIT,
) -> Runtime:  # fmt: skip
    """`tensorrt` or `onnxruntime`; `below`, with a warning, where engines can be kept nowhere. Raises BackendError
    where it is not installed. admit: as create_runtime has it."""
    kind = admitted(onnx_kind() if name == "onnxruntime" else tensorrt_kind(find()), admit)
    try:
        cache = EngineCache(folder or default_folder(), limit)
    except CacheError as error:
        below.figures.reasons.append(f"no engines: {error}")
        _log.warning("no folder for engines; a slower runtime serves", kind=kind.name, error=str(error))
        return below
    return EngineGraphs(name, model, height, width, kind, cache, below)
