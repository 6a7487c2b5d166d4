"""The texture encoder: pictures of the full size -> small ones -> payloads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from common.codec.base import Budget, EncodedUnit
from common.codec.effort import Effort
from common.codec.encoder import ResilientEncoder
from common.codec.header import FRAMES
from common.codec.texture.header import HEADER_BYTES, MOST_FRAMES, TextureHeader
from common.codec.texture.scaling import shrink
from common.codec.weights import load_model
from common.video import Picture

UNIT_SECONDS = 1.0  # that a unit lasts, about


def unit_frames(fps: float) -> int:
    """Pictures of a unit by default: about UNIT_SECONDS of them, a multiple of 4."""
    return max(FRAMES, min(MOST_FRAMES, round(UNIT_SECONDS * fps / FRAMES) * FRAMES))


class TextureEncoder:
    """Encodes units that each stand alone. Called by one thread. Raises CodecError for a size or rate out of range."""

    def __init__(
        self,
        width: int,
        height: int,
        fps: float,
        frames: int | None = None,
        scale: int = 4,
        effort: Effort | None = None,
    ) -> None:
        """`frames` of a unit, a multiple of 4 up to 32; `scale`: sides of the pictures over those of the small ones."""
        fps = round(4 * fps) / 4
        self._header = TextureHeader(width, height, fps, frames or unit_frames(fps), scale)
        small = [-(-side // (16 * scale)) * 16 for side in (width, height)]
        self._small = small[0], small[1]
        self._inner = ResilientEncoder(load_model("resilient").model_id, *self._small, fps, effort)

    @property
    def frames_per_unit(self) -> int:
        """Pictures of one access unit."""
        return self._header.frames

    def encode(self, pictures: Sequence[Picture], unit: int, budget: Budget) -> EncodedUnit:
        """See UnitEncoder.encode."""
        header = self._header
        if len(pictures) != header.frames or any(
            picture.shape != (header.height * 3 // 2, header.width) for picture in pictures
        ):
            raise ValueError(f"pictures: must be {header.frames} of {header.width}x{header.height}")
        step = header.frames // FRAMES
        taken = [shrink(picture, *self._small) for picture in pictures[step // 2 :: step]]
        inner = replace(
            budget,
            packet_overhead=budget.packet_overhead + HEADER_BYTES,
            max_payload=budget.max_payload - HEADER_BYTES,
        )
        encoded = self._inner.encode(taken, unit, inner)
        return replace(encoded, payloads=[bytes(header) + payload for payload in encoded.payloads])

    def report(self, unit: int, arrived: Sequence[bool] | None) -> None:
        """See UnitEncoder.report."""
        self._inner.report(unit, arrived)
