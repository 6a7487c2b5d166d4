"""Graphs as they are shipped."""

from __future__ import annotations

from pathlib import Path

import onnx


def strip(path: Path) -> None:
    """Take out of an ONNX file where in the source, and on which machine, its nodes were made."""
    model = onnx.load(path)
    for holder in (model.graph, *model.functions):
        del holder.metadata_props[:]
        for part in (*holder.node, *holder.value_info):
            del part.metadata_props[:]
            part.doc_string = ""
    for part in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del part.metadata_props[:]
    onnx.save(model, path)
