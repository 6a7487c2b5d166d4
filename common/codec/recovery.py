"""The recovery over units: what the receiver runs, and the sender to know what the receiver has."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.codec.entropy import Elements
from common.codec.header import QUALITIES, CodecHeader
from common.codec.levels import LEFT_OUT, LEVELS, quality_of
from common.codec.parse import LOST, ParsedUnit, lost_unit
from common.codec.weights import ModelFiles
from common.runtime import base as runtime

RECOVERED_SECONDS = (
    1.0  # a region that last arrived longer ago is held; with no neighbour now it counts as imagined
)

STATE_LIMIT = np.float32(16)  # more than the latent of any picture; holds what is left out for minutes

# Below 1, so that what the two ends round differently dies out over a chain of references.
REFERENCE_WEIGHT = np.float32(0.8)

_QUALITY_OF = np.array([0, *(quality_of(level) for level in range(1, LEVELS + 1))])

Latent = NDArray[np.float32]  # (1, channels, rows, columns)


@dataclass(frozen=True, slots=True)
class RecoveryState:
    """What is known after a unit; never changed in place."""

    latent: Latent
    hidden: Latent
    age: NDArray[np.float32]  # (rows, columns): seconds since each position arrived
    known: NDArray[np.bool_]  # (rows, columns): its elements arrived, and nothing of it was lost since


@dataclass(frozen=True, slots=True)
class Filled:
    """What of a unit the decoder network needs."""

    latent: Latent
    hidden: Latent
    mask: Latent  # (1, 1, rows, columns): 1 where elements arrived


class Recoverer:
    """Expansion and recovery networks of one model; keeps no state of its own. Called by one thread."""

    def __init__(self, model: ModelFiles, backend: str = "auto", threads: int = 1) -> None:
        self._model = model
        self._expansion = runtime.load(model.graph("expansion"), backend, threads)
        self._recovery = runtime.load(model.graph("recovery"), backend, threads)
        self._expanded: tuple[Elements, tuple[Latent, Latent]] | None = None

    def start(self, header: CodecHeader) -> RecoveryState:
        """The state before anything arrived."""
        grid, model = header.grid, self._model
        latent = np.zeros((1, model.latent, *grid), np.float32)
        hidden = np.zeros((1, model.hidden, *grid), np.float32)
        return RecoveryState(latent, hidden, np.full(grid, np.inf, np.float32), np.zeros(grid, np.bool_))

    def prior(self, header: CodecHeader, base: Elements, reference: RecoveryState | None) -> Latent:
        """What is subtracted from a unit's latent before coding: what its base tells, or, with a reference, mostly what
        the recovery makes of that state and the base."""
        own = self._expand(header, base)[0]
        if reference is None:
            return own
        foreseen = self.foresee(reference, replace(lost_unit(self._model, header), base=base))
        return own + REFERENCE_WEIGHT * (foreseen - own)

    def advance(
        self, state: RecoveryState, unit: ParsedUnit, reference: RecoveryState | None = None
    ) -> tuple[RecoveryState, Filled]:
        """Take in what arrived of the next unit; `reference`: the state that the unit was coded against, if any."""
        filled, hidden, mask = self._run(state, unit, reference)
        arrived = (unit.levels != LOST).reshape(state.age.shape)
        seconds = np.float32(self._model.frames / unit.header.fps)
        age = np.where(arrived, np.float32(0), state.age + seconds)
        # A guess builds on the guess before; without news such a recursion wanders off, over minutes beyond all bounds.
        # So an old region's state stays as it was, unless the base tells of it; only its picture may follow neighbours.
        old = (age > RECOVERED_SECONDS) & (unit.base is None)
        filled = np.clip(filled, -STATE_LIMIT, STATE_LIMIT)
        known = arrived & (state.known | unit.mask.reshape(state.age.shape))
        after = RecoveryState(np.where(old, state.latent, filled), hidden, age, known)
        return after, Filled(np.where(old & ~near(arrived), state.latent, filled), hidden, mask)

    def foresee(self, state: RecoveryState, unit: ParsedUnit) -> Latent:
        """What the recovery would fill in of this unit."""
        return self._run(state, unit, None)[0]

    def _expand(self, header: CodecHeader, base: Elements) -> tuple[Latent, Latent]:
        """Prior and context of a unit's base; the last one is remembered, as a sender asks for it several times."""
        if self._expanded is not None and self._expanded[0] is base:
            return self._expanded[1]
        rows, columns = header.grid
        steps = self._model.base_steps[header.quality][:, None]
        plane = (base * steps).astype(np.float32).reshape(1, -1, rows // 2, columns // 2)
        out = self._expansion.run({"base": plane})
        self._expanded = base, (out["prior"], out["context"])
        return self._expanded[1]

    def _run(
        self, state: RecoveryState, unit: ParsedUnit, reference: RecoveryState | None
    ) -> tuple[Latent, Latent, Latent]:
        header, model = unit.header, self._model
        plane = (1, 1, *header.grid)
        mask = unit.mask.astype(np.float32).reshape(plane)
        quality = _QUALITY_OF[np.maximum(unit.levels, LEFT_OUT)]
        step = (model.steps[quality].T * unit.mask).astype(np.float32).reshape(1, -1, *header.grid)
        coded = unit.elements.astype(np.float32).reshape(step.shape) * step
        if unit.base is None:
            prior = np.zeros(step.shape, np.float32)
            context = np.zeros((1, model.context, *header.grid), np.float32)
        else:
            prior, context = self._expand(header, unit.base)
        subtracted = prior
        if reference is not None and unit.base is not None:
            subtracted = self.prior(header, unit.base, reference)
        out = self._recovery.run(
            {
                "latent": (subtracted + coded) * mask,
                "step": step,
                "mask": mask,
                "kept": unit.kept.astype(np.float32).reshape(plane),
                "level": (quality.astype(np.float32) / np.float32(QUALITIES - 1)).reshape(plane),
                "prior": prior,
                "context": context,
                "based": np.array([unit.base is not None], np.float32),
                "reset": np.zeros(1, np.float32),
                "last": state.latent,
                "hidden": state.hidden,
            }
        )
        return out["filled"], out["hidden_out"], mask


def near(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Positions of which one in the 3x3 around arrived."""
    around = np.pad(mask, 1)
    h, w = mask.shape
    found: NDArray[np.bool_] = np.logical_or.reduce(
        [around[y : y + h, x : x + w] for y in range(3) for x in range(3)]
    )
    return found
