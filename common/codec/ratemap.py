"""The rate map: which positions of a unit are sent and how finely, so that the picture gains most for the bits.

The sender does not know what was lost. It keeps, for each of a few imagined receivers that lose a given share of the
packets, the squared error that is to be expected at each position (as the recursive estimate of Zhang, Regunathan and
Rose, 2000, but in the latent), and weighs what sending a position at a level would take off it against the bits. So a
still background is refined once and then left out, but never for so long that those who lost it would miss it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.codec.entropy import MAX_ELEMENT, Elements
from common.codec.levels import LEFT_OUT, LEVELS, Levels, level_bits, quality_of
from common.codec.weights import ModelFiles

Plane = NDArray[np.float32]  # (channels, positions)

# Without feedback: loss shares of the imagined receivers and how much each counts. The first loses nothing.
IMAGINED_RECEIVERS = ((0.0, 0.35), (0.3, 0.25), (0.6, 0.2), (0.9, 0.2))
STATE_TRUST = (
    0.5  # how far the recovery leans from an element's middle to the state, inside the element's interval
)
STILLNESS_GUESS = 3  # distribution that the cost of the levels is estimated with
LOG_SLOPES = (-20.0, 20.0)  # bits for a unit of error: from nothing sent to everything
SEARCH_STEPS = 26


@dataclass(frozen=True, slots=True)
class Candidates:
    """Every way to code each position of a unit; index 0 leaves it out."""

    elements: list[Elements]  # of level 1..LEVELS
    bits: NDArray[np.float32]  # (LEVELS + 1, positions)
    error: NDArray[np.float32]  # (LEVELS + 1, positions): weighted squared error where the packet arrives

    def uniform_bits(self) -> NDArray[np.float32]:
        """Bits of the unit with all positions at one level, (LEVELS,)."""
        total: NDArray[np.float32] = self.bits[1:].sum(1)
        return total


@dataclass(frozen=True, slots=True)
class Receivers:
    """Those that the choice is made for: the share of packets that each will lose of this unit, how much each counts,
    and its expected error where nothing is sent. (receivers, 1), (receivers, 1), (receivers, positions)."""

    loss: NDArray[np.float32]
    share: NDArray[np.float32]
    before: NDArray[np.float32]
    imagined: bool = False


class RateMap:
    """Chooses the levels of one stream's units; keeps the imagined receivers' errors. Called by one thread."""

    def __init__(self, model: ModelFiles, positions: int) -> None:
        self._model = model
        middle = model.steps[len(model.steps) // 2]
        self._weights = (1 / (middle * middle))[:, None]
        self._losses, self._shares = np.array(IMAGINED_RECEIVERS, np.float32).T[:, :, None]
        self._expected = np.full((len(IMAGINED_RECEIVERS), positions), np.inf, np.float32)
        self._previous: Plane | None = None

    def candidates(self, latent: Plane, prior: Plane, kept: Plane, quality: int) -> Candidates:
        """latent: of the unit; prior: what is subtracted from it; kept: what the receiver shows where a position is
        left out, if it has what was sent before."""
        model = self._model
        elements, bits, errors = [], [np.zeros(latent.shape[1], np.float32)], [self.squared(latent - kept)]
        residual, shift = latent - prior, kept - prior
        for level in range(1, LEVELS + 1):
            step = model.steps[quality_of(level)][:, None]
            coded = np.rint(residual / step)
            elements.append(np.clip(coded, -MAX_ELEMENT, MAX_ELEMENT).astype(np.int32))
            middle = coded * step
            inside = np.clip(shift, middle - 0.5 * step, middle + 0.5 * step)
            errors.append(self.squared(residual - middle - STATE_TRUST * (inside - middle)))
            bits.append(model.tables.cost(elements[-1], level - 1))
        cost = np.stack(bits) + level_bits(quality, STILLNESS_GUESS)[:, None]
        return Candidates(elements, cost.astype(np.float32), np.stack(errors))

    def imagined(self, latent: Plane, base_prior: Plane, options: Candidates) -> Receivers:
        """The receivers of a sender that hears nothing: their errors are what they were and what has changed since,
        or what the base leaves open."""
        change = np.inf if self._previous is None else self.squared(latent - self._previous)
        self._previous = latent
        before = np.minimum(self._expected + change, self.squared(latent - base_prior))
        before[0] = options.error[LEFT_OUT]
        self._expected = before
        return Receivers(self._losses, self._shares, before, imagined=True)

    def choose(self, options: Candidates, receivers: Receivers, room: float) -> tuple[Levels, Elements]:
        """Levels and elements of the unit for at most `room` bits, if any choice needs so little."""
        lost, before = receivers.loss[:, None], receivers.before
        after = lost * before[:, None] + (1 - lost) * options.error  # (receivers, LEVELS + 1, positions)
        after[:, LEFT_OUT] = before
        urgency = receivers.share / (before.mean(1, keepdims=True) + 1e-6)  # as the mean of their PSNR has it
        levels = self._search((urgency[:, None] * after).sum(0) / urgency.sum(), options.bits, room)
        chosen = np.arange(levels.size)
        if receivers.imagined:
            self._expected = after[:, levels, chosen]
        elements = np.stack(options.elements)[np.maximum(levels, 1) - 1, :, chosen].T * (levels != LEFT_OUT)
        return levels, np.ascontiguousarray(elements, dtype=np.int32)

    def squared(self, difference: Plane) -> NDArray[np.float32]:
        """Weighted squared norm of each position, (positions,)."""
        error: NDArray[np.float32] = (self._weights * difference * difference).sum(0)
        return error

    def _search(self, error: NDArray[np.float32], bits: NDArray[np.float32], room: float) -> Levels:
        """The lowest error within `room` bits: bisection of the Lagrangian slope, on a logarithmic scale."""
        low, high = LOG_SLOPES
        best = bits.argmin(0)
        for _ in range(SEARCH_STEPS):
            middle = (low + high) / 2
            levels = (bits + np.exp(middle) * error).argmin(0)
            if np.take_along_axis(bits, levels[None], 0).sum() <= room:
                low, best = middle, levels
            else:
                high = middle
        found: Levels = best.astype(np.int32)
        return found
