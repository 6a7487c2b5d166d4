"""Shown pictures for sink tests."""

from __future__ import annotations

import numpy as np

from receiver.play.base import Shown, SignalState
from tests.receiver.link import scene


def shown(
    number: int,
    width: int = 64,
    height: int = 48,
    state: SignalState = SignalState.LIVE,
    concealed: bool = False,
) -> Shown:
    """Tick `number` of a moving scene at 15 pictures/s."""
    trust = (np.arange((height // 16) * (width // 16), dtype=np.uint8) % 3).reshape(height // 16, width // 16)
    return Shown(
        number=number,
        picture=scene(number, width, height),
        trust=trust,
        unit=number // 4,
        offset=number % 4,
        captured_at=1000.0 + number / 15,
        shown_at=1000.5 + number / 15,
        arrived=0.5,
        state=state,
        concealed=concealed,
        repeated=False,
        fps=15.0,
    )
