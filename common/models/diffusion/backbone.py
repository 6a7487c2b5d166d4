"""One pass through an unchanged UNet2DConditionModel with the adapters beside it, and one through a ControlNet.

diffusers' own blocks cannot call anything between their layers, so the walk is spelled out here; layers, names and
weights are diffusers'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import Tensor

from common.models.diffusion.config import ConfigError
from common.models.diffusion.restoration import Side
from common.models.diffusion.temporal import TemporalPass

DOWN = {"DownBlock2D", "CrossAttnDownBlock2D"}
MID = {"UNetMidBlock2DCrossAttn"}
UP = {"UpBlock2D", "CrossAttnUpBlock2D"}


def check_backbone(unet: UNet2DConditionModel) -> None:
    """Raise ConfigError for a UNet of a family that the walk does not know (SDXL, inpainting, DeepFloyd, ...)."""
    config = unet.config
    blocks = {*config.down_block_types, *config.up_block_types, config.mid_block_type}
    if strange := blocks - DOWN - MID - UP:
        raise ConfigError(
            f"UNet blocks {', '.join(map(str, sorted(strange)))} are not of the SD 1.5 / 2.1 family"
        )
    for key in ("addition_embed_type", "class_embed_type", "encoder_hid_dim_type", "time_embedding_act_fn"):
        if config.get(key) is not None:
            raise ConfigError(
                f"the UNet needs {key}={config[key]!r} (SDXL?); use one of the SD 1.5 / 2.1 family"
            )
    if config.only_cross_attention is not False or config.in_channels != config.out_channels:
        raise ConfigError("the UNet is an upscaler or inpainting model; use a plain text-to-image one")


def pyramid(weight: Tensor, levels: int) -> list[Tensor]:
    """A map (B, 1, h, w) at every resolution inside the backbone."""
    maps = [weight]
    for _ in range(levels - 1):
        maps.append(F.avg_pool2d(maps[-1], 2))
    return maps


def embed_time(unet: Any, x: Tensor, t: Tensor) -> Tensor:
    """The embedding of timesteps (B,), in x's type."""
    embedded: Tensor = unet.time_embedding(unet.time_proj(t).to(x.dtype))
    return embedded


def _layer(block: Any, index: int, hidden: Tensor, emb: Tensor, context: Tensor, side: Side | None) -> Tensor:
    """Residual layer `index` of a block and its spatial transformer, if it has one."""
    hidden = block.resnets[index](hidden, emb)
    attentions = getattr(block, "attentions", None)
    return hidden if attentions is None else _transform(attentions[index], hidden, context, side)


def _transform(transformer: Any, hidden: Tensor, context: Tensor, side: Side | None) -> Tensor:
    extra = {} if side is None else {"cross_attention_kwargs": {"side": side}}
    out: Tensor = transformer(hidden, encoder_hidden_states=context, return_dict=False, **extra)[0]
    return out


def denoise(
    unet: UNet2DConditionModel,
    x: Tensor,
    t: Tensor,
    context: Tensor,
    side: Side | None = None,
    temporal: TemporalPass | None = None,
    residuals: Sequence[Tensor] = (),
) -> Tensor:
    """The output of the backbone for x (B, c, h, w) at t (B,).

    context (B, L, D); side: what happens beside self-attention; residuals: of Semantic Control, weighted already, one
    a skip connection and the middle's last.
    """
    emb = embed_time(unet, x, t)
    hidden: Tensor = unet.conv_in(x)
    skips = [hidden]
    for block in unet.down_blocks:
        for index in range(len(block.resnets)):
            hidden = _layer(block, index, hidden, emb, context, side)
            hidden = temporal(hidden) if temporal is not None else hidden
            skips.append(hidden)
        for downsampler in block.downsamplers or ():
            hidden = downsampler(hidden)
            skips.append(hidden)
    hidden = unet.mid_block.resnets[0](hidden, emb)
    for transformer, resnet in zip(unet.mid_block.attentions, unet.mid_block.resnets[1:], strict=True):
        hidden = _transform(transformer, hidden, context, side)
        hidden = temporal(hidden) if temporal is not None and temporal.has_mid else hidden
        hidden = resnet(hidden, emb)
    if residuals:
        skips = [skip + residual for skip, residual in zip(skips, residuals[:-1], strict=True)]
        hidden = hidden + residuals[-1]
    for block in unet.up_blocks:
        for index in range(len(block.resnets)):
            hidden = torch.cat((hidden, skips.pop()), 1)
            hidden = _layer(block, index, hidden, emb, context, side)
            hidden = temporal(hidden) if temporal is not None else hidden
        for upsampler in block.upsamplers or ():
            hidden = upsampler(hidden)
    out: Tensor = unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))
    return out


def embed_control(control: ControlNetModel, picture: Tensor) -> Tensor:
    """The embedding (B, C, h, w) of a map (B, K, H, W); once a frame, whatever the steps."""
    if control.config.controlnet_conditioning_channel_order == "bgr":
        picture = picture.flip(1)
    embedded: Tensor = control.controlnet_cond_embedding(picture)
    return embedded


def control_residuals(
    control: ControlNetModel,
    x: Tensor,
    t: Tensor,
    context: Tensor,
    embedded: Tensor,
    weights: Sequence[Tensor],
) -> list[Tensor]:
    """z_bar of Semantic Control for every skip connection and the middle (last), times lambda_C and trust.

    weights: the pyramid of lambda_C * trust, (B, 1, h, w) and down.
    """
    emb = embed_time(control, x, t)
    hidden = control.conv_in(x) + embedded
    features = [hidden]
    for block in control.down_blocks:
        extra = {"encoder_hidden_states": context} if getattr(block, "has_cross_attention", False) else {}
        hidden, made = block(hidden_states=hidden, temb=emb, **extra)
        features.extend(made)
    features.append(control.mid_block(hidden, emb, encoder_hidden_states=context))
    heads = (*control.controlnet_down_blocks, control.controlnet_mid_block)
    by_width = {int(weight.shape[-1]): weight for weight in weights}
    return [
        head(feature) * by_width[int(feature.shape[-1])]
        for head, feature in zip(heads, features, strict=True)
    ]
