"""The stages in their order: what each starts from, trains and leaves in the run's folder.

A run's folder holds one folder a stage with its checkpoint and log, and `clips` with the latents.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.models.diffusion import vocabulary
from common.models.diffusion.config import DiffusionConfig
from common.models.diffusion.model import DiffusionModel, build
from common.models.diffusion.temporal import TemporalAdapter
from common.training.diffusion import autoencoder, clips, corpus
from common.training.diffusion.clips import Latents
from common.training.diffusion.config import RecipeConfig, StageConfig
from common.training.diffusion.denoise import DenoiseTask
from common.training.diffusion.distill import DmdTask, LcmTask, teach
from common.training.diffusion.refinement import RefinementTask, decoded
from common.training.diffusion.runner import CHECKPOINT, Limits, Run, Task, kept, train
from common.training.diffusion.samples import Sampler
from common.training.diffusion.store import FACTS, Arrays, Store, fill

log = logging.getLogger("diffusion")

STAGES = (
    *("autoencoder", "clips", "backbone", "control", "restoration", "teacher", "lcm", "dmd"),
    *("pictures", "refinement"),
)
SAMPLES = ("clips", "pictures")
"""Stages that train nothing: they make what later ones are trained on."""
BEFORE = {
    **{"clips": "autoencoder", "lcm": "teacher", "dmd": "lcm"},
    **{"pictures": "restoration", "refinement": "pictures"},
}
"""Stage -> the one whose results it starts from; all but the first two want the clips besides."""
WEIGHTS = tuple(stage for stage in STAGES if stage not in SAMPLES)
"""Stages that leave weights, in the order in which they overwrite each other."""


class StageError(RuntimeError):
    """A stage that cannot run; the message says which comes first."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run reads and writes, and on what it computes."""

    recipe: RecipeConfig
    out: Path
    corpus: Path
    device: str

    @property
    def cuda(self) -> bool:
        """Whether the recipe's sizes for a GPU count."""
        return self.device.startswith("cuda")

    @property
    def frames(self) -> int:
        """Frames of a clip."""
        return self.recipe.clips.frames_cuda if self.cuda else self.recipe.clips.frames


