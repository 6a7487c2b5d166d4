"""Exact maps of the sources that are rendered: the tabletop clips, and the procedural scene."""

from __future__ import annotations

import numpy as np

from common.maps.base import LabelMap
from common.maps.legends import SYNTHETIC, TABLETOP
from common.service import ServiceError
from common.tabletop.files import VideoError
from common.values import Size
from common.video import Frame
from sender.capture.generated import SyntheticSource
from sender.capture.playback import ROUNDING
from sender.capture.tabletop import FPS, TabletopSource
from sender.maps.fit import fit


class TabletopMaps:
    """Classes and instances of a tabletop clip, which is read as a whole: seconds of maps."""

    def __init__(self, source: TabletopSource, size: Size, fps: float) -> None:
        """Raises ServiceError where the clip's maps cannot be read."""
        self.legend, self._fps = TABLETOP, fps
        try:
            self._maps = [
                LabelMap(fit(classes, size), fit(instances, size).astype(np.uint16))
                for classes, instances in zip(source.video.classes(), source.video.instances(), strict=True)
            ]
        except (VideoError, ValueError) as error:
            raise ServiceError(f"maps: {error}") from None

    def map(self, frame: Frame) -> LabelMap | None:
        """See MapSource; the clip is played again and again, as its pictures are."""
        at = int((frame.index / self._fps + ROUNDING) * FPS)
        return self._maps[at % len(self._maps)]

    def reset(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is held."""


class SyntheticMaps:
    """Who moves in the procedural scene, and where."""

    def __init__(self, source: SyntheticSource) -> None:
        self.legend, self._source = SYNTHETIC, source

    def map(self, frame: Frame) -> LabelMap | None:
        """See MapSource; None before the source has begun."""
        scene = self._source.scene
        return None if scene is None else LabelMap(*scene.maps(frame.index))

    def reset(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is held."""
