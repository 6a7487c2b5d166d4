"""Turn a checkpoint into a shipped model: python -m common.training.export --checkpoint FILE --config FILE ...

Writes the weights (safetensors), the graph (ONNX) and the manifest with their sha256.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import logging
import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file

from common.models.fusion import Fusion, FusionConfig
from common.models.graphs import GRAPHS
from common.training import config as configs
from common.training.graph_file import strip

log = logging.getLogger("export")

NAME = "fusion"
ROWS, COLUMNS = 3, 5  # of 16x16 luma samples, in the sample that the graph is traced with


def write_graph(network: Fusion, config: FusionConfig, folder: Path) -> None:
    """Export the network with free height and width, in steps of 16 luma samples."""
    rows, columns = torch.export.Dim("rows", min=1, max=256), torch.export.Dim("columns", min=1, max=256)
    height, width = 16 * ROWS, 16 * COLUMNS
    half = height // 2, width // 2
    inputs = (
        torch.zeros(1, config.frames, height, width),
        torch.zeros(1, config.frames, 2, *half),
        torch.zeros(1, 1, height, width),
        torch.zeros(1, config.facts),
        torch.zeros(1, 1, height, width),
        torch.zeros(1, 2, *half),
        torch.zeros(1, 1, height, width),
        torch.zeros(1, 2, *half),
    )
    full, quarter = {2: 16 * rows, 3: 16 * columns}, {2: 8 * rows, 3: 8 * columns}
    shapes = (full, {3: 8 * rows, 4: 8 * columns}, full, None, full, quarter, full, quarter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            inputs,
            folder / f"{NAME}.onnx",
            input_names=list(GRAPHS[NAME].inputs),
            output_names=list(GRAPHS[NAME].outputs),
            dynamic_shapes=shapes,
            external_data=False,
            dynamo=True,
        )
    strip(folder / f"{NAME}.onnx")


def write_manifest(model_id: int, config: FusionConfig, training: dict[str, object], folder: Path) -> None:
    """The manifest: what the files are, that they are whole, how they were made."""
    names = ["weights.safetensors", *(f"{name}.onnx" for name in GRAPHS)]
    manifest = {
        "model_id": model_id,
        "config": dataclasses.asdict(config),
        "training": training,
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def main() -> None:
    """Command line of the export."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True, help="the YAML file it was trained with")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the model, common/models/weights/NAME"
    )
    parser.add_argument(
        "--model-id", type=int, default=1, help="number on the wire, 1..15 (another bitstream: a new number)"
    )
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    config = configs.load(args.config)
    network = Fusion(config.model)
    saved = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
    network.load_state_dict(saved["model"])
    args.out.mkdir(parents=True, exist_ok=True)
    weights = {f"{NAME}.{name}": value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, args.out / "weights.safetensors")
    (args.out / "weights.safetensors").chmod(0o644)
    write_graph(network, config.model, args.out)
    training = {"step": saved["step"], "settings": config.model_dump(mode="json", exclude={"model"})}
    write_manifest(args.model_id, config.model, training, args.out)
    log.info("wrote %s", args.out)


if __name__ == "__main__":
    main()
