"""The source of maps that a specification names."""

from __future__ import annotations

import cv2
import numpy as np

from common.config import ConfigError
from common.maps.base import LabelMap, Legend
from common.tabletop.classes import CLASSES
from common.tabletop.files import shipped
from common.video import Frame, cover

CLIP_FPS = 10.0


class TabletopMaps:
    """Exact maps of a tabletop clip."""

    def __init__(self, number: int, width: int, height: int, fps: float) -> None:
        self.legend = Legend("tabletop", tuple(c.name for c in CLASSES), tuple(c.colour for c in CLASSES))
        maps = list(shipped()[number].classes())
        side = maps[0].shape[0]
        wide, high, left, top = cover(side, side, width, height)
        self._maps = [
            np.asarray(
                cv2.resize(one, (wide, high), interpolation=cv2.INTER_NEAREST)[
                    top : top + height, left : left + width
                ],
                np.uint8,
            )
            for one in maps
        ]
        self._fps = fps

    def map(self, frame: Frame) -> LabelMap | None:
        """See MapSource."""
        return LabelMap(self._maps[int(frame.index / self._fps * CLIP_FPS + 1e-6) % len(self._maps)])

    def reset(self) -> None:
        """See MapSource."""

    def close(self) -> None:
        """See MapSource."""


def create_map_source(spec: str, source: str, width: int, height: int, fps: float) -> TabletopMaps:
    """Raises ConfigError."""
    name, _, number = source.partition(":")
    if spec not in ("auto", "source") or name != "tabletop":
        raise ConfigError(f"maps.source: {spec} is not known")
    return TabletopMaps(int(number or 0), width, height, fps)
