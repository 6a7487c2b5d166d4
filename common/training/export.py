"""Turn a checkpoint into a shipped model: python -m common.training.export --checkpoint FILE --config FILE ...

Writes the weights (safetensors), the graphs (ONNX), quantiser steps, entropy tables and the manifest with their sha256.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import logging
import warnings
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from common.codec.entropy import MAX_ELEMENT, Elements, Tables
from common.codec.header import QUALITIES
from common.models.graphs import GRAPHS
from common.models.resilient import ResilientConfig
from common.training import config as configs
from common.training import tables
from common.training.data import SequenceSampler, load_clips
from common.training.step import ResilientModel
from proto.interleaver import segment_positions

log = logging.getLogger("export")


def write_graphs(model: ResilientModel, folder: Path) -> None:
    """Export the three networks with free height and width."""
    c = model.config
    h, w = 6, 10
    luma, chroma = torch.zeros(1, c.frames, 16 * h, 16 * w), torch.zeros(1, c.frames, 2, 8 * h, 8 * w)
    latent, mask, one = torch.zeros(1, c.latent, h, w), torch.ones(1, 1, h, w), torch.ones(1)
    rows, columns = torch.export.Dim("rows", min=1, max=256), torch.export.Dim("columns", min=1, max=256)
    site = {2: rows, 3: columns}
    samples = {
        "encoder": (
            (luma, chroma, one),
            ({2: 16 * rows, 3: 16 * columns}, {3: 8 * rows, 4: 8 * columns}, None),
        ),
        "recovery": (
            # each input its own tensor: the exporter takes one tensor given twice for one input
            (
                latent,
                mask,
                torch.ones(1, c.latent),
                one,
                one.clone(),
                latent.clone(),
                torch.zeros(1, c.hidden, h, w),
            ),
            (site, site, None, None, None, site, site),
        ),
        "decoder": ((latent, mask, one), (site, site, None)),
    }
    for name, (inputs, shapes) in samples.items():
        network = getattr(model, name).eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                inputs,
                folder / f"{name}.onnx",
                input_names=list(GRAPHS[name].inputs),
                output_names=list(GRAPHS[name].outputs),
                dynamic_shapes=shapes,
                external_data=False,
                dynamo=True,
            )


@torch.inference_mode()
def sample_packets(
    model: ResilientModel, sampler: SequenceSampler, units: int, seed: int
) -> tuple[list[Elements], np.ndarray]:
    """Elements of packets of `units` random access units at random qualities, and those qualities."""
    rng = np.random.default_rng(seed)
    packets, qualities = [], []
    side = sampler.size // 16
    for number in range(units):
        luma, chroma = (torch.from_numpy(x) for x in sampler.batch(1, model.config.frames))
        quality = int(rng.integers(QUALITIES))
        t = torch.tensor([quality / (QUALITIES - 1)])
        latent = model.encoder(luma, chroma, t) / model.quantiser(t)[:, :, None, None]
        elements = latent.round().clamp(-MAX_ELEMENT, MAX_ELEMENT)[0].flatten(1).numpy().astype(np.int32)
        count = int(rng.integers(2, 6))
        for index in range(count):
            packets.append(elements[:, segment_positions(side * side, count, index, number)])
            qualities.append(float(quality))
        if number % 500 == 499:
            log.info("sampled %d of %d units", number + 1, units)
    return packets, np.array(qualities)


@torch.inference_mode()
def write_steps(model: ResilientModel, folder: Path) -> None:
    """Quantiser steps of every quality index: (QUALITIES, latent) float32."""
    steps = model.quantiser(torch.arange(QUALITIES) / (QUALITIES - 1))
    np.savez(folder / "steps.npz", steps=steps.numpy())


def write_manifest(model_id: int, config: ResilientConfig, training: dict[str, object], folder: Path) -> None:
    """The manifest: what the files are, that they are whole, how they were made."""
    names = ["weights.safetensors", "steps.npz", "tables.npz", *(f"{name}.onnx" for name in GRAPHS)]
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
    parser.add_argument("--data", type=Path, required=True, help="training clips, to count the tables from")
    parser.add_argument(
        "--cache", type=Path, required=True, help="folder of decoded clips, as given to train"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the model, common/models/weights/NAME"
    )
    parser.add_argument(
        "--model-id", type=int, default=1, help="number on the wire, 1..15 (new weights: new number)"
    )
    parser.add_argument("--units", type=int, default=3000, help="access units to count the tables from")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    config = configs.load(args.config)
    model = ResilientModel(config).eval()
    saved = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
    model.load_state_dict(saved["model"])
    args.out.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, args.out / "weights.safetensors")
    write_graphs(model, args.out)
    write_steps(model, args.out)
    clips = load_clips(args.data, args.cache)
    sampler = SequenceSampler(clips, config.crop, config.fps, config.caps, config.seed + 7)
    packets, qualities = sample_packets(model, sampler, args.units, config.seed)
    fitted: Tables = tables.fit(packets, qualities)
    np.savez_compressed(args.out / "tables.npz", counts=fitted.counts)
    training = {"step": saved["step"], "settings": config.model_dump(mode="json", exclude={"model"})}
    write_manifest(args.model_id, config.model, training, args.out)
    log.info("wrote %s", args.out)


if __name__ == "__main__":
    main()
