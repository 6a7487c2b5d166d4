"""Choosing a backend: clear errors, all agree on a graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common.codec.weights import load_model
from common.runtime.base import BACKENDS, BackendError, load

MODEL = load_model("resilient")
DECODER = MODEL.graph("decoder")


def test_unknown_backend_is_named() -> None:
    with pytest.raises(BackendError, match="tpu"):
        load(DECODER, "tpu")


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_bad_graph_is_one_clear_error(backend: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"no graph")
    with pytest.raises(BackendError, match="cannot load"):
        load(bad, backend)


def test_backends_agree_and_follow_shapes() -> None:
    rng = np.random.default_rng(0)
    for h, w in ((6, 8), (10, 4)):
        inputs = {
            "latent": rng.normal(0, 0.3, (1, MODEL.latent, h, w)).astype(np.float32),
            "hidden": rng.normal(0, 0.3, (1, MODEL.hidden, h, w)).astype(np.float32),
            "mask": np.ones((1, 1, h, w), np.float32),
            "quality": np.array([0.4], np.float32),
        }
        results = [load(DECODER, backend).run(inputs)["luma"] for backend in BACKENDS]
        assert results[0].shape == (1, 4, 16 * h, 16 * w)
        for other in results[1:]:
            assert np.abs(other - results[0]).max() < 0.02
