"""What an error of a pixel costs in mean IoU, and how much mean IoU a bit must bring."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from common.codec.contour.raster import Labels

Floats = NDArray[np.float32]
MEMORY = 0.97  # of a unit's counts in the next: unions are of the last dozens of units


class Measure:
    """Counts of true by decoded class over the last units; void is class `classes` and counts for nothing."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self._counts = np.zeros((classes, classes))

    def add(self, counts: NDArray[np.int64]) -> None:
        """Those of one unit (classes, classes)."""
        self._counts = self._counts * MEMORY + counts

    @property
    def miou(self) -> float:
        """Mean IoU over the classes that were seen lately; 1 before there is any."""
        return mean_iou(self._counts)

    def errors(self, truth: Labels) -> Floats:
        """What an error costs, by true class (void last) and decoded class: a part of the mean IoU of this unit."""
        counts = self._counts
        own = histogram(truth, self.classes + 1)[: self.classes].astype(float)
        frames = max(counts.sum() / max(truth.size, 1), 1e-9)
        known = counts.sum() > 0
        hit = np.diag(counts) / frames if known else own
        union = (counts.sum(axis=0) + counts.sum(axis=1)) / frames - hit if known else own
        union = np.maximum(np.maximum(union, own), 1e-4 * truth.size)
        present = (union > 1e-4 * truth.size) | (own > 0)
        missed = 1 / union
        wrong = np.clip(hit / union, 0.3, 1) / union
        out = np.zeros((self.classes + 1, self.classes), np.float32)
        out[:-1] = (missed[:, None] * present[:, None] + wrong[None]) / max(int(present.sum()), 1)
        out[np.arange(self.classes), np.arange(self.classes)] = 0
        return out


def counts(truth: Labels, decoded: Labels, classes: int) -> NDArray[np.int64]:
    """Pixels by true and decoded class; void (`classes`) is left out."""
    most = classes * (classes + 1)
    if most <= 256:
        found = histogram(truth * np.uint8(classes) + decoded, most)
    else:
        index = truth.astype(np.int32) * classes + decoded
        found = np.bincount(index.reshape(-1), minlength=most)
    return found[: classes * classes].reshape(classes, classes)


def histogram(labels: Labels, most: int) -> NDArray[np.int64]:
    """How often each number below `most` occurs; many times as fast as numpy's for bytes."""
    return cv2.calcHist([labels], [0], None, [most], [0, most])[:, 0].astype(np.int64)


def mean_iou(found: NDArray[np.float64] | NDArray[np.int64]) -> float:
    """Mean IoU over the classes that are there in truth; 1 where there is none."""
    hit = np.diag(found)
    union = found.sum(axis=0) + found.sum(axis=1) - hit
    there = found.sum(axis=1) > 0
    return float(np.mean(hit[there] / union[there])) if there.any() else 1.0
