"""Every measure of the benchmark for one sequence as sent and as shown: closeness, and how often it stood still.

PSNR is in RGB and HaarPSI in colour; MS-SSIM, SSIM and VMAF judge the luma. LPIPS and DISTS are left out: they are
defined by the weights of a network trained on ImageNet, which the project neither has nor replaces by another.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from common.training.haarpsi import haarpsi_colour
from common.video import Picture, planes
from tests.bench.quality import psnr_of_rgb, rgb, similarities
from tests.bench.vmaf import vmaf

FROZEN = 0.1  # mean absolute luma difference below which two pictures are the same


@dataclass(frozen=True)
class Quality:
    """Closeness, as means over the frames (more is better), and freezes (less is)."""

    psnr: float
    """dB, over the three RGB channels; capped at quality.PSNR_CAP a frame."""
    ms_ssim: float
    """0..1, luma."""
    ssim_db: float
    """-10 log10(1 - SSIM), luma; capped at quality.SSIM_CAP a frame."""
    vmaf: float
    """0..100, model vmaf_v0.6.1, luma."""
    haarpsi: float
    """0..1, colour."""
    frozen_share: float
    """Share of the frames, the first left out, that stood still although what was sent moved."""
    longest_freeze_s: float
    """Seconds."""
    frames: int


def measure(sent: list[Picture], shown: list[Picture], fps: float) -> Quality:
    """All measures of what was shown, at `fps`, in the place of what was sent. Same input, same numbers.

    Raises ValueError when the sequences are empty, differ in length or size, or are smaller than
    quality.SMALLEST_SIDE; vmaf.VmafError (a RuntimeError) when there is no FFmpeg with libvmaf.
    """
    if not sent or len(sent) != len(shown):
        raise ValueError(f"{len(sent)} pictures sent and {len(shown)} shown: nothing to compare one with one")
    if fps <= 0:
        raise ValueError(f"the frame rate must be positive, not {fps}")
    psnr, ms_ssim, ssim_db, haarpsi = np.mean(
        [_closeness(a, b) for a, b in zip(sent, shown, strict=True)], axis=0
    ).tolist()
    frozen_share, longest = freezes(sent, shown)
    return Quality(
        psnr=psnr,
        ms_ssim=ms_ssim,
        ssim_db=ssim_db,
        vmaf=vmaf(sent, shown),
        haarpsi=haarpsi,
        frozen_share=frozen_share,
        longest_freeze_s=longest / fps,
        frames=len(sent),
    )


def _closeness(sent: Picture, shown: Picture) -> tuple[float, float, float, float]:
    """(PSNR, MS-SSIM, SSIM in dB, HaarPSI) of one frame; one at a time, as they fit the cache of a core."""
    ms_ssim, ssim_db = similarities(sent, shown)
    first, second = rgb(sent), rgb(shown)
    with torch.inference_mode():
        haarpsi = float(haarpsi_colour(torch.from_numpy(first), torch.from_numpy(second)))
    return psnr_of_rgb(first, second), ms_ssim, ssim_db, haarpsi


def freezes(sent: Sequence[Picture], shown: Sequence[Picture]) -> tuple[float, int]:
    """(share of frozen frames among all but the first, length of the longest freeze in frames).

    A frame is frozen when the one shown before it is shown again although what was sent moved. A freeze begins with a
    frozen frame, lasts while the same is shown, and ends with its last frozen frame: sources that repeat a picture now
    and then do not cut it short.
    """
    moved = [not _same(a, b) for a, b in itertools.pairwise(sent)]
    still = [_same(a, b) for a, b in itertools.pairwise(shown)]
    frozen = [a and b for a, b in zip(moved, still, strict=True)]
    longest = length = 0
    for is_frozen, is_still in zip(frozen, still, strict=True):
        length = length + 1 if is_frozen or (is_still and length) else 0
        longest = max(longest, length) if is_frozen else longest
    return (float(np.mean(frozen)) if frozen else 0.0), longest


def _same(first: Picture, second: Picture) -> bool:
    difference = planes(first)[0].astype(np.int16) - planes(second)[0]
    return bool(np.abs(difference).mean() < FROZEN)
