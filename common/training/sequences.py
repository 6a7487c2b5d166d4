"""The sequences that common.training.views made, as batches, and what of them arrives. Seeded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.codec.header import FRAMES, QUALITIES, SHRINKS
from common.codec.plan import VIEWS
from common.training.views import KEPT

BURSTS = 0.3  # share of the sequences that lose something which lose all of some units
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Batch:
    """B sequences of U units. true_luma (B, U, T, K, K), true_chroma (B, U, T, 2, K/2, K/2); luma (B, U, V, T, K, K)
    and chroma likewise; arrived (B, U, V): 1 for the views that do; quality (B, U, V) and shrink (B, U), 0..1."""

    true_luma: Bytes
    true_chroma: Bytes
    luma: Bytes
    chroma: Bytes
    arrived: NDArray[np.float32]
    quality: NDArray[np.float32]
    shrink: NDArray[np.float32]
    clean: NDArray[np.bool_]  # (B,) sequences that lose nothing


class Sequences:
    """Random batches of a folder's sequences, half of them turned over."""

    def __init__(self, folder: Path, clean_share: float, loss_max: float, seed: int) -> None:
        self.paths = sorted(path for path in folder.glob("*.npz") if ".partial" not in path.name)
        if not self.paths:
            raise FileNotFoundError(f"{folder}: no sequences; make them with python -m common.training.views")
        self._clean_share, self._loss_max = clean_share, loss_max
        self._rng = np.random.default_rng(seed)

    def batch(self, count: int) -> Batch:
        """`count` sequences."""
        rows = [self._sequence(self.paths[i]) for i in self._rng.integers(0, len(self.paths), count)]
        return Batch(*(np.stack(column) for column in zip(*rows, strict=True)))

    def _sequence(self, path: Path) -> tuple[object, ...]:
        rng = self._rng
        with np.load(path) as stored:
            arrays = dict(stored)
        units = len(arrays["true_luma"]) // FRAMES
        true_luma = arrays["true_luma"].reshape(units, FRAMES, KEPT, KEPT)
        true_chroma = arrays["true_chroma"].reshape(units, FRAMES, 2, KEPT // 2, KEPT // 2)
        luma = np.zeros((units, VIEWS, *true_luma.shape[1:]), np.uint8)
        chroma = np.zeros((units, VIEWS, *true_chroma.shape[1:]), np.uint8)
        there, quality = np.zeros((units, VIEWS), np.float32), np.zeros((units, VIEWS), np.float32)
        shrink = np.zeros(units, np.float32)
        for row, unit in enumerate(arrays["unit"]):
            view = int(there[unit].sum())
            luma[unit, view], chroma[unit, view] = arrays["luma"][row], arrays["chroma"][row]
            there[unit, view], quality[unit, view] = 1, arrays["quality"][row] / (QUALITIES - 1)
            shrink[unit] = (arrays["shrink"][row] - 1) / (SHRINKS[-1] - 1)
        clean = rng.random() < self._clean_share
        loss = 0.0 if clean else rng.uniform(0.05, self._loss_max)
        there *= rng.random(there.shape) >= loss
        if units > 1 and not clean and rng.random() < BURSTS:
            begin, length = rng.integers(1, units), rng.integers(1, 4)
            there[begin : begin + length] = 0
        if rng.random() < 0.5:
            true_luma, true_chroma, luma, chroma = (
                x[..., ::-1, :] for x in (true_luma, true_chroma, luma, chroma)
            )
        return true_luma, true_chroma, luma, chroma, there, quality, shrink, np.bool_(clean)
