"""One optimisation step of the `resilient` model: encode, quantise, lose packets, recover, decode, weigh."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.models.entropy import RateModel
from common.models.resilient import Decoder, Encoder, Quantiser, Recovery, RecoveryState
from common.training.config import TrainConfig
from common.training.losses import distortion, squared_error


class ResilientModel(nn.Module):
    """All networks of the codec, as they are trained together and saved."""

    def __init__(self, config: TrainConfig) -> None:
        super().__init__()
        self.config = config.model
        self.encoder = Encoder(config.model)
        self.quantiser = Quantiser(config.model.latent)
        self.rate_model = RateModel(config.model.latent)
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
    unit_luma = luma.reshape(b * u, t, *luma.shape[2:])
    unit_chroma = chroma.reshape(b * u, t, *chroma.shape[2:])
    q = quality.repeat_interleave(u)
    with torch.autocast(luma.device.type, torch.bfloat16, enabled=config.bf16):
        latent = model.encoder(unit_luma, unit_chroma, q).float()
    step = model.quantiser(q)
    scaled = latent / step[:, :, None, None]
    rounded = scaled + (scaled.round() - scaled).detach()
    noisy = scaled + torch.rand_like(scaled) - 0.5
    bits = model.rate_model(noisy, rounded, q).sum((1, 2, 3)).reshape(b, u).mean(1)
    bpp = bits / (t * luma.shape[-1] * luma.shape[-2])

    received = (rounded * step[:, :, None, None]).reshape(b, u, *latent.shape[1:])
    filled, recovery_error = _recover(model, config, received, latent.reshape_as(received), masks, step, q)
    with torch.autocast(luma.device.type, torch.bfloat16, enabled=config.bf16):
        out_luma, out_chroma = model.decoder(filled.flatten(0, 1), masks.flatten(0, 1), q)
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


def _recover(
    model: ResilientModel,
    config: TrainConfig,
    received: Tensor,
    target: Tensor,
    masks: Tensor,
    step: Tensor,
    q: Tensor,
) -> tuple[Tensor, Tensor]:
    """Run the recovery over the units in order -> filled latents (B, U, C, h, w), mean squared error where missing
    (relative to the spread of each channel)."""
    b, u, c, h, w = received.shape
    quality, steps = q.reshape(b, u), step.reshape(b, u, c)
    last, hidden = RecoveryState.init(config.model, b, h, w)
    no_reset = torch.zeros(b)
    filled = []
    spread = target.detach().var((0, 1, 3, 4), keepdim=True) + 1e-3
    error = torch.zeros(())
    for i in range(u):
        with torch.autocast(received.device.type, torch.bfloat16, enabled=config.bf16):
            last, hidden = model.recovery(
                received[:, i] * masks[:, i], masks[:, i], steps[:, i], quality[:, i], no_reset, last, hidden
            )
        last, hidden = last.float(), hidden.float()
        filled.append(last)
        missing = 1.0 - masks[:, i]
        error = error + (missing * (last - target[:, i].detach()).square() / spread[:, 0]).mean() / u
    return torch.stack(filled, 1), error
