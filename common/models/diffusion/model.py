"""The whole decoder: autoencoder, backbone and the three adapters, each a part of its own that can be left out.

Shapes: B clips or streams, F frames of a clip, H x W samples, h x w of a latent, c latent channels, K control channels.
Pictures are RGB in [-1, 1]; trust is 1 where a place was received and 0 where nothing is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, ControlNetModel, UNet2DConditionModel
from torch import Tensor, nn

from common.models.diffusion.backbone import (
    check_backbone,
    control_residuals,
    denoise,
    embed_control,
    pyramid,
)
from common.models.diffusion.config import ConfigError, DiffusionConfig
from common.models.diffusion.refine import Refiner
from common.models.diffusion.restoration import Recorder, RestorationAdapter, Restorer, install
from common.models.diffusion.schedule import Schedule
from common.models.diffusion.temporal import (
    Attend,
    Joint,
    TemporalAdapter,
    TemporalPass,
    Windowed,
    block_mask,
)

Weight = float | Tensor
Attention = Literal["full", "block", "window"]


class DiffusionModel(nn.Module):
    """epsilon_{theta, omega, psi, phi}. Parts: vae, unet, context, control, restoration, temporal, refiner."""

    def __init__(
        self,
        config: DiffusionConfig,
        vae: AutoencoderTiny | AutoencoderKL,
        unet: UNet2DConditionModel,
        control: ControlNetModel,
        restoration: RestorationAdapter,
        temporal: TemporalAdapter,
        context: Tensor,
    ) -> None:
        """context: (1, L, D), what stands for the empty prompt. Raises ConfigError for parts that do not fit."""
        super().__init__()
        check_backbone(unet)
        check_parts(unet, control, temporal, context)
        install(unet)
        self.config, self.schedule = config, Schedule(config)
        self.vae, self.unet, self.control = vae, unet, control
        self.restoration, self.temporal = restoration, temporal
        self.context = nn.Parameter(context)
        self.refiner = (
            Refiner(config.refiner, config.refiner_blocks, config.control_channels)
            if config.refiner
            else None
        )

    def encode(self, picture: Tensor) -> Tensor:
        """Latent (B, c, h, w) of a picture (B, 3, H, W); the mean where the autoencoder gives a distribution."""
        coded = self.vae.encode(picture)
        latent: Tensor = coded.latent_dist.mode() if hasattr(coded, "latent_dist") else coded.latents
        latent = latent * self.vae.config.scaling_factor
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Picture (B, 3, H, W) of a latent; not clamped."""
        picture: Tensor = self.vae.decode(latent / self.vae.config.scaling_factor).sample
        return picture

    def clone_control(self) -> None:
        """Start Semantic Control as a copy of the backbone's encoder, its outputs zero (ControlNet's start)."""
        fresh = ControlNetModel.from_unet(
            self.unet,
            conditioning_embedding_out_channels=self.config.control_widths,
            conditioning_channels=self.config.control_channels,
        )
        self.control.load_state_dict(fresh.state_dict())

    def degraded_queries(self, latent: Tensor, t: Tensor) -> list[Tensor]:
        """Q~ of every self-attention: the frozen backbone alone over the degraded latent (N, c, h, w) at t (N,)."""
        recorder = Recorder()
        denoise(self.unet, latent, t, self.context.expand(len(latent), -1, -1), recorder)
        return recorder.queries

    def predict(
        self,
        x: Tensor,
        t: Tensor,
        embedded: Tensor | None = None,
        control_weight: Tensor | None = None,
        queries: Sequence[Tensor] | None = None,
        restoration_weight: Tensor | None = None,
        temporal: TemporalPass | None = None,
    ) -> Tensor:
        """Output for frames x (N, c, h, w) at t (N,). Weights: lambda times trust, (N, 1, h, w).

        embedded: of the control map, None: no Semantic Control; queries: Q~, None: no Restoration Adapter.
        """
        context = self.context.expand(len(x), -1, -1)
        residuals: list[Tensor] = []
        if embedded is not None:
            assert control_weight is not None
            weights = pyramid(control_weight, self.config.levels)
            residuals = control_residuals(self.control, x, t, context, embedded, weights)
        side = None
        if queries is not None:
            assert restoration_weight is not None
            gains = (
                gain.flatten(2).transpose(1, 2) for gain in pyramid(restoration_weight, self.config.levels)
            )
            side = Restorer(self.restoration, queries, {int(gain.shape[1]): gain for gain in gains})
        return denoise(self.unet, x, t, context, side, temporal, residuals)

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        *,
        control: Tensor | None = None,
        degraded: Tensor | None = None,
        degraded_noise: Tensor | None = None,
        temporal: Attention | None = None,
        adapter: TemporalAdapter | None = None,
        lambda_c: Weight | None = None,
        lambda_r: Weight | None = None,
        lambda_t: Weight | None = None,
        control_trust: Tensor | None = None,
        texture_trust: Tensor | None = None,
    ) -> Tensor:
        """Output for pictures (B, c, h, w) or clips (B, F, c, h, w); for training and whole clips.

        t: (B,) or (B, F); control, degraded, trusts: with F where x has it; degraded: clean latents, noised with
        `degraded_noise` if config.degraded_timestep is "same". None leaves an adapter out. adapter: instead of
        self.temporal. Weights default to the configuration's.
        """
        clip = x.ndim == 5
        frames = x.shape[1] if clip else 1
        flat = x.flatten(0, 1) if clip else x
        t = t[:, None].expand(-1, frames).flatten() if t.ndim == 1 else t.flatten()
        config = self.config

        def weight(value: Weight | None, default: float, trust: Tensor | None) -> Tensor:
            number = torch.as_tensor(default if value is None else value, dtype=x.dtype, device=x.device)
            number = number.expand(x.shape[0]).repeat_interleave(frames)[:, None, None, None]
            if trust is None:
                return number.expand(-1, 1, *x.shape[-2:])
            return number * (trust.flatten(0, 1) if clip else trust)

        embedded = queries = motion = None
        if control is not None:
            trust = None if control_trust is None else control_trust.flatten(0, 1) if clip else control_trust
            embedded = self.embed(control.flatten(0, 1) if clip else control, trust)
        if degraded is not None:
            noise = (
                None if degraded_noise is None else degraded_noise.flatten(0, 1) if clip else degraded_noise
            )
            queries = self.queries_at(degraded.flatten(0, 1) if clip else degraded, t, noise)
        if temporal is not None:
            strength = weight(lambda_t, config.lambda_temporal, None)[:, :, :1, :1]
            attend = attend_by(temporal, frames, config.window, x.device)
            motion = TemporalPass(adapter or self.temporal, attend, frames, strength)
        out = self.predict(
            flat, t, embedded, weight(lambda_c, config.lambda_control, control_trust),
            queries, weight(lambda_r, config.lambda_restoration, texture_trust), motion,
        )  # fmt: skip
        return out.reshape(x.shape)

    def embed(self, control: Tensor, trust: Tensor | None = None) -> Tensor:
        """Embedding (N, C, h, w) of maps (N, K, H, W); what is not trusted (N, 1, h, w) is blanked first."""
        if trust is not None:
            scale = self.config.downscale
            control = control * trust.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
        return embed_control(self.control, control)

    def queries_at(self, latent: Tensor, t: Tensor, noise: Tensor | None) -> list[Tensor]:
        """Q~ for steps at t (N,), at the timestep that the configuration shows the backbone."""
        if self.config.degraded_timestep == "zero":
            return self.degraded_queries(latent, torch.zeros_like(t))
        if noise is None:
            raise ValueError('degraded_timestep "same" needs degraded_noise: the noise of x')
        return self.degraded_queries(self.schedule.add_noise(latent, noise, t), t)


