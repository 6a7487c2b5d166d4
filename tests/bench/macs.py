"""Multiply-accumulates of the networks, from their ONNX files by shape inference (package onnx, extra [train]).

Counted are convolutions and matrix products: multiplications of values with weights. What else a graph does (sums,
activations, reordering) costs memory traffic, not multiplications worth the name.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from common.codec.base import Budget
from common.codec.registry import create_decoder, create_encoder
from common.codec.weights import MODELS, load_model
from common.runtime import base as runtime
from common.runtime.base import Network, Tensors
from common.values import Size
from common.video import blank
from proto.wire import IP_UDP_BYTES, MAX_DATAGRAM, OVERHEAD_BYTES, max_payload
from tests.bench.racers import every_second

if TYPE_CHECKING:
    import onnx

POSITION = 16  # pixels of a side of the graphs' `rows` and `columns`
UNCOUNTED = {"ConvTranspose", "ConvInteger", "QLinearConv", "MatMulInteger", "QLinearMatMul", "Einsum"}
UNCOUNTED |= {"Attention", "LSTM", "GRU", "RNN"}


class MacsError(RuntimeError):
    """The multiply-accumulates cannot be counted; the text says why."""


@dataclass(frozen=True, slots=True)
class Macs:
    """Of one profile at one size, a pixel of video. `graphs`: of one run of each; `runs`: how often each runs in a
    unit, while it is encoded and while it is decoded with half of its packets lost."""

    profile: str
    size: Size
    graphs: dict[str, float]
    encode_runs: dict[str, int]
    decode_runs: dict[str, int]

    @property
    def encode(self) -> float:
        """All that the sender does."""
        return sum(self.graphs[name] * runs for name, runs in self.encode_runs.items())

    @property
    def decode(self) -> float:
        """All that the receiver does."""
        return sum(self.graphs[name] * runs for name, runs in self.decode_runs.items())


def profile_macs(profile: str, size: Size) -> Macs:
    """Counts one profile. Raises MacsError, BackendError, WeightsError."""
    encode, decode = runs_of(profile)
    pixels = size.width * size.height * load_model(profile).frames
    names = [path.stem for path in sorted((MODELS / profile).glob("*.onnx"))]
    graphs = {name: graph_macs(MODELS / profile / f"{name}.onnx", size) / pixels for name in names}
    return Macs(profile, size, graphs, encode, decode)


def graph_macs(path: Path, size: Size) -> int:
    """Multiply-accumulates of one run of a graph for pictures of this size. Raises MacsError."""
    if find_spec("onnx") is None:
        raise MacsError("package onnx is missing; try: pip install 'semcast[train]'")
    import onnx

    model = onnx.load(path)
    _bind(model, {"rows": math.ceil(size.height / POSITION), "columns": math.ceil(size.width / POSITION)})
    try:
        model = _inferred(model)
    except onnx.shape_inference.InferenceError as error:
        raise MacsError(f"{path.name}: {error}") from error
    shapes = _shapes(model)
    return sum(_node_macs(path.name, node, shapes) for node in model.graph.node)


def runs_of(profile: str) -> tuple[dict[str, int], dict[str, int]]:
    """How often each graph runs in a unit, (encoding, decoding): counted between the codec and its networks."""
    frames = load_model(profile).frames
    pictures = [blank(64, 64, luma=128)] * frames
    budget = Budget(1000.0, OVERHEAD_BYTES + IP_UDP_BYTES, max_payload(MAX_DATAGRAM))
    with _counted() as runs:
        encoder, decoder = create_encoder(profile, 64, 64, fps=15.0), create_decoder(profile)
        for unit in (0, 1):  # the first unit has nothing behind it
            runs.clear()
            encoded = encoder.encode(pictures, unit, budget)
            encoding = dict(runs)
            runs.clear()
            decoder.decode(SimpleNamespace(unit=unit, segments=every_second(encoded.payloads)))
    return encoding, dict(runs)


def _node_macs(where: str, node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    if node.op_type in UNCOUNTED:
        raise MacsError(f"{where}: do not know how to count {node.op_type}")
    if node.op_type not in ("Conv", "MatMul", "Gemm"):
        return 0
    out, left, right = (shapes.get(name, ()) for name in (node.output[0], *node.input[:2]))
    if not all(shape and all(shape) for shape in (out, left, right)):
        raise MacsError(f"{where}: {node.op_type} {node.name} has a shape that is not known")
    if node.op_type == "Conv":  # weight: (out, in / groups, height, width)
        return math.prod(out) * math.prod(right[1:])
    turned = node.op_type == "Gemm" and any(a.name == "transA" and a.i for a in node.attribute)
    return math.prod(out) * (left[0] if turned else left[-1])


def _bind(model: onnx.ModelProto, sides: dict[str, int]) -> None:
    """Puts numbers in the place of the inputs' symbols, `rows` or `2*rows`; drops what the symbols had led to."""
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if not dim.HasField("dim_param"):
                continue
            found = re.fullmatch(r"(?:(\d+)\*)?(\w+)", dim.dim_param)
            if found is None or found[2] not in sides:
                raise MacsError(f"{value.name}: size {dim.dim_param!r} is none of {', '.join(sides)}")
            dim.dim_value = int(found[1] or 1) * sides[found[2]]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """With all shapes that can be told. Inference does not divide, and a graph may divide its sides; so sizes that are
    known and their quotients become constants, until nothing more is won."""
    import onnx

    while True:
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        shapes = _shapes(model)
        constants = {c.name: onnx.numpy_helper.to_array(c) for c in model.graph.initializer}
        folded = []
        for node in model.graph.node:
            value = _constant(node, shapes, constants)
            if value is not None:
                constants[node.output[0]] = value
                folded.append(node)
                model.graph.initializer.append(onnx.numpy_helper.from_array(value, node.output[0]))
        for node in folded:
            model.graph.node.remove(node)
        if not folded:
            return model


def _constant(
    node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]], constants: dict[str, NDArray[Any]]
) -> NDArray[Any] | None:
    """What a node gives that asks for a size or divides sizes, if that is known."""
    if node.op_type == "Shape" and all(shape := shapes.get(node.input[0], ())):
        ends = {a.name: a.i for a in node.attribute}
        return (
            np.array(shape[ends.get("start", 0) : ends.get("end", len(shape))], np.int64) if shape else None
        )
    if node.op_type == "Div" and all(name in constants for name in node.input):
        above, below = (constants[name] for name in node.input)
        return above // below if above.dtype.kind == below.dtype.kind == "i" else None
    return None


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """By name of the value; zeros where a side is not known."""
    shapes = {weight.name: tuple(weight.dims) for weight in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.value_info, *model.graph.output):
        shapes.setdefault(value.name, tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim))
    return shapes


@contextmanager
def _counted() -> Iterator[Counter[str]]:
    """Inside, every network that a codec loads counts its runs by the name of its graph."""
    runs: Counter[str] = Counter()
    load = runtime.load

    class Counting:
        def __init__(self, graph: Path, network: Network) -> None:
            self._graph, self._network = graph.stem, network

        def run(self, inputs: Tensors) -> Tensors:
            runs[self._graph] += 1
            return self._network.run(inputs)

    def counting(graph: Path, backend: str = "auto", threads: int = 1) -> Network:
        return Counting(graph, load(graph, backend, threads))

    with patch.object(runtime, "load", counting):
        yield runs
