"""Choosing a backend: clear errors, all agree on a graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common.codec.compose import FACTS
from common.codec.weights import load_model
from common.runtime.base import BACKENDS, BackendError, load

MODEL = load_model("resilient")
FUSION = MODEL.graph("fusion")


def test_unknown_backend_is_named() -> None:
    with pytest.raises(BackendError, match="tpu"):
        load(FUSION, "tpu")


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_bad_graph_is_one_clear_error(backend: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no graph")
    with pytest.raises(BackendError, match="cannot load"):
        load(bad, backend)


def test_backends_agree_and_follow_shapes() -> None:
    rng = np.random.default_rng(0)
    for h, w in ((96, 128), (160, 64)):
        values = {
            "luma": (1, 4, h, w),
            "chroma": (1, 4, 2, h // 2, w // 2),
            "spread": (1, 1, h, w),
            "facts": (1, FACTS),
            "last": (1, 1, h, w),
            "last_chroma": (1, 2, h // 2, w // 2),
            "before": (1, 1, h, w),
            "before_chroma": (1, 2, h // 2, w // 2),
        }
        inputs = {name: rng.normal(0, 0.3, shape).astype(np.float32) for name, shape in values.items()}
        results = [load(FUSION, backend).run(inputs)["shown"] for backend in BACKENDS]
        assert results[0].shape == (1, 4, h, w)
        for other in results[1:]:
            assert np.abs(other - results[0]).max() < 0.02
