"""Sizes and schedule of a diffusion decoder; saved as config.json beside its weights. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self, get_args

Prediction = Literal["epsilon", "v_prediction", "sample"]
Sampler = Literal["lcm", "ddim"]
DegradedTimestep = Literal["zero", "same"]

LAMBDA_CONTROL = 0.4  # weights of the adapters found best in the paper's section VI-A
LAMBDA_RESTORATION = 0.8
LAMBDA_TEMPORAL = 1.0


class ConfigError(ValueError):
    """A configuration that no decoder can be built from; the message names the key and the fix."""


@dataclass(frozen=True, slots=True)
class DiffusionConfig:
    """What a decoder is made of. `unet`, `vae` and `motion` are the keywords of diffusers' constructors.

    The same keys thus describe our compact networks and anything in the layout of Stable Diffusion.
    """

    name: str
    unet: Mapping[str, Any]  # UNet2DConditionModel
    vae: Mapping[str, Any]  # AutoencoderTiny or AutoencoderKL
    motion: Mapping[str, Any]  # MotionAdapter (AnimateDiff)
    vae_kind: Literal["tiny", "kl"] = "tiny"
    control_channels: int = 3  # classes of a one-hot map, or 3 for a map in colours
    control_widths: tuple[int, ...] = (
        16,
        32,
        96,
        256,
    )  # of the embedding of the map; one halving less than entries
    context_tokens: int = 1  # length of what stands for the empty prompt
    window: int = 3  # W: past frames that a frame attends to, besides itself
    clip_frames: int = 16  # K: frames of a clip in training
    steps: int = 4  # the most denoising steps
    sizes: tuple[int, ...] = (256, 512)  # sides of pictures that the weights are meant for
    prediction: Prediction = "epsilon"
    sampler: Sampler = "lcm"
    degraded_timestep: DegradedTimestep = "zero"  # at what t the backbone sees the degraded latent
    timesteps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012
    beta_schedule: str = "scaled_linear"
    original_steps: int = 50  # of the schedule that few-step sampling takes its steps from
    strength: float = (
        1.0  # how far towards noise frames start: 1 from noise alone, less from the noised degraded latent
    )
    refiner: tuple[int, ...] = ()  # channels of the Refiner at 1/4 and 1/8 of the size; none: no Refiner
    refiner_blocks: int = 3
    lambda_control: float = LAMBDA_CONTROL
    lambda_restoration: float = LAMBDA_RESTORATION
    lambda_temporal: float = LAMBDA_TEMPORAL
    notes: Mapping[str, str] = field(default_factory=dict)  # free text for model cards

    def __post_init__(self) -> None:
        """Raise ConfigError for values that contradict each other."""
        for key, kind in (
            ("prediction", Prediction),
            ("sampler", Sampler),
            ("degraded_timestep", DegradedTimestep),
        ):
            if getattr(self, key) not in get_args(kind):
                raise ConfigError(f"{key} is {getattr(self, key)!r}; use one of {', '.join(get_args(kind))}")
        if self.vae_kind not in ("tiny", "kl"):
            raise ConfigError(
                f"vae_kind is {self.vae_kind!r}; use tiny (AutoencoderTiny) or kl (AutoencoderKL)"
            )
        if not 1 <= self.window < self.positions:
            raise ConfigError(
                f"window {self.window} needs 1..{self.positions - 1}: the motion module knows no more"
            )
        if not 1 <= self.clip_frames <= self.positions:
            raise ConfigError(f"clip_frames {self.clip_frames} needs 1..{self.positions} positions")
        if not 0 < self.strength <= 1:
            raise ConfigError(f"strength {self.strength} must lie in (0, 1]")
        if len(self.refiner) not in (0, 2):
            raise ConfigError(f"refiner has {len(self.refiner)} widths; give two, or none for no Refiner")
        if not 1 <= self.steps <= self.original_steps <= self.timesteps:
            raise ConfigError("steps, original_steps and timesteps must not fall in this order")
        if self.unet.get("in_channels", 4) != self.vae.get("latent_channels", 4):
            raise ConfigError("unet.in_channels and vae.latent_channels differ")
        if list(self.motion.get("block_out_channels", SD_WIDTHS)) != list(
            self.unet.get("block_out_channels", SD_WIDTHS)
        ):
            raise ConfigError("motion.block_out_channels and unet.block_out_channels differ")
        if 2 ** (len(self.control_widths) - 1) != self.downscale:
            raise ConfigError(
                f"control_widths must halve the picture to 1/{self.downscale}, as the autoencoder does"
            )

    @property
    def positions(self) -> int:
        """How many frames the motion module's positional encoding tells apart."""
        return int(self.motion.get("motion_max_seq_length", 32))

    @property
    def latent_channels(self) -> int:
        """Channels of a latent."""
        return int(self.vae.get("latent_channels", 4))

    @property
    def downscale(self) -> int:
        """Samples of the picture on a side of one of the latent."""
        if self.vae_kind == "tiny":
            return int(2 ** (len(self.vae.get("num_encoder_blocks", (1, 3, 3, 3))) - 1))
        return int(2 ** (len(self.vae.get("block_out_channels", (64,))) - 1))

    @property
    def levels(self) -> int:
        """Resolutions inside the backbone."""
        return len(self.unet.get("block_out_channels", SD_WIDTHS))

    @property
    def multiple(self) -> int:
        """Sides of a picture are multiples of this."""
        return int(self.downscale * 2 ** (self.levels - 1))

    def check_size(self, height: int, width: int) -> None:
        """Raise ConfigError if pictures of this size do not fit the network."""
        if height < self.multiple or width < self.multiple or height % self.multiple or width % self.multiple:
            raise ConfigError(
                f"{width}x{height}: both sides must be multiples of {self.multiple}; crop or pad"
            )

    def with_(self, **changes: Any) -> Self:
        """A copy with other values."""
        return replace(self, **changes)

    def to_json(self) -> str:
        """The text of config.json."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read config.json; raise ConfigError for anything but a complete, known configuration."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"config.json is not JSON: {error}") from None
        if not isinstance(values, dict):
            raise ConfigError("config.json must hold one object")
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ConfigError(f"config.json: unknown {', '.join(unknown)}; written by a newer version?")
        try:
            settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
            return cls(**settings)
        except ConfigError:
            raise
        except (TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"config.json: {error}") from None


SD_WIDTHS = (320, 640, 1280, 1280)


def _compact(
    name: str,
    widths: tuple[int, ...],
    attention: tuple[bool, ...],
    head: int,
    groups: int,
    tiny: int,
    latent: int,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Keywords of the backbone, autoencoder and motion modules of one of our own networks: one layer a level."""
    downs = tuple("CrossAttnDownBlock2D" if on else "DownBlock2D" for on in attention)
    ups = tuple("CrossAttnUpBlock2D" if on else "UpBlock2D" for on in reversed(attention))
    unet = dict(
        in_channels=latent, out_channels=latent, block_out_channels=widths, layers_per_block=1,
        down_block_types=downs, up_block_types=ups, norm_num_groups=groups, use_linear_projection=True,
        cross_attention_dim=widths[0],
        attention_head_dim=tuple(max(1, width // head) for width in widths),  # diffusers: the number of heads
    )  # fmt: skip
    vae = dict(
        latent_channels=latent, encoder_block_out_channels=(tiny,) * 4, decoder_block_out_channels=(tiny,) * 4,
        num_encoder_blocks=(1, 1, 2, 2), num_decoder_blocks=(2, 2, 2, 1),
    )  # fmt: skip
    motion = dict(
        block_out_channels=widths, motion_layers_per_block=1, motion_norm_num_groups=groups,
        motion_num_attention_heads=tuple(max(1, width // head) for width in widths), use_motion_mid_block=False,
    )  # fmt: skip
    return unet, vae, motion


def _presets() -> dict[str, DiffusionConfig]:
    unet, vae, motion = _compact("toy", (8, 16), (True, True), 8, 4, 4, 4)
    toy = DiffusionConfig(
        "toy", unet, vae, motion, control_channels=5, control_widths=(4, 4, 8, 8), sizes=(32, 64),
        refiner=(8, 16), refiner_blocks=1,
    )  # fmt: skip
    unet, vae, motion = _compact("compact", (64, 128, 192), (True, True, True), 32, 32, 32, 8)
    compact = DiffusionConfig(
        "compact", unet, vae, motion, control_channels=16, control_widths=(8, 16, 32, 64), refiner=(64, 128)
    )
    sd15 = DiffusionConfig(
        "sd15",
        unet=dict(cross_attention_dim=768, attention_head_dim=8, sample_size=64),
        vae={}, motion={}, context_tokens=77, sizes=(512,),
    )  # fmt: skip
    return {preset.name: preset for preset in (toy, compact, sd15)}


PRESETS: Mapping[str, DiffusionConfig] = _presets()
