"""Settings of the stages: one YAML file a recipe, a section a stage."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

STRICT = ConfigDict(extra="forbid", frozen=True)


class DataConfig(BaseModel):
    """What is drawn how often."""

    model_config = STRICT

    crop: int = Field(128, description="pixels of a side of a sample, a multiple of 64", multiple_of=64)
    shares: dict[str, float] = Field(
        {"clip": 0.5, "street": 0.2, "tabletop": 0.3}, description="kind of source -> how often it is drawn"
    )
    matte: float = Field(0.25, description="share of the clips whose map is shown as a matte would show it")
    caps: dict[str, float] = Field({"droid": 0.25}, description="prefix of a source's name -> its weight, else 1")


class DegradeConfig(BaseModel):
    """What is done to textures and maps before a receiver sees them."""

    model_config = STRICT

    coded: float = Field(0.6, description="share of the clips whose texture goes through our own codec")
    kbps: tuple[float, float] = Field((1.5, 14.0), description="wire rate of the texture, drawn evenly by its logarithm")
    lossy: float = Field(0.4, description="share of the clips that lose packets")
    loss_max: float = Field(0.5, description="largest loss of packets")
    blur: float = Field(1.5, description="largest deviation of the blur, in pixels of the full size")
    grain: float = Field(6.0, description="largest deviation of the noise, of 255, in the small picture")
    jpeg: tuple[int, int] = Field((10, 70), description="quality of the JPEG that stands for a codec")
    contours: float = Field(0.7, description="share of the maps that go through the contour codec")
    floor: tuple[float, float] = Field((0.75, 0.95), description="mean IoU that the contour codec keeps")
    contour_packet: int = Field(300, description="largest payload of contours, bytes")


class StageConfig(BaseModel):
    """What all stages have in common."""

    model_config = STRICT

    steps: int = Field(description="optimiser steps, where no --minutes is given")
    share: float = Field(1.0, description="part of --minutes that this stage gets, relative to the others", ge=0)
    batch: int = 8
    batch_cuda: int = Field(64, description="the batch on a GPU")
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    warm_up_steps: int = 100
    weight_decay: float = 1e-2
    gradient_clip: float = 1.0
    average: float = Field(0.998, description="share of the kept weights that stays at each step")
    bf16: bool = Field(True, description="bfloat16 autocast where it helps")


class AutoencoderConfig(StageConfig):
    """The tiny autoencoder, in the layout of diffusers' AutoencoderTiny."""

    width: int = 64
    latent_channels: int = 16
    encoder_blocks: tuple[int, ...] = Field((0, 1, 2, 3), description="residual blocks at 1, 1/2, 1/4, 1/8")
    decoder_blocks: tuple[int, ...] = Field((3, 2, 1, 0), description="residual blocks at 1/8, 1/4, 1/2, 1")
    gradient: float = Field(1.0, description="weight of the multi-scale gradient loss")
    haarpsi: float = Field(0.1, description="weight of 1 - HaarPSI")
    latent: float = Field(0.01, description="weight of what keeps the latents near mean 0, deviation 1")
    noise: float = Field(0.1, description="deviation of the noise that the decoder must not mind")
    zoom: float = Field(1.5, description="largest magnification of a sample")


class RecipeConfig(BaseModel):
    """Everything that makes a run repeatable."""

    model_config = STRICT

    seed: int = 1
    data: DataConfig = DataConfig()
    degrade: DegradeConfig = DegradeConfig()
    autoencoder: AutoencoderConfig


def load(path: Path) -> RecipeConfig:
    """Read and validate; raises pydantic.ValidationError or yaml.YAMLError."""
    return RecipeConfig.model_validate(yaml.safe_load(path.read_text()))
