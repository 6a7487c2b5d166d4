"""The packet erasure channel that training sees: the project's own interleaver, i.i.d. and bursty losses."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proto.interleaver import loss_mask


class ErasureChannel:
    """Seeded losses at packet granularity; a share of the sequences stays whole, so that clean links stay good."""

    def __init__(self, seed: int, loss_max: float) -> None:
        self.rng = np.random.default_rng(seed)
        self.loss_max = loss_max

    def masks(
        self, packets: NDArray[np.float64], units: int, height: int, width: int, clean_share: float
    ) -> tuple[Tensor, Tensor]:
        """Loss masks (batch, units, 1, height, width), 1 where a position arrived, and loss rates (batch,).

        `packets` (batch,): about how many packets a unit of each sequence travels in. `clean_share`: share of the
        sequences that lose nothing."""
        rng, batch = self.rng, len(packets)
        out = np.ones((batch, units, height * width), dtype=np.float32)
        rates = np.where(rng.random(batch) < clean_share, 0.0, rng.uniform(0.05, self.loss_max, batch))
        for b, rate in enumerate(rates):
            if rate == 0.0:
                continue
            count = max(2, round(float(packets[b] * rng.uniform(0.7, 1.4))))
            arrived = ~self._lost(units * count, float(rate)).reshape(units, count)
            for u in range(units):
                seed = int(rng.integers(0, 65536))
                out[b, u] = loss_mask(height * width, count, arrived[u], seed)
        masks = torch.from_numpy(out).reshape(batch, units, 1, height, width)
        return masks, torch.from_numpy(rates.astype(np.float32))

    def _lost(self, packets: int, rate: float) -> np.ndarray:
        """Lost packets: i.i.d., or Gilbert with bursts of 3 on average in a quarter of the sequences."""
        if self.rng.random() < 0.75:
            return np.asarray(self.rng.random(packets) < rate)
        leave = 1 / 3
        enter = min(1.0, leave * rate / (1 - rate))
        lost, bad = np.zeros(packets, dtype=bool), bool(self.rng.random() < rate)
        for i in range(packets):
            bad = bool(self.rng.random() < (1 - leave if bad else enter))
            lost[i] = bad
        return lost
