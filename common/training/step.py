"""One training step: the units of a batch in order, as a receiver sees them, through the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.codec.compose import LONG
from common.codec.header import FRAMES
from common.models.fusion import Fusion
from common.training.config import TrainConfig
from common.training.losses import decibels, dissimilarity, squared_error
from common.training.sequences import Batch


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step measured; `loss` carries the gradient."""

    loss: Tensor
    psnr: float  # dB, mean over units
    gain: float  # dB over the draft, of units of which something arrived
    gain_lost: float  # of the others; nan where there are none


def draft(
    batch: Batch, unit: int, last: tuple[Tensor, Tensor], missed: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Luma, chroma, spread and facts of a unit, as common.codec.compose makes them; `last` (B, 1, K, K) and
    (B, 2, K/2, K/2), -1 to 1; `missed` (B,) units right before of which no view was there."""
    device = last[0].device
    arrived = torch.from_numpy(batch.arrived[:, unit]).to(device)
    count = arrived.sum(1)
    luma, chroma = (_values(x[:, unit], device) for x in (batch.luma, batch.chroma))
    share = arrived / count.clamp(min=1)[:, None]
    y = torch.einsum("bv,bv...->b...", share, luma)
    c = torch.einsum("bv,bv...->b...", share, chroma)
    variance = torch.einsum("bv,bv...->b...", share, (luma - y[:, None]).square()).mean(1, keepdim=True)
    none = (count == 0).float()
    y = y + none[:, None, None, None] * last[0]
    c = c + none[:, None, None, None, None] * last[1][:, None]
    quality = (torch.from_numpy(batch.quality[:, unit]).to(device) * share).sum(1)
    shrink, age = torch.from_numpy(batch.shrink[:, unit]).to(device), missed.clamp(max=LONG) / LONG
    facts = torch.stack(((count == 1).float(), (count > 1).float(), quality, shrink, age), 1)
    return y, c, variance.sqrt(), facts


def training_step(network: Fusion, config: TrainConfig, batch: Batch) -> StepResult:
    """The loss of a batch: minus PSNR, and dissimilarity, of each unit alike."""
    sequences, units = batch.arrived.shape[:2]
    device = next(network.parameters()).device
    true_luma, true_chroma = _values(batch.true_luma, device), _values(batch.true_chroma, device)
    last = torch.zeros_like(true_luma[:, 0, :1]), torch.zeros_like(true_chroma[:, 0, 0])
    before, missed = last, torch.zeros(sequences, device=device)
    loss, shown, gained, alone = torch.zeros((), device=device), [], [], []
    for unit in range(units):
        y, c, spread, facts = draft(batch, unit, last, missed)
        with torch.autocast(y.device.type, torch.bfloat16, enabled=config.bf16):
            luma, chroma = network(y, c, spread, facts, *last, *before)
        luma, chroma = luma.float(), chroma.float()
        truth = true_luma[:, unit], true_chroma[:, unit]
        quality = decibels(squared_error(luma, chroma, *truth))
        worse = config.similarity * dissimilarity(luma, truth[0])
        loss = loss + (worse - quality).mean() / units
        last, before = (
            (luma[:, i : i + 1].clamp(-1, 1), chroma[:, i].clamp(-1, 1)) for i in (FRAMES - 1, FRAMES - 2)
        )
        nothing = torch.from_numpy(batch.arrived[:, unit].sum(1) == 0).to(device)
        missed = (missed + 1) * nothing
        with torch.no_grad():
            shown.append(quality.detach())
            gained.append(quality.detach() - decibels(squared_error(y, c, *truth)))
            alone.append(nothing)
    gain, lost = torch.stack(gained), torch.stack(alone)
    return StepResult(
        loss, float(torch.stack(shown).mean()), float(gain[~lost].mean()), float(gain[lost].mean())
    )


def _values(x: NDArray[np.uint8], device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(x)).to(device).float() / 127.5 - 1.0
