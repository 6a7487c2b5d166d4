"""TensorRT: the full `tensorrt` where the user has it, else `tensorrt_rtx` (TensorRT for RTX, from PyPI); one API.

Networks are strongly typed (precisions are those of the graph: TensorRT for RTX knows no others, and full TensorRT
chooses none by itself that breaks fp16), shapes are fixed, tensors are bound by name: their order changes between
versions.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from common.runtime.base import BackendError

if TYPE_CHECKING:
    import torch

PACKAGES = ("tensorrt", "tensorrt_rtx")
INSTALL = "pip install 'semcast[tensorrt]' (NVIDIA's index) or 'semcast[tensorrt-rtx]' (PyPI)"


@dataclass(frozen=True, slots=True)
class TensorRT:
    """The package found, loaded."""

    package: str
    version: str
    module: ModuleType

    @property
    def is_rtx(self) -> bool:
        """Whether it is TensorRT for RTX."""
        return self.package == "tensorrt_rtx"

    def compute_capabilities(self) -> list[str]:
        """GPUs that engines can be built for without having one (TensorRT for RTX): SM80, SM120, ..."""
        known = getattr(self.module, "ComputeCapability", None)
        return [name for name in known.__members__ if name.startswith("SM")] if known else []


def find(package: str | None = None) -> TensorRT:
    """The package asked for, or the first that is installed and loads. Raises BackendError saying how to get one."""
    problems = []
    for name in (package,) if package else PACKAGES:
        try:
            module = importlib.import_module(name)
            return TensorRT(name, str(module.__version__), module)
        except ModuleNotFoundError:
            problems.append(f"{name} is not installed")
        except (ImportError, OSError, RuntimeError, AttributeError) as error:
            problems.append(f"{name} does not load ({' '.join(str(error).split())[:120]})")
    raise BackendError(f"backend tensorrt: {', '.join(problems)}; try: {INSTALL}")


def _logger(found: TensorRT, errors: list[str]) -> Any:
    trt = found.module

    class Collect(trt.ILogger):  # type: ignore[misc, name-defined]
        """Keeps what went wrong for the exception."""

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR) and len(errors) < 8:
                errors.append(message)

    return Collect()


def build_engine(
    found: TensorRT, graph: Path, level: int | None = None, capability: str | None = None
) -> bytes:
    """Build an ONNX graph of fixed shapes. Raises BackendError. Minutes for a large graph; call it in its own process.

    level: optimisation level, 0..5, None is TensorRT's; capability: a GPU by name (`SM80`) that need not be here, of
    TensorRT for RTX; by default that for the GPU that is here, or, without one, for all that are known.
    """
    trt, errors = found.module, []  # type: ignore[var-annotated]
    logger = _logger(found, errors)
    try:
        builder = trt.Builder(logger)
        flags = trt.NetworkDefinitionCreationFlag
        typed = getattr(flags, "STRONGLY_TYPED", None)
        network = builder.create_network(0 if typed is None else 1 << int(typed))
        parser = trt.OnnxParser(network, logger)
        if not parser.parse_from_file(str(graph)):
            said = [str(parser.get_error(index)) for index in range(parser.num_errors)]
            raise BackendError(f"{graph.name}: TensorRT cannot read it: {'; '.join(said or errors)[:600]}")
        config = builder.create_builder_config()
        if level is not None:
            config.builder_optimization_level = level
        if capability is not None:
            if capability not in found.compute_capabilities():
                raise BackendError(
                    f"{found.package} builds for {found.compute_capabilities()}, not {capability}"
                )
            config.num_compute_capabilities = 1
            config.set_compute_capability(getattr(trt.ComputeCapability, capability), 0)
        engine = builder.build_serialized_network(network, config)
    except (RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, BackendError):
            raise
        raise BackendError(f"{graph.name}: TensorRT failed: {error}; {'; '.join(errors)[:600]}") from error
    if engine is None:
        raise BackendError(f"{graph.name}: TensorRT built nothing: {'; '.join(errors)[:600]}")
    return bytes(engine)


class TensorRTEngine:
    """A built engine over torch's CUDA tensors. Runs in torch's current stream and waits for nothing; one thread."""

    def __init__(self, found: TensorRT, data: bytes) -> None:
        """Raises BackendError where this GPU or this version cannot run it."""
        import torch

        trt, errors = found.module, []  # type: ignore[var-annotated]
        self._logger = _logger(found, errors)  # must outlive the engine
        try:
            self._runtime = trt.Runtime(self._logger)
            self._engine = self._runtime.deserialize_cuda_engine(data)
            context = self._engine.create_execution_context() if self._engine else None
        except (RuntimeError, TypeError) as error:
            raise BackendError(f"TensorRT cannot load an engine: {error}") from error
        if context is None:
            raise BackendError(
                f"TensorRT cannot load an engine: {'; '.join(errors)[:600] or 'no reason given'}"
            )
        self._context: Any = context
        dtypes = {
            getattr(trt.DataType, name): dtype
            for name, dtype in (
                ("FLOAT", torch.float32), ("HALF", torch.float16), ("BF16", torch.bfloat16),
                ("INT32", torch.int32), ("INT64", torch.int64), ("BOOL", torch.bool),
            )
            if hasattr(trt.DataType, name)
        }  # fmt: skip
        self.inputs: dict[str, tuple[tuple[int, ...], torch.dtype]] = {}
        self.outputs: dict[str, tuple[tuple[int, ...], torch.dtype]] = {}
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            kind = dtypes.get(self._engine.get_tensor_dtype(name))
            if kind is None:
                raise BackendError(f"engine's tensor {name} is of a type that torch has not")
            is_input = self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            side = self.inputs if is_input else self.outputs
            side[name] = (tuple(self._engine.get_tensor_shape(name)), kind)

    def check(self, inputs: Mapping[str, torch.Tensor], outputs: tuple[str, ...]) -> None:
        """Raise BackendError unless it has exactly these outputs and no other inputs, in these shapes and types."""
        if set(self.outputs) != set(outputs):
            raise BackendError(f"engine's outputs are {sorted(self.outputs)}, not {sorted(outputs)}")
        for name, want in self.inputs.items():
            if name not in inputs:
                raise BackendError(f"engine has an input {name} that nobody gives")
            given = inputs[name]
            if (tuple(given.shape), given.dtype) != want:
                raise BackendError(f"engine's {name} is {want}, not {(tuple(given.shape), given.dtype)}")

    def run(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Named CUDA tensors -> named outputs, new ones. Inputs that the engine has not are left aside."""
        import torch

        held = {name: inputs[name].contiguous() for name in self.inputs}
        made = {
            name: torch.empty(shape, dtype=kind, device="cuda")
            for name, (shape, kind) in self.outputs.items()
        }
        for name, tensor in (held | made).items():
            if not self._context.set_tensor_address(name, tensor.data_ptr()):
                raise BackendError(f"engine refuses the address of {name}")
        if not self._context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise BackendError("engine could not be started")
        return made
