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
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from common.codec.entropy import MAX_ELEMENT, Elements, Tables
from common.codec.header import QUALITIES
from common.codec.levels import LEVELS, level_of, quality_of
from common.models.graphs import GRAPHS
from common.models.resilient import ResilientConfig
from common.training import config as configs
from common.training import tables
from common.training.data import SequenceSampler, load_clips
from common.training.step import ResilientModel

log = logging.getLogger("export")


def write_graphs(model: ResilientModel, folder: Path) -> None:
    """Export the networks with free height and width."""
    c = model.config
    h, w = 3, 5  # of the base

    def plane(channels: int, factor: int = 1) -> torch.Tensor:
        """A tensor of its own each time: the exporter takes one that is given twice for one input."""
        return torch.zeros(1, channels, factor * h, factor * w)

    def one() -> torch.Tensor:
        return torch.ones(1)

    # half the rows and columns of positions are what may change: both are even
    rows, columns = torch.export.Dim("rows", min=1, max=128), torch.export.Dim("columns", min=1, max=128)
    site, half = {2: 2 * rows, 3: 2 * columns}, {2: rows, 3: columns}
    samples: dict[str, tuple[tuple[torch.Tensor, ...], tuple[Any, ...]]] = {
        "encoder": (
            (plane(c.frames, 32), torch.zeros(1, c.frames, 2, 16 * h, 16 * w), one()),
            ({2: 32 * rows, 3: 32 * columns}, {3: 16 * rows, 4: 16 * columns}, None),
        ),
        "expansion": ((plane(c.base),), (half,)),
        "recovery": (
            (
                *(plane(c.latent, 2), plane(c.latent, 2), plane(1, 2), plane(1, 2), plane(1, 2)),
                *(
                    plane(c.latent, 2),
                    plane(c.context, 2),
                    one(),
                    one(),
                    plane(c.latent, 2),
                    plane(c.hidden, 2),
                ),
            ),
            (*[site] * 7, None, None, site, site),
        ),
        "decoder": (
            (plane(c.latent, 2), plane(c.hidden, 2), plane(1, 2), one()),
            (site, site, site, None),
        ),
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
def count_tables(
    model: ResilientModel, sampler: SequenceSampler, units: int, seed: int
) -> tuple[Tables, Tables]:
    """Tables of latent and base, from `units` random access units at random qualities; half of them with some
    positions coded at other levels than that of the unit."""
    rng = np.random.default_rng(seed)
    latents, bases = tables.Counter(model.config.latent), tables.Counter(model.config.base)
    for number in range(units):
        luma, chroma = (torch.from_numpy(x) for x in sampler.batch(1, model.config.frames))
        quality = int(rng.integers(QUALITIES))
        t = torch.tensor([quality / (QUALITIES - 1)])
        latent, base = model.encoder(luma, chroma, t)
        base_step = model.base_quantiser(t)[:, :, None, None]
        coded = (base / base_step).round()
        bases.add(_elements(coded), quality // 4)
        prior, _ = model.expansion(coded * base_step)
        residual = latent - prior
        levels = {level_of(quality)}
        if rng.random() < 0.5:
            levels.add(int(rng.integers(level_of(quality), LEVELS + 1)))
        for level in levels:
            t = torch.tensor([quality_of(level) / (QUALITIES - 1)])
            latents.add(_elements((residual / model.quantiser(t)[:, :, None, None]).round()), level - 1)
        if number % 500 == 499:
            log.info("counted %d of %d units", number + 1, units)
    return latents.tables(), bases.tables()


def _elements(coded: torch.Tensor) -> Elements:
    return coded.clamp(-MAX_ELEMENT, MAX_ELEMENT)[0].flatten(1).numpy().astype(np.int32)


@torch.inference_mode()
def write_steps(model: ResilientModel, folder: Path) -> None:
    """Quantiser steps of every quality index: (QUALITIES, channels) float32, of latent and base."""
    qualities = torch.arange(QUALITIES) / (QUALITIES - 1)
    np.savez(
        folder / "steps.npz",
        steps=model.quantiser(qualities).numpy(),
        base_steps=model.base_quantiser(qualities).numpy(),
    )


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
    latent, base = count_tables(model, sampler, args.units, config.seed)
    np.savez_compressed(args.out / "tables.npz", latent=latent.counts, base=base.counts)
    training = {"step": saved["step"], "settings": config.model_dump(mode="json", exclude={"model"})}
    write_manifest(args.model_id, config.model, training, args.out)
    log.info("wrote %s", args.out)


if __name__ == "__main__":
    main()
