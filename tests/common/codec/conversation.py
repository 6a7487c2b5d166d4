"""Encoder and decoder of one session, a seeded loss between them, and reports that come back some units later."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from common.codec.base import Budget, CodecError, DecodedUnit, EncodedUnit
from common.codec.decoder import ResilientDecoder
from common.codec.encoder import ResilientEncoder
from common.codec.header import CodecHeader
from common.codec.plan import LOSSES
from common.codec.weights import load_model
from common.video import Picture
from tests.common.codec.scene import FPS, HEIGHT, WIDTH, budget, mean_psnr, receive


def believing(loss: float, width: int = WIDTH, height: int = HEIGHT) -> ResilientEncoder:
    """An encoder that takes the loss to be this one of plan.LOSSES."""
    encoder = ResilientEncoder(load_model("resilient").model_id, width, height, FPS)
    encoder.believe(np.asarray(loss == LOSSES, np.float64))
    return encoder


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
    """`late`: units that leave before the report on one is back, None without feedback. `loss` of packets."""

    def __init__(self, late: int | None = None, loss: float = 0.0, seed: int = 1) -> None:
        model = load_model("resilient")
        self.encoder = ResilientEncoder(model.model_id, WIDTH, HEIGHT, FPS)
        self.decoder = ResilientDecoder(model)
        self.late, self._loss = late, loss
        self._rng = np.random.default_rng(seed)
        self.said: list[Said] = []

    def say(self, pictures: list[Picture], allowed: Budget | None = None) -> Said:
        """The next unit; reports that are due are there before it is encoded."""
        unit = len(self.said)
        if self.late is not None and unit > self.late:
            due = self.said[unit - self.late - 1]
            self.encoder.report(due.unit, due.arrived)
        encoded = self.encoder.encode(pictures, unit, allowed or budget())
        arrived = tuple(bool(self._rng.random() >= self._loss) for _ in encoded.payloads)
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
        return mean_psnr(pictures, decoded.pictures)
