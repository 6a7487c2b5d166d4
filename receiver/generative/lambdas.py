"""How much each adapter of the generative decoder counts. Imports nothing of torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lambdas:
    """Weights of the adapters; None: as the decoder's weights say, 0: left out, which costs nothing."""

    control: float | None = None
    restoration: float | None = None
    temporal: float | None = None