def attend_by(name: Attention, frames: int, window: int, device: torch.device) -> Attend:
    """How the frames of a clip see each other."""
    if name == "window":
        return Windowed(frames, window)
    return Joint(None if name == "full" else block_mask(frames, window).to(device))


def check_parts(
    unet: UNet2DConditionModel, control: ControlNetModel, temporal: TemporalAdapter, context: Tensor
) -> None:
    """Raise ConfigError where an adapter or the context is not of this backbone's family."""
    widths = list(unet.config.block_out_channels)
    if list(control.config.block_out_channels) != widths or len(control.down_blocks) != len(unet.down_blocks):
        raise ConfigError(
            f"the ControlNet has widths {list(control.config.block_out_channels)}, the UNet {widths}"
        )
    if (want := unet.config.cross_attention_dim) != control.config.cross_attention_dim:
        raise ConfigError(
            f"the ControlNet is for contexts of {control.config.cross_attention_dim}, the UNet for {want} (1.5 or 2.1?)"
        )
    if context.ndim != 3 or context.shape[0] != 1 or context.shape[2] != want:
        raise ConfigError(f"the context is {tuple(context.shape)}, the UNet wants (1, tokens, {want})")
    motion = temporal.motion
    layers = [len(block.resnets) for block in (*unet.down_blocks, *unet.up_blocks)]
    have = [len(block.motion_modules) for block in (*motion.down_blocks, *motion.up_blocks)]
    if list(motion.config.block_out_channels) != widths or have != layers:
        raise ConfigError(
            f"the motion adapter has widths {list(motion.config.block_out_channels)} and {have} modules a block, "
            f"the UNet {widths} and {layers}: it is of another family"
        )


def build(config: DiffusionConfig, seed: int = 0) -> DiffusionModel:
    """A decoder with random weights, the adapters neutral; the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kind = AutoencoderTiny if config.vae_kind == "tiny" else AutoencoderKL
        try:
            vae, unet, temporal = (
                kind(**config.vae),
                UNet2DConditionModel(**config.unet),
                TemporalAdapter(config.motion),
            )
        except (TypeError, ValueError, KeyError, IndexError, ZeroDivisionError) as error:
            raise ConfigError(f"diffusers cannot build this configuration: {error}") from None
        check_backbone(unet)
        control = ControlNetModel.from_unet(
            unet,
            conditioning_embedding_out_channels=config.control_widths,
            conditioning_channels=config.control_channels,
        )
        restoration = RestorationAdapter(unet)
        restoration.init_from(unet)
        context = torch.randn(1, config.context_tokens, unet.config.cross_attention_dim) * 0.02
        return DiffusionModel(config, vae, unet, control, restoration, temporal, context)
