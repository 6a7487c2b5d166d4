"""A map of classes, its legend, and where maps come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.video import Frame

VOID = 255
"""Label of a pixel of which nothing is known."""

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Legend:
    """What the labels 0, 1, ... mean; shown beside a map and sent with it."""

    name: str
    classes: tuple[str, ...]
    colours: tuple[Colour, ...]
    """RGB, one a class."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.classes) < VOID:
            raise ValueError(f"classes: must be 1..{VOID - 1} (got {len(self.classes)})")
        if len(self.colours) != len(self.classes):
            raise ValueError(f"colours: must be one a class (got {len(self.colours)} of {len(self.classes)})")


@dataclass(frozen=True, slots=True)
class LabelMap:
    """The class of every pixel, and where they are told apart the instance that it belongs to."""

    labels: NDArray[np.uint8]
    """(H, W): below the number of classes, or VOID."""
    instances: NDArray[np.uint16] | None = None
    """(H, W), 0: of none."""


class MapSource(Protocol):
    """Where a sender's maps come from; called by one thread."""

    @property
    def legend(self) -> Legend: ...

    def map(self, frame: Frame) -> LabelMap | None:
        """The map of a frame, in its size; None where there is none for it. Raises ValueError for a map of another
        size or with labels that the legend does not know."""
        ...

    def reset(self) -> None:
        """Forget what came before: the next frame does not follow the last one."""
        ...

    def close(self) -> None:
        """Release what is held; called once."""
        ...
