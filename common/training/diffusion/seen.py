"""Maps as the networks of a sender find them, for training on what is served: they are a little wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from common.maps.base import VOID
from common.maps.networks import MatteMaps, StreetMaps
from common.models.diffusion import vocabulary
from common.training.diffusion.corpus import Facts, Source, add_labels, read, write
from common.values import Size
from common.video import Frame

log = logging.getLogger("corpus")

SEEN = "-seen"
"""Ends the name of a street's source whose maps are found and not drawn."""


def add_seen(folder: Path) -> None:
    """What moves of every clip that has no map, and the classes of every street once more; what is there stays."""
    sources = read(folder)
    names = {source.name for source in sources}
    for source in sources:
        if source.facts.kind == "clip" and source.labels is None:
            add_labels(folder, source.name, np.stack(list(found(source))))
            log.info("%s: what moves", source.name)
        elif (
            source.facts.kind == "street"
            and not source.name.endswith(SEEN)
            and source.name + SEEN not in names
        ):
            facts = Facts("street", source.facts.still, source.facts.fps)
            write(folder, source.name + SEEN, facts, list(source.frames), list(found(source)))
            log.info("%s: its classes as they are found", source.name)


def found(source: Source) -> Iterator[NDArray[np.uint8]]:
    """A map (H, W) in shared labels of each picture; VOID where nothing is found yet."""
    height, width = source.frames.shape[1:3]
    maps = (StreetMaps if source.facts.kind == "street" else MatteMaps)(Size(width, height))
    table = vocabulary.lookup(maps.legend)
    for index, pixels in enumerate(source.frames):
        picture = np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2YUV_I420), np.uint8)
        labels = maps.map(Frame(picture, index / source.facts.fps, index))
        yield np.full((height, width), VOID, np.uint8) if labels is None else table[labels.labels]
