from __future__ import annotations

from pathlib import Path

import pytest
import torch

from common.codec.weights import MODELS
from common.models.segmenter import Segmenter
from common.training.segment_export import write_graph
from tests.common.training.test_segment import TINY


@pytest.mark.parametrize("path", sorted(MODELS.glob("*/*.onnx")), ids=lambda path: path.name)
def test_shipped_graphs_do_not_tell_where_they_were_made(path: Path) -> None:
    assert b"stack_trace" not in path.read_bytes()


def test_nor_do_new_ones(tmp_path: Path) -> None:
    torch.manual_seed(1)
    write_graph(Segmenter(TINY), tmp_path / "graph.onnx", {"picture": 3})
    written = (tmp_path / "graph.onnx").read_bytes()
    assert b"stack_trace" not in written and __file__.rpartition("/tests/")[0].encode() not in written
