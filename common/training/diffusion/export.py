"""Turn a run into shipped weights: 16-bit files under the repository's limit, a manifest, a model card."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from common.models.diffusion import vocabulary
from common.models.diffusion.loading import LoadingError, load, save
from common.models.diffusion.model import DiffusionModel
from common.training.diffusion import corpus
from common.training.diffusion.config import StageConfig
from common.training.diffusion.measure import measure
from common.training.diffusion.runner import CHECKPOINT
from common.training.diffusion.stages import WEIGHTS as STAGES
from common.training.diffusion.stages import Place, StageError, assemble

WEIGHTS = Path("common/models/weights/generative")

CARD = """# Model card: `generative`, the decoder of the profile of that name

What it is: a latent-diffusion decoder (`common/models/diffusion`): autoencoder, backbone, Semantic Control, Restoration
Adapter, Temporal Adapter, Refiner; {parameters:.1f} million parameters in 16 bit, {step} optimiser steps in all.
Pictures of {sizes} from an enlarged texture and a map of {classes} classes
(`common/models/diffusion/vocabulary.py`), frame by frame, seeing {window} frames back.

## Data
{data}
Licences differ: CamVid is for research (tier N), the clips come from public repositories, the tabletop videos are the
project's own. Take the weights for research and evaluation; before any other use, retrain on pictures of your own. Not
trained on: CamVid's validation frames and the public evaluation clips.

## Recipe
    C="--config common/training/configs/diffusion/compact.yaml --corpus CORPUS --out RUN"
    python -m common.training.diffusion data --corpus CORPUS --clips CLIPS --camvid CAMVID --tabletop TABLETOP
    python -m common.training.diffusion all $C
    python -m common.training.diffusion export $C

| stage | steps | minutes | trains |
|---|---|---|---|
{stages}

Textures are degraded by 4x down, blur, noise and JPEG, or by the texture codec at a quarter or half of the size,
{low:g} to {high:g} kbps, with up to {loss:.0%} of the packets lost; maps, drawn or as a sender's networks find them,
by the contour codec, with loss. The Refiner is judged by what the street segmenter sees, too (weight {scene:g}):
a high mean IoU by that segmenter is what it was trained for. {unfrozen}

## Metrics
Fresh clips of the training sources, {crop}x{crop}, {steps} step(s), map, texture and past in use. `texture` is the
enlarged texture, `autoencoder` what the autoencoder alone makes of the true picture.

| | PSNR, dB | HaarPSI |
|---|---|---|
{metrics}

## Limits
{limits}
"""
TRAINS = {"autoencoder": ("vae",), "refinement": ("refiner",)}
FROZEN = "The backbone stays frozen while adapters are trained."
UNFROZEN = """Other than in
the paper, the backbone is trained on with the Restoration Adapter (`restoration.trains`), which reaches more in a short
training; distillation moves the Temporal Adapter alone."""


@dataclass(frozen=True, slots=True)
class Former:
    """A decoder that this run went on from, and its part of what is exported, 0 to 1."""

    folder: Path
    part: float


def mix(model: DiffusionModel, former: Former) -> None:
    """Each weight becomes the mean of both, as WiSE-FT has it (Wortsman et al., "Robust fine-tuning of zero-shot
    models"): what a short training on other data has gained, and less of what it has lost."""
    before = load(former.folder).state_dict()
    state = model.state_dict()
    strange = [name for name, value in state.items() if before.get(name, value[:0]).shape != value.shape]
    if strange:
        raise LoadingError(f"{former.folder}: not a decoder of this recipe ({strange[0]})")
    for name, value in state.items():
        if value.is_floating_point():
            value.lerp_(before[name].to(value), former.part)


@torch.no_grad()
def export(place: Place, folder: Path, steps: int = 1, count: int = 32, former: Former | None = None) -> None:
    """Write everything into `folder`. Raises StageError where a stage has left nothing, LoadingError for a former
    decoder that is none, or of another shape."""
    states = {stage: _state(place, stage) for stage in STAGES if (place.out / stage / CHECKPOINT).exists()}
    if "restoration" not in states:
        raise StageError(f"{place.out}: nothing to export before the stage restoration")
    model = assemble(place).eval()
    if former is not None:
        mix(model, former)
    save(model, folder)
    total = sum(int(state["step"]) for state in states.values())
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    training = {"step": total, "stages": states, "settings": place.recipe.model_dump(mode="json")}
    manifest |= {
        "config": json.loads((folder / "config.json").read_text()),
        "sha256": {name: facts["sha256"] for name, facts in manifest["files"].items()},
        "training": training,
    }
    path.write_text(json.dumps(manifest, indent=1) + "\n")
    card = _card(place, states, measure(place, steps, count, model), int(manifest["parameters"]), steps)
    (folder / "MODEL_CARD.md").write_text(card)
    for file in folder.iterdir():
        file.chmod(0o644)


def _state(place: Place, stage: str) -> dict[str, Any]:
    """Steps, minutes and whether a stage came to its end."""
    state = torch.load(place.out / stage / CHECKPOINT, map_location="cpu", weights_only=True)
    return {"step": state["step"], "minutes": round(state["seconds"] / 60, 1), "done": state["done"]}


def _card(
    place: Place, states: dict[str, dict[str, Any]], figures: dict[str, float], parameters: int, steps: int
) -> str:
    recipe = place.recipe
    rows = []
    for stage, state in states.items():
        config: StageConfig = getattr(recipe, stage)
        parts = ", ".join(getattr(config, "trains", TRAINS.get(stage, ("temporal",))))
        rows.append(f"| {stage} | {state['step']:,} | {state['minutes']:g} | {parts} |".replace(",", " ", 1))
    kinds = corpus.kinds(corpus.read(place.corpus))
    data = "; ".join(f"{kind}: {sources} sources, {pictures} pictures" for kind, sources, pictures in kinds)
    metrics = [
        f"| {label} | {figures[f'{key}psnr']:.2f} | {figures[f'{key}haarpsi']:.3f} |"
        for label, key in (("texture", "texture "), ("decoder", ""), ("autoencoder", "autoencoder "))
    ]
    missing = [stage for stage in STAGES if not states.get(stage, {}).get("done")]
    limits = "Trained at 128x128 crops of pictures with a short side of 256; larger ones are unproven. "
    if missing:
        limits += (
            f"Short or stopped before their end: {', '.join(missing)}; a stage that left nothing is neutral. "
        )
    limits += "\nDetail that the texture does not carry is plausible, not true. Faces and text are not to be trusted."
    limits += (
        "\nOf textures in fine steps receivers show but a part of what the Refiner changes (`refine.share`)."
    )
    return CARD.format(
        parameters=parameters / 1e6,
        step=f"{sum(int(state['step']) for state in states.values()):,}".replace(",", " "),
        sizes=" and ".join(f"{size}x{size}" for size in recipe.model.sizes),
        classes=vocabulary.CLASSES,
        window=recipe.model.window,
        data=data[:1].upper() + data[1:] + ".",
        stages="\n".join(rows),
        low=recipe.degrade.kbps[0],
        high=recipe.degrade.kbps[1],
        loss=recipe.degrade.loss_max,
        scene=recipe.refinement.scene,
        unfrozen=UNFROZEN if "unet" in recipe.restoration.trains else FROZEN,
        crop=recipe.data.crop,
        steps=steps,
        metrics="\n".join(metrics),
        limits=limits,
    )
