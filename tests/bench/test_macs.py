from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.codec.registry import NEURAL
from common.codec.weights import MODELS
from common.values import Size
from tests.bench import macs
from tests.bench.macs import MacsError, graph_macs, profile_macs, runs_of

onnx = pytest.importorskip("onnx")

FLOAT = 1  # onnx.TensorProto.FLOAT
PICTURE = Size(32, 48)  # 3 rows and 2 columns of positions


def saved(
    folder: Path, nodes: list[object], weights: dict[str, tuple[int, ...]], shape: list[int | str]
) -> Path:
    """A graph from `x` to `y`; the weights are zeros, those of names in capitals are shapes themselves."""
    given = [
        onnx.numpy_helper.from_array(
            np.array(value, np.int64) if name.isupper() else np.zeros(value, np.float32), name
        )
        for name, value in weights.items()
    ]
    inputs = [onnx.helper.make_tensor_value_info("x", FLOAT, shape)]
    outputs = [onnx.helper.make_tensor_value_info("y", FLOAT, None)]
    graph = onnx.helper.make_graph(nodes, "graph", inputs, outputs, given)
    path = folder / "graph.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)]), path)
    return path


def node(kind: str, inputs: list[str], output: str = "y", **attributes: Any) -> object:
    return onnx.helper.make_node(kind, inputs, [output], **attributes)


@pytest.mark.parametrize(
    ("weight", "attributes", "expected"),
    [
        ((5, 4, 3, 3), {"pads": [1] * 4}, 5 * 6 * 4 * (4 * 9)),  # as large as what it reads: 6 x 4
        ((5, 4, 3, 3), {"pads": [1] * 4, "strides": [2, 2]}, 5 * 3 * 2 * (4 * 9)),
        ((4, 1, 5, 5), {"pads": [2] * 4, "group": 4}, 4 * 6 * 4 * 25),
        ((7, 4, 1, 1), {}, 7 * 6 * 4 * 4),
    ],
)
def test_a_convolution_counts_its_taps_for_each_output(
    tmp_path: Path, weight: tuple[int, ...], attributes: dict[str, Any], expected: int
) -> None:
    path = saved(
        tmp_path, [node("Conv", ["x", "w"], **attributes)], {"w": weight}, [1, 4, "2*rows", "2*columns"]
    )
    assert graph_macs(path, PICTURE) == expected


def test_matrix_products(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], "a"),
        node("Gemm", ["a", "v"], "b"),
        node("Gemm", ["x", "u"], transA=1),
    ]
    path = saved(tmp_path, nodes, {"w": (8, 5), "v": (5, 7), "u": (3, 4)}, ["rows", 8])
    assert graph_macs(path, PICTURE) == 3 * 8 * 5 + 3 * 5 * 7 + 8 * 3 * 4


def test_sides_that_the_graph_divides_are_found(tmp_path: Path) -> None:
    """As in the exported pixel-unshuffle, which reads its input's sides and halves them."""
    nodes = [
        node("Shape", ["x"], "side", start=2, end=3),
        node("Div", ["side", "TWO"], "half"),
        node("Concat", ["HEAD", "half", "TAIL"], "shape", axis=0),
        node("Reshape", ["x", "shape"], "z"),
        node("Conv", ["z", "w"]),
    ]
    weights = {"TWO": (2,), "HEAD": (1, 4), "TAIL": (-1,), "w": (5, 4, 1, 1)}
    path = saved(tmp_path, nodes, weights, [1, 4, "2*rows", "columns"])
    assert graph_macs(path, PICTURE) == 5 * 3 * 4 * 4


def test_a_size_is_rounded_up_to_whole_positions(tmp_path: Path) -> None:
    path = saved(tmp_path, [node("Conv", ["x", "w"])], {"w": (1, 1, 1, 1)}, [1, 1, "rows", "columns"])
    assert graph_macs(path, Size(40, 24)) == 2 * 3


def test_what_cannot_be_counted_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(
        tmp_path, [node("ConvTranspose", ["x", "w"])], {"w": (1, 1, 2, 2)}, [1, 1, "rows", "columns"]
    )
    with pytest.raises(MacsError, match="ConvTranspose"):
        graph_macs(path, PICTURE)
    path = saved(tmp_path, [node("Conv", ["x", "w"])], {"w": (1, 1, 1, 1)}, [1, 1, "tall", "columns"])
    with pytest.raises(MacsError, match="'tall' is none of rows, columns"):
        graph_macs(path, PICTURE)
    monkeypatch.setattr(macs, "find_spec", lambda name: None)
    with pytest.raises(MacsError, match=r"semcast\[train\]"):
        graph_macs(path, PICTURE)


@pytest.mark.parametrize("profile", NEURAL)
def test_every_shipped_graph_is_counted_with_its_runs(profile: str) -> None:
    small, large = (profile_macs(profile, size) for size in (Size(256, 256), Size(640, 480)))
    assert set(small.graphs) == {path.stem for path in (MODELS / profile).glob("*.onnx")}
    assert min(small.graphs.values()) > 0
    assert small.graphs == pytest.approx(large.graphs, rel=1e-3)  # convolutions: the same for each pixel
    encoding, decoding = runs_of(profile)
    assert (small.encode_runs, small.decode_runs) == (encoding, decoding)
    assert encoding == {}  # the sender runs no network
    assert decoding == {"fusion": 1}
    assert small.decode == pytest.approx(small.graphs["fusion"])
