"""Settings of the stages: one YAML file a recipe, a section a stage."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.config import read_yaml
from common.config_errors import ConfigError, problems

STRICT = ConfigDict(extra="forbid", frozen=True)


class DataConfig(BaseModel):
    """What is drawn how often."""

    model_config = STRICT

    crop: int = Field(
        default=128, description="pixels of a side of a sample, a multiple of 64", multiple_of=64
    )
    shares: dict[str, float] = Field(
        default={"clip": 0.5, "street": 0.2, "tabletop": 0.3},
        description="kind of source -> how often it is drawn",
    )
    matte: float = Field(
        default=0.25, description="share of the clips whose map is shown as a matte would show it"
    )
    stands: float = Field(
        default=0.3,
        description="share of the clips made of one picture whose camera stands: textures grow fine",
    )
    caps: dict[str, float] = Field(
        default={"droid": 0.25}, description="prefix of a source's name -> its weight, else 1"
    )


class DegradeConfig(BaseModel):
    """What is done to textures and maps before a receiver sees them."""

    model_config = STRICT

    coded: float = Field(
        default=0.75, description="share of the clips whose texture goes through our own codec"
    )
    kbps: tuple[float, float] = Field(
        default=(0.2, 14.0),
        description="payload of the texture of 256x256 pictures, drawn evenly by its logarithm",
    )
    lossy: float = Field(default=0.4, description="share of the clips that lose packets")
    loss_max: float = Field(default=0.5, description="largest loss of packets")
    told: float = Field(default=0.5, description="share of the clips whose encoder is told what arrived")
    blur: float = Field(default=1.5, description="largest deviation of the blur, in pixels of the full size")
    grain: float = Field(
        default=6.0, description="largest deviation of the noise, of 255, in the small picture"
    )
    jpeg: tuple[int, int] = Field(default=(10, 70), description="quality of the JPEG that stands for a codec")
    contours: float = Field(default=0.7, description="share of the maps that go through the contour codec")
    floor: tuple[float, float] = Field(
        default=(0.3, 0.95), description="mean IoU that the contour codec keeps: at a few kbit/s it is low"
    )
    contour_packet: int = Field(default=300, description="largest payload of contours, bytes")


class StageConfig(BaseModel):
    """What all stages have in common."""

    model_config = STRICT

    steps: int = Field(description="optimiser steps, where no --minutes is given")
    share: float = Field(
        default=1.0, description="part of --minutes that this stage gets, relative to the others", ge=0
    )
    batch: int = 8
    batch_cuda: int = Field(default=64, description="the batch on a GPU")
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    warm_up_steps: int = 100
    weight_decay: float = 1e-2
    gradient_clip: float = 1.0
    average: float = Field(default=0.998, description="share of the kept weights that stays at each step")
    bf16: bool = Field(default=True, description="bfloat16 autocast where it helps")


class AutoencoderConfig(StageConfig):
    """The tiny autoencoder, in the layout of diffusers' AutoencoderTiny."""

    width: int = 64
    latent_channels: int = 16
    encoder_blocks: tuple[int, ...] = Field(
        default=(0, 1, 2, 3), description="residual blocks at 1, 1/2, 1/4, 1/8"
    )
    decoder_blocks: tuple[int, ...] = Field(
        default=(3, 2, 1, 0), description="residual blocks at 1/8, 1/4, 1/2, 1"
    )
    gradient: float = Field(default=1.0, description="weight of the multi-scale gradient loss")
    haarpsi: float = Field(default=0.1, description="weight of 1 - HaarPSI")
    latent: float = Field(
        default=0.01, description="weight of what keeps the latents near mean 0, deviation 1"
    )
    noise: float = Field(default=0.1, description="deviation of the noise that the decoder must not mind")
    zoom: float = Field(default=1.5, description="largest magnification of a sample")


class ClipsConfig(BaseModel):
    """The clips whose latents the later stages are trained on."""

    model_config = STRICT

    clips: int = Field(default=1200, description="how many")
    clips_cuda: int = Field(default=20000, description="how many where there is a GPU")
    frames: int = Field(default=8, description="frames of a clip, K")
    frames_cuda: int = Field(default=16, description="frames of a clip where there is a GPU")


class ModelConfig(BaseModel):
    """Sizes of the backbone; the adapters follow from them."""

    model_config = STRICT

    name: str = "compact"
    widths: tuple[int, ...] = Field(default=(64, 128, 192), description="channels at each resolution")
    head: int = Field(default=32, description="channels of an attention head")
    groups: int = Field(default=32, description="groups of the normalisation")
    control_widths: tuple[int, ...] = (8, 16, 32, 64)
    window: int = Field(default=3, description="W: past frames that a frame sees besides itself")
    steps: int = Field(default=4, description="the most steps of a frame")
    strength: float = Field(
        default=0.3, description="how far towards noise it is trained to start", gt=0, le=1
    )
    served: float | None = Field(default=None, description="how far it starts in use", gt=0, le=1)
    prediction: Literal["epsilon", "v_prediction", "sample"] = "v_prediction"
    sizes: tuple[int, ...] = (256, 512)
    refiner: tuple[int, ...] = Field(
        default=(64, 128), description="channels of the Refiner at 1/4 and 1/8 of the size; none: no Refiner"
    )
    refiner_blocks: int = Field(default=3, description="residual blocks of each of its stretches")


