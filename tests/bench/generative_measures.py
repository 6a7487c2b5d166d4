"""What the generative bench measures of a clip: closeness, classes that are still found, and how steady it is."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from common.codec.contour.worth import counts, mean_iou
from common.video import Frame, Picture
from tests.bench.generative_sets import Clip, judge_of
from tests.bench.measures import measure
from tests.bench.quality import rgb

Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]
AGREE, SLACK = 0.01, 0.5  # where flow there and back differs by more than a share of it, something is hidden


@dataclass(frozen=True, slots=True)
class Figures:
    """PSNR in dB, MS-SSIM, HaarPSI 0..1, VMAF 0..100; mIoU of the judge's classes in what is shown against those in
    what was sent, None where it sees but one there; warping error in levels of 0..255 (less is steadier); share of
    frames that stood still."""

    psnr: float
    ms_ssim: float
    haarpsi: float
    vmaf: float
    miou: float | None
    warp: float
    frozen: float


class Judge:
    """Measures what is shown of one clip; its own labels and motion are found once."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip

    def figures(self, shown: Sequence[Picture]) -> Figures:
        """Of the frames that are measured. Raises as tests.bench.measures.measure does."""
        sent = self._clip.measured
        quality = measure(sent, list(shown), self._clip.fps)
        return Figures(
            round(quality.psnr, 3),
            round(quality.ms_ssim, 4),
            round(quality.haarpsi, 4),
            round(quality.vmaf, 2),
            self.miou(self.labels(shown)),
            round(self.warping(shown), 3),
            round(quality.frozen_share, 3),
        )

    def labels(self, pictures: Sequence[Picture]) -> list[Labels | None]:
        """What the judge sees; None where it sees nothing yet."""
        judge = judge_of(self._clip.judge, self._clip.size)
        found = [judge.map(Frame(one, i / self._clip.fps, i)) for i, one in enumerate(pictures)]
        judge.close()
        return [None if one is None else one.labels for one in found]

    @cached_property
    def truth(self) -> list[Labels | None]:
        """What it sees in the source."""
        return self.labels(self._clip.measured)

    @cached_property
    def classes(self) -> int:
        """That the judge tells apart."""
        return len(judge_of(self._clip.judge, self._clip.size).legend.classes)

    def miou(self, shown: Sequence[Labels | None]) -> float | None:
        """Mean IoU over the classes that the judge sees in the source; None where they are fewer than two."""
        total = np.zeros((self.classes, self.classes), np.int64)
        for true, found in zip(self.truth, shown, strict=True):
            if true is not None and found is not None:
                total += counts(true, found, self.classes)
        return round(mean_iou(total), 4) if (total.sum(axis=1) > 0).sum() > 1 else None

    @cached_property
    def _motion(self) -> list[tuple[Floats, Floats, NDArray[np.bool_]]]:
        """For each frame but the first: x and y of its places in the frame before, (H, W), and where that holds."""
        lumas = [one[: self._clip.size.height] for one in map(np.ascontiguousarray, self._clip.measured)]
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        height, width = lumas[0].shape
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        out = []
        for before, now in itertools.pairwise(lumas):
            back = np.asarray(flow.calc(now, before, None), np.float32)  # type: ignore[call-overload]
            forth = np.asarray(flow.calc(before, now, None), np.float32)  # type: ignore[call-overload]
            x, y = columns + back[..., 0], rows + back[..., 1]
            returned = cv2.remap(forth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            size = (back**2).sum(2) + (returned**2).sum(2)
            inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
            out.append((x, y, inside & (((back + returned) ** 2).sum(2) <= AGREE * size + SLACK)))
        return out

    def warping(self, shown: Sequence[Picture]) -> float:
        """Root mean square difference of each frame from the one before moved as the source moves (DIS flow), over RGB
        and the places that both show; the mean over frames."""
        pictures = [rgb(one).transpose(1, 2, 0) for one in shown]
        errors = []
        for before, now, (x, y, holds) in zip(pictures, pictures[1:], self._motion, strict=False):
            moved = cv2.remap(before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            if holds.any():
                errors.append(float(np.sqrt(((moved - now)[holds] ** 2).mean())))
        return float(np.mean(errors)) if errors else 0.0