def model_config(recipe: RecipeConfig, frames: int, scale: float = 1.0) -> DiffusionConfig:
    """The decoder of a recipe, in diffusers' keywords."""
    m, a = recipe.model, recipe.autoencoder
    levels = len(m.widths)
    unet = {
        "in_channels": a.latent_channels,
        "out_channels": a.latent_channels,
        "block_out_channels": m.widths,
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D",) * levels,
        "up_block_types": ("CrossAttnUpBlock2D",) * levels,
        "norm_num_groups": m.groups,
        "use_linear_projection": True,
        "cross_attention_dim": m.widths[0],
        "attention_head_dim": tuple(
            max(1, width // m.head) for width in m.widths
        ),  # diffusers' name for their number
    }
    motion = {
        "block_out_channels": m.widths,
        "motion_layers_per_block": 1,
        "motion_norm_num_groups": m.groups,
        "motion_num_attention_heads": tuple(max(1, width // m.head) for width in m.widths),
        "use_motion_mid_block": False,
    }
    vae = {
        "latent_channels": a.latent_channels,
        "encoder_block_out_channels": (a.width,) * len(a.encoder_blocks),
        "decoder_block_out_channels": (a.width,) * len(a.decoder_blocks),
        "num_encoder_blocks": a.encoder_blocks,
        "num_decoder_blocks": a.decoder_blocks,
        "scaling_factor": scale,
    }
    return DiffusionConfig(
        m.name,
        unet,
        vae,
        motion,
        control_channels=vocabulary.CLASSES,
        control_widths=m.control_widths,
        window=m.window,
        clip_frames=frames,
        steps=m.steps,
        sizes=m.sizes,
        prediction=m.prediction,
        lambda_control=1.0,
        lambda_restoration=1.0,
        lambda_temporal=1.0,
        strength=m.served or m.strength,
        refiner=m.refiner,
        refiner_blocks=m.refiner_blocks,
    )


def assemble(place: Place, before: str | None = None) -> DiffusionModel:
    """The decoder with what the stages (those before `before`) have left, the newest of each part."""
    folder = place.out / "clips"
    scale = Latents(folder).scale if (folder / FACTS).exists() else 1.0
    model = build(model_config(place.recipe, place.frames, scale), place.recipe.seed)
    for stage in WEIGHTS[: WEIGHTS.index(before)] if before else WEIGHTS:
        weights = kept(place.out / stage)
        if weights is None:
            continue
        if stage == "autoencoder":
            weights = {f"vae.{name}": value for name, value in weights.items()}
        strange = model.load_state_dict(weights, strict=False).unexpected_keys
        if strange:
            raise StageError(f"{place.out / stage}: made with another recipe; begin anew ({strange[0]})")
    return model


def needs(place: Place, stage: str) -> None:
    """Raise StageError where what a stage builds on is not there."""
    wanted = [BEFORE.get(stage), None if stage in STAGES[:2] else "clips"]
    for first in [one for one in wanted if one]:
        if not (place.out / first / (FACTS if first in SAMPLES else CHECKPOINT)).exists():
            raise StageError(f"{stage}: needs {first} first; run that stage, or `all`, into {place.out}")


def run(place: Place, stage: str, seconds: float | None, stop: Event) -> bool:
    """Run a stage from where it was left; `seconds`: instead of its steps. Whether it is at its end."""
    needs(place, stage)
    log.info("stage %s", stage)
    if stage == "clips":
        return make_clips(place, stop)
    if stage == "pictures":
        return make_pictures(place, stop)
    torch.manual_seed(place.recipe.seed)
    config: StageConfig = getattr(place.recipe, stage)
    limits = Limits(config.steps, seconds)
    key = place.recipe.seed, STAGES.index(stage)
    task = create(place, stage)
    if isinstance(task, LcmTask) and place.recipe.lcm.videos:
        if not make_videos(task, place, stop):
            return False
        task.latents = Taught(task.latents, place.out / stage / "videos")
    ahead = 3 if place.cuda else 0
    return train(Run(task, config, limits, key, place.device), place.out / stage, stop, ahead=ahead)


def create(place: Place, stage: str) -> Task:
    """What a stage trains, with the weights of those before it."""
    recipe, device, strength = place.recipe, place.device, place.recipe.model.strength
    if stage == "autoencoder":
        network = autoencoder.create(recipe.autoencoder)
        sources = corpus.read(place.corpus)
        return autoencoder.AutoencoderTask(network, recipe.autoencoder, recipe.data, sources, device)
    latents, model = Latents(place.out / "clips"), assemble(place, stage)
    if stage == "refinement":
        if model.refiner is None:
            raise StageError("refinement: model.refiner gives no widths, so there is nothing to train")
        return RefinementTask(model.refiner, recipe.refinement, place.out / "pictures", device)
    if stage == "control" and "control" in recipe.control.trains:
        model.clone_control()
    if stage == "restoration":
        model.restoration.init_from(model.unet)
    if stage not in ("lcm", "dmd"):
        return DenoiseTask(model, getattr(recipe, stage), latents, strength, device)
    teacher = TemporalAdapter(model.config.motion)
    before = assemble(place, "lcm").temporal
    teacher.load_state_dict(before.state_dict())
    if stage == "dmd":
        return DmdTask(model, teacher, recipe.dmd, latents, strength, device)
    return LcmTask(model, teacher, recipe.lcm, latents, strength, device)


def encoder(place: Place) -> clips.Encode:
    """Pictures to latents, with the averaged weights of the autoencoder."""
    network = autoencoder.create(place.recipe.autoencoder)
    weights = kept(place.out / "autoencoder")
    assert weights is not None
    network.load_state_dict(weights)
    half = network.encoder.to(place.device).to(memory_format=torch.channels_last)

    @torch.no_grad()
    def encode(pictures: NDArray[np.uint8]) -> NDArray[np.float16]:
        with torch.autocast(place.device.split(":")[0], torch.bfloat16):
            latents: Tensor = half(autoencoder.tensor(pictures).to(place.device))
        return np.asarray(latents.float().cpu().numpy(), np.float16)

    return encode


def fingerprint(path: Path) -> str:
    """Of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def drawer(place: Place, key: int) -> Callable[[int], clips.Clip]:
    """Draws and degrades clip number n of those of a key."""
    recipe = place.recipe
    sampler = Sampler(corpus.read(place.corpus), recipe.data.shares, recipe.data.caps, recipe.data.crop)

    def one(number: int) -> clips.Clip:
        rng = np.random.default_rng((recipe.seed, key, number))
        return clips.draw(sampler, rng, place.frames, recipe.data, recipe.degrade)

    return one


def make_clips(place: Place, stop: Event) -> bool:
    """Draw, degrade and encode the clips of a recipe."""
    recipe, one = place.recipe, drawer(place, STAGES.index("clips"))
    count = recipe.clips.clips_cuda if place.cuda else recipe.clips.clips
    key = fingerprint(place.out / "autoencoder" / CHECKPOINT)
    return clips.make(place.out / "clips", count, place.frames, key, one, encoder(place), stop)


def make_pictures(place: Place, stop: Event) -> bool:
    """Draw and degrade fresh clips, and decode them with all that was trained before."""
    config, key = place.recipe.pictures, STAGES.index("pictures")
    one, encode = drawer(place, key), encoder(place)
    model = assemble(place, "refinement").to(place.device).eval()

    def values(number: int) -> Arrays:
        rng = np.random.default_rng((place.recipe.seed, key, number, 1))
        return decoded(model, one(number), encode, config.every, rng, place.device)

    count = config.clips_cuda if place.cuda else config.clips
    return fill(place.out / "pictures", count, made_with(place, "refinement"), values, stop)


def made_with(place: Place, before: str) -> str:
    """Of all weights that the stages before `before` have left."""
    there = [place.out / stage / CHECKPOINT for stage in WEIGHTS[: WEIGHTS.index(before)]]
    return "-".join(fingerprint(path) for path in there if path.exists())


class Taught(Latents):
    """Clips whose clean latents are the teacher's."""

    def __init__(self, like: Latents, videos: Path) -> None:
        stored = Store(videos)
        self.count, self.scale = stored.count, like.scale
        self._arrays = {**like._arrays, **stored.arrays}


def make_videos(task: LcmTask, place: Place, stop: Event) -> bool:
    """Sample the teacher's latents of the first clips, to distil from."""
    latents, config, seed = task.latents, place.recipe.lcm, place.recipe.seed

    def values(number: int) -> Arrays:
        noise = torch.Generator(place.device).manual_seed(seed * 1_000_003 + number)
        video = teach(task, latents.clip(number), config.video_steps, noise)[0] / latents.scale
        return {"clean": video.cpu().numpy().astype(np.float16)}

    settings = seed, task.strength, config.video_steps, config.conditioned, config.degraded
    key = "-".join((made_with(place, "lcm"), *map(str, settings)))
    return fill(place.out / "lcm" / "videos", min(config.videos, latents.count), key, values, stop)


def run_all(place: Place, minutes: float | None, stop: Event) -> bool:
    """All stages in order, each with its share of `minutes` of optimisation (None: with its steps). Making the clips is
    not counted."""
    configs: dict[str, StageConfig] = {stage: getattr(place.recipe, stage) for stage in WEIGHTS}
    total = sum(config.share for config in configs.values())
    for stage in STAGES:
        seconds = None
        if minutes is not None and stage in WEIGHTS:
            seconds = 60 * minutes * configs[stage].share / total
            if not seconds:
                continue
        if not run(place, stage, seconds, stop):
            return False
    return True