Part = Literal["unet", "context", "control", "restoration", "temporal"]


class DenoiseConfig(StageConfig):
    """A stage of the diffusion loss (eq. 3): backbone, control, restoration or teacher."""

    trains: tuple[Part, ...] = Field(
        description="the parts whose parameters move; all others stay as they are"
    )
    control: float = Field(default=0.0, description="share of the samples that see their map", ge=0, le=1)
    texture: float = Field(default=0.0, description="share of the samples that see their texture", ge=0, le=1)
    frames: int | None = Field(
        default=1, description="frames of a sample; more than one: with the Temporal Adapter; null: all"
    )
    degraded: float = Field(
        default=0.0,
        description="share of the samples made by noising what lies between clean and degraded, up to `strength`",
    )
    weak: float = Field(default=0.3, description="least deviation of the noise that the loss is scaled by")


class DistillConfig(StageConfig):
    """What LCM and DMD share: the student sees a causal window, the teacher whole clips."""

    conditioned: bool = Field(
        default=False, description="whether map and texture are seen, as they will be in use"
    )
    degraded: float = Field(
        default=0.0, description="share of the samples that start from the noised texture"
    )


class LcmConfig(DistillConfig):
    """Eq. 5."""

    videos: int = Field(
        default=0, description="clips that are sampled from the teacher to train on; 0: real ones"
    )
    video_steps: int = Field(default=25, description="steps of such a sampling")


class DmdConfig(DistillConfig):
    """Eq. 6: the teacher gives the real score, the critic the fake one."""

    nearest: float = Field(default=0.02, description="t_min, of all timesteps")
    farthest: float = Field(default=0.98, description="t_max, of all timesteps")
    critic_steps: int = Field(default=1, description="updates of the critic for one of the student", ge=1)
    anchor: float = Field(
        default=0.0, description="weight of the distance from the true latents; the paper has none"
    )


class PicturesConfig(BaseModel):
    """The clips, as pixels, that the Refiner is trained on."""

    model_config = STRICT

    clips: int = Field(default=1600, description="how many")
    clips_cuda: int = Field(default=8000, description="how many where there is a GPU")
    every: int = Field(default=2, description="of the frames of a clip, one in so many is kept", ge=1)


class RefinementConfig(StageConfig):
    """The Refiner."""

    control: float = Field(default=0.8, description="share of the samples that see their map", ge=0, le=1)
    plain: float = Field(
        default=0.3, description="share of the samples that see the texture in place of what was decoded"
    )
    blind: float = Field(default=0.05, description="share of the samples that see no texture")
    late: float = Field(
        default=0.5, description="share of the samples whose map is of another moment: shifted"
    )
    shift: int = Field(default=12, description="pixels that such a map is shifted by at most, each way", ge=0)
    turned: float = Field(default=0.3, description="share of the batches that lie on a side or upside down")
    tinted: float = Field(default=0.5, description="share of the batches in another light")
    squared: float = Field(default=1.0, description="weight of the squared difference")
    gradient: float = Field(default=1.0, description="weight of the multi-scale gradient loss")
    haarpsi: float = Field(default=0.6, description="weight of 1 - HaarPSI")
    scene: float = Field(
        default=0.3,
        description="weight of how differently the street segmenter sees what was made where the map is of a street",
        ge=0,
    )


class RecipeConfig(BaseModel):
    """Everything that makes a run repeatable."""

    model_config = STRICT

    seed: int = 1
    data: DataConfig = DataConfig()
    degrade: DegradeConfig = DegradeConfig()
    clips: ClipsConfig = ClipsConfig()
    model: ModelConfig = ModelConfig()
    autoencoder: AutoencoderConfig
    backbone: DenoiseConfig
    control: DenoiseConfig
    restoration: DenoiseConfig
    teacher: DenoiseConfig
    lcm: LcmConfig
    dmd: DmdConfig
    pictures: PicturesConfig = PicturesConfig()
    refinement: RefinementConfig


def load(path: Path) -> RecipeConfig:
    """Read and validate. Raises ConfigError, with all that is wrong in one line."""
    try:
        return RecipeConfig.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ConfigError(f"--config: {path}: {'; '.join(problems(error, (), {}, ''))}") from None
