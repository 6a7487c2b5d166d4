"""One optimisation step of the `resilient` model: encode, quantise, lose packets, recover, decode, weigh."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.models.entropy import BaseRateModel, RateModel
from common.models.resilient import Decoder, Encoder, Expansion, Quantiser, Recovery, zero_state
from common.training.config import TrainConfig
from common.training.levels import random_levels
from common.training.losses import distortion, squared_error


class ResilientModel(nn.Module):
    """All networks of the codec, as they are trained together and saved."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config.model
        self.encoder = Encoder(config.model)
        self.quantiser = Quantiser(config.model.latent)
        self.base_quantiser = Quantiser(config.model.base)
        self.rate_model = RateModel(config.model.latent)
        self.base_rate_model = BaseRateModel(config.model.base)
        self.expansion = Expansion(config.model)
        self.recovery = Recovery(config.model)
        self.decoder = Decoder(config.model)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step measured; `loss` carries the gradient."""

    loss: Tensor
    bits_per_pixel: float
    psnr_clean: float  # dB over undamaged sequences, nan if there were none
    psnr_damaged: float


def quality_lambda(config: TrainConfig, quality: Tensor) -> Tensor:
    """Rate-distortion weight, log-linear in the quality."""
    low, high = config.lambdas
    return low * (high / low) ** quality


def packets_a_unit(quality: Tensor) -> Tensor:
    """About how many packets a 256x256 unit of a quality travels in; the base is paid for in each."""
    return 2.5 * torch.exp(2.0 * quality)


def training_step(
    model: ResilientModel,
    config: TrainConfig,
    luma: Tensor,
    chroma: Tensor,
    masks: Tensor,
    rates: Tensor,
    quality: Tensor,
) -> StepResult:
    """luma (B, U*T, S, S), chroma (B, U*T, 2, S/2, S/2), masks (B, U, 1, h, w), rates (B,), quality (B,)."""
    b, u = masks.shape[:2]
    t = config.model.frames
    q = quality.repeat_interleave(u)
    with torch.autocast(luma.device.type, torch.bfloat16, enabled=config.bf16):
        latent, base = model.encoder(
            luma.reshape(b * u, t, *luma.shape[2:]), chroma.reshape(b * u, t, *chroma.shape[2:]), q
        )
    latent, base = latent.float(), base.float()
    coded_base, base_bits = _code_base(model, base, q)
    with torch.autocast(luma.device.type, torch.bfloat16, enabled=config.bf16):
        prior, context = (x.float() for x in model.expansion(coded_base))
    sent, level = random_levels(
        latent.detach().unflatten(0, (b, u)), model.quantiser(quality).detach(), quality
    )
    step = model.quantiser(level.flatten(0, 1)[:, 0]).permute(0, 3, 1, 2)
    coded, bits = _code_latent(model, latent - prior, step, level.flatten(0, 1))
    bits = (bits * sent.flatten(0, 1)).sum((1, 2, 3)) + packets_a_unit(q) * base_bits
    bpp = bits.reshape(b, u).mean(1) / (t * luma.shape[-1] * luma.shape[-2])

    arrived = sent * masks
    parts = {
        "latent": (prior + coded) * arrived.flatten(0, 1),
        "step": step * arrived.flatten(0, 1),
        "mask": arrived.flatten(0, 1),
        "kept": ((1.0 - sent) * masks).flatten(0, 1),
        "level": (level * arrived).flatten(0, 1),
        "prior": prior,
        "context": context,
        "based": masks.amax((2, 3, 4)).flatten(),
    }
    filled, hidden, recovery_error = _recover(
        model, config, {k: v.unflatten(0, (b, u)) for k, v in parts.items()}, latent.unflatten(0, (b, u))
    )
    with torch.autocast(luma.device.type, torch.bfloat16, enabled=config.bf16):
        out_luma, out_chroma = model.decoder(filled.flatten(0, 1), hidden.flatten(0, 1), parts["mask"], q)
    out_luma, out_chroma = out_luma.float().reshape_as(luma), out_chroma.float().reshape_as(chroma)

    lam = quality_lambda(config, quality)
    damage = distortion(out_luma, out_chroma, luma, chroma, config.similarity)
    weight = lam**-0.45 * (1.0 - config.damaged_weight * rates)
    loss = (weight * (bpp + lam * damage)).mean() + config.recovery_weight * recovery_error
    with torch.no_grad():
        psnr = 10 * torch.log10(255.0**2 / squared_error(out_luma, out_chroma, luma, chroma))
        clean = rates == 0
    return StepResult(
        loss,
        float(bpp.detach().mean()),
        float(psnr[clean].mean()),
        float(psnr[~clean].mean()),
    )


def _round(x: Tensor) -> Tensor:
    """Rounded, with the gradient of the identity."""
    return x + (x.round() - x).detach()


def _code_base(model: ResilientModel, base: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Quantised base (B, base, h, w) and its bits (B,)."""
    step = model.base_quantiser(q)[:, :, None, None]
    scaled = base / step
    noisy = scaled + torch.rand_like(scaled) - 0.5
    return _round(scaled) * step, model.base_rate_model(noisy, q).sum((1, 2, 3))


def _code_latent(
    model: ResilientModel, residual: Tensor, step: Tensor, level: Tensor
) -> tuple[Tensor, Tensor]:
    """Quantised residual (B, C, h, w) and the bits of its elements (B, C, h, w)."""
    scaled = residual / step
    rounded = _round(scaled)
    noisy = scaled + torch.rand_like(scaled) - 0.5
    return rounded * step, model.rate_model(noisy, rounded, level)


def _recover(
    model: ResilientModel, config: TrainConfig, parts: dict[str, Tensor], target: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the recovery over the units in order; parts and target are (B, U, ...) -> filled latents and hidden memories
    (B, U, ..., h, w), mean squared error of the filled latents where nothing was received, relative to each channel's
    spread."""
    b, u, _, h, w = target.shape
    last, hidden = zero_state(config.model, b, h, w)
    no_reset = torch.zeros(b)
    filled, memories = [], []
    spread = target.detach().var((0, 1, 3, 4), keepdim=True)[:, 0] + 1e-3
    error = torch.zeros(())
    for i in range(u):
        now = {name: part[:, i] for name, part in parts.items()}
        with torch.autocast(target.device.type, torch.bfloat16, enabled=config.bf16):
            last, hidden = model.recovery(**now, reset=no_reset, last=last, hidden=hidden)
        last, hidden = last.float(), hidden.float()
        filled.append(last)
        memories.append(hidden)
        missing = 1.0 - now["mask"]
        error = error + (missing * (last - target[:, i].detach()).square() / spread).mean() / u
    return torch.stack(filled, 1), torch.stack(memories, 1), error
