"""Encoder and decoder of one session, a seeded loss between them, and reports that come back some units later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.codec.base import Budget, CodecError, DecodedUnit, EncodedUnit
from common.codec.decoder import ResilientDecoder
from common.codec.encoder import ResilientEncoder
from common.codec.header import CodecHeader
from common.codec.recovery import RecoveryState
from common.codec.weights import load_model
from common.video import Picture
from tests.common.codec.scene import FPS, HEIGHT, WIDTH, budget, psnr, receive


@dataclass(frozen=True)
class Said:
    """A unit that was sent, and what became of it."""

    unit: int
    encoded: EncodedUnit
    arrived: tuple[bool, ...]
    decoded: DecodedUnit | None  # None before anything has arrived

    @property
    def header(self) -> CodecHeader:
        """Of the first packet."""
        return CodecHeader.parse(self.encoded.payloads[0])


class Conversation:
    """`late`: units that leave before the report on one is back, None without feedback. `lost`: units that are lost
    wholly."""

    def __init__(
        self, late: int | None = None, loss: float = 0.0, lost: Sequence[int] = (), seed: int = 1
    ) -> None:
        model = load_model("resilient")
        self.encoder = ResilientEncoder(model, WIDTH, HEIGHT, FPS)
        self.decoder = ResilientDecoder(model)
        self.late, self._loss, self._lost = late, loss, set(lost)
        self._rng = np.random.default_rng(seed)
        self.said: list[Said] = []

    def say(self, pictures: list[Picture], allowed: Budget | None = None) -> Said:
        """The next unit; reports that are due are there before it is encoded."""
        unit = len(self.said)
        if self.late is not None and unit > self.late:
            due = self.said[unit - self.late - 1]
            self.encoder.report(due.unit, due.arrived)
        encoded = self.encoder.encode(pictures, unit, allowed or budget())
        heard = unit not in self._lost
        arrived = tuple(bool(heard and self._rng.random() >= self._loss) for _ in encoded.payloads)
        try:
            decoded = self.decoder.decode(receive(encoded, unit, list(arrived)))
        except CodecError as error:
            if "nothing has arrived" not in str(error):
                raise
            decoded = None
        self.said.append(Said(unit, encoded, arrived, decoded))
        return self.said[-1]

    def quality(self, pictures: list[Picture]) -> float:
        """PSNR of the last unit, dB."""
        decoded = self.said[-1].decoded
        assert decoded is not None
        return float(np.mean([psnr(a, b) for a, b in zip(pictures, decoded.pictures, strict=True)]))


def assert_equal_states(one: RecoveryState | None, other: RecoveryState | None) -> None:
    """Bit for bit."""
    assert one is not None
    assert other is not None
    for name in ("latent", "hidden", "age"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
