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
from common.training.diffusion.corpus import Facts, Pictures, Source, add_labels, read, write
from common.values import Size
from common.video import Frame

log = logging.getLogger("corpus")

SEEN = "-seen"
"""Ends the name of a source once more, with the classes of streets as they are found in it."""
FEW = 32
"""Pictures of a clip that is no street. The classes found there are mostly wrong, as where a sender uses the wrong
network."""


def add_seen(folder: Path) -> None:
    """What moves of every clip that has no map, and the classes of streets of everything but tables once more; what is
    there stays."""
    sources = read(folder)
    names = {source.name for source in sources}
    for source in sources:
        kind = source.facts.kind
        if kind == "clip" and source.labels is None:
            add_labels(folder, source.name, np.stack(list(found(source, source.frames, MatteMaps))))
            log.info("%s: what moves", source.name)
        if kind == "tabletop" or source.name.endswith(SEEN) or source.name + SEEN in names:
            continue
        frames = source.frames if kind == "street" else source.frames[:FEW]
        facts = Facts(kind, source.facts.still, source.facts.fps)
        write(folder, source.name + SEEN, facts, list(frames), list(found(source, frames, StreetMaps)))
        log.info("%s: its classes as they are found", source.name)


def found(
    source: Source, frames: Pictures, network: type[StreetMaps] | type[MatteMaps]
) -> Iterator[NDArray[np.uint8]]:
    """A map (H, W) in shared labels of each of these pictures of a source; VOID where nothing is found yet."""
    height, width = frames.shape[1:3]
    maps = network(Size(width, height))
    table = vocabulary.lookup(maps.legend)
    for index, pixels in enumerate(frames):
        picture = np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2YUV_I420), np.uint8)
        labels = maps.map(Frame(picture, index / source.facts.fps, index))
        yield np.full((height, width), VOID, np.uint8) if labels is None else table[labels.labels]
