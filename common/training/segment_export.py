"""Turn a trained segmenter into a shipped one: python -m common.training.segment_export --checkpoint FILE ...

Writes the kept weights (safetensors, 16 bit), the graph (ONNX) for pictures of any size in steps of 16, and the
manifest with their sha256.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor, nn

from common.models.segmenter import Segmenter
from common.training.graph_file import strip
from common.training.matte import MatteConfig
from common.training.segment import SegmentConfig

log = logging.getLogger("segment_export")

GRAPH = "segmenter.onnx"
INPUTS = {"picture": 3}
WEIGHTS = "weights.safetensors"
ROWS, COLUMNS = 5, 7  # of 16x16 samples, in the sample that the graph is traced with

Config = TypeVar("Config", SegmentConfig, MatteConfig)


def write_graph(network: nn.Module, path: Path, inputs: Mapping[str, int]) -> None:
    """Export the network with free height and width, in steps of 16 samples; `inputs`: their names and planes."""
    rows, columns = torch.export.Dim("rows", min=1, max=256), torch.export.Dim("columns", min=1, max=256)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            tuple(torch.zeros(1, planes, 16 * ROWS, 16 * COLUMNS) for planes in inputs.values()),
            path,
            input_names=list(inputs),
            output_names=["scores"],
            dynamic_shapes=tuple({2: 16 * rows, 3: 16 * columns} for _ in inputs),
            external_data=False,
            dynamo=True,
        )
    strip(path)


def widened(value: Tensor) -> Tensor:
    """32 bits in the place of 16."""
    return value.float() if value.dtype == torch.float16 else value


def export(
    network: nn.Module,
    config: SegmentConfig | MatteConfig,
    step: int,
    folder: Path,
    graph: str = GRAPH,
    inputs: Mapping[str, int] = INPUTS,
) -> None:
    """Write everything into `folder`. The weights are rounded to 16 bit first, so that graph and weights agree."""
    folder.mkdir(parents=True, exist_ok=True)
    halves = {
        name: value.half() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    network.load_state_dict({name: widened(value) for name, value in halves.items()})
    save_file({name: value.contiguous() for name, value in halves.items()}, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)
    write_graph(network, folder / graph, inputs)
    manifest = {
        "config": dataclasses.asdict(config.model),
        "training": {"step": step, "settings": config.model_dump(mode="json", exclude={"model"})},
        "sha256": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (WEIGHTS, graph)
        },
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def command(
    description: str | None,
    kind: type[Config],
    build: Callable[[Config], nn.Module],
    graph: str,
    inputs: Mapping[str, int],
) -> None:
    """Command line of an export; `build` makes the network of a run with these settings."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True, help="the YAML file it was trained with")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the model, common/models/weights/NAME"
    )
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    config = kind.model_validate(yaml.safe_load(args.config.read_text()))
    network = build(config)
    saved = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
    network.load_state_dict(saved["kept"])
    export(network, config, saved["step"], args.out, graph, inputs)
    log.info("wrote %s, of step %d", args.out, saved["step"])


def main() -> None:
    """Command line of the export."""
    command(__doc__, SegmentConfig, lambda config: Segmenter(config.model), GRAPH, INPUTS)


if __name__ == "__main__":
    main()
