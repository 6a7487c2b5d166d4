"""How close a picture is to the one that was sent: PSNR in RGB, MS-SSIM on luma. numpy only.

Pictures are I420 as everywhere (common/video.py). `python -m tests.bench.quality A B` compares two videos
picture by picture.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from common.video import Picture, Resizer, picture_size, planes

PSNR_CAP = 100.0  # equal pictures; keeps means finite

# Wang, Simoncelli, Bovik 2003: the exponents of the five scales, the window and the constants.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
SMALLEST_SIDE = (WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1

Plane = NDArray[np.float32]


def rgb(picture: Picture) -> Plane:
    """(3, H, W) in 0..255: BT.601, limited range, chroma repeated 2x2, clipped, not rounded.

    R = 1.164384 (Y-16)                     + 1.596027 (V-128)
    G = 1.164384 (Y-16) - 0.391762 (U-128) - 0.812968 (V-128)
    B = 1.164384 (Y-16) + 2.017232 (U-128)
    """
    luma, blue, red = (plane.astype(np.float32) for plane in planes(picture))
    luma = np.float32(1.164384) * (luma - 16)
    blue, red = blue - 128, red - 128
    width, height = picture_size(picture)
    out = np.empty((3, height, width), np.float32)
    chroma = (1.596027 * red, -0.391762 * blue - 0.812968 * red, 2.017232 * blue)
    for channel, shift in zip(out, chroma, strict=True):
        for row in (0, 1):
            for column in (0, 1):
                np.add(luma[row::2, column::2], shift, out=channel[row::2, column::2])
    return np.clip(out, 0, 255, out=out)


def psnr(sent: Picture, shown: Picture) -> float:
    """Peak signal to noise ratio over the three RGB channels together, in dB, at most PSNR_CAP."""
    if sent.shape != shown.shape:
        raise ValueError(f"pictures of different sizes: {sent.shape} and {shown.shape}")
    difference = (rgb(sent) - rgb(shown)).reshape(-1)
    error = float(np.dot(difference, difference)) / difference.size
    return PSNR_CAP if error == 0 else min(PSNR_CAP, 10 * math.log10(255**2 / error))


def ms_ssim(sent: Picture, shown: Picture) -> float:
    """Multi-scale structural similarity of the luma planes as they are (limited range), 0..1.

    Five scales, 11-tap Gaussian window of sigma 1.5, valid positions only, 2x2 means between scales.
    Raises ValueError when a side is below SMALLEST_SIDE pixels.
    """
    if sent.shape != shown.shape:
        raise ValueError(f"pictures of different sizes: {sent.shape} and {shown.shape}")
    if min(picture_size(sent)) < SMALLEST_SIDE:
        raise ValueError(f"MS-SSIM needs at least {SMALLEST_SIDE} pixels a side")
    first, second = (planes(picture)[0].astype(np.float32) for picture in (sent, shown))
    result = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale:
            first, second = _halved(first), _halved(second)
        similarity, contrast = _ssim(first, second)
        last = scale == len(SCALE_WEIGHTS) - 1
        result *= max(similarity if last else contrast, 0.0) ** weight
    return result


def _ssim(first: Plane, second: Plane) -> tuple[float, float]:
    """Means of the SSIM map and of its contrast-structure part."""
    mean1, mean2 = _blurred(first), _blurred(second)
    square1, square2, both = mean1 * mean1, mean2 * mean2, mean1 * mean2
    # sigma1^2 + sigma2^2 needs one blur, not two
    spread = _blurred(first * first + second * second) - square1 - square2
    joint = _blurred(first * second) - both
    contrast = (2 * joint + np.float32(C2)) / (spread + np.float32(C2))
    similarity = contrast * (2 * both + np.float32(C1)) / (square1 + square2 + np.float32(C1))
    return float(similarity.mean()), float(contrast.mean())


TAPS = np.exp(-(np.arange(WINDOW // 2 + 1) ** 2) / (2 * SIGMA**2))
TAPS = (TAPS / (TAPS[0] + 2 * TAPS[1:].sum())).astype(np.float32)  # the window from its middle outwards


def _blurred(plane: Plane) -> Plane:
    """The window at every valid position. Sums, not a matrix product: BLAS threads crawl when cores are busy."""
    return _blurred_rows(_blurred_rows(plane).T).T


def _blurred_rows(plane: Plane) -> Plane:
    reach = WINDOW // 2
    count = plane.shape[0] - 2 * reach
    total = TAPS[0] * plane[reach : reach + count]
    for distance in range(1, reach + 1):
        pair = plane[reach - distance : reach - distance + count] + plane[reach + distance :][:count]
        pair *= TAPS[distance]
        total += pair
    return np.ascontiguousarray(total)


def _halved(plane: Plane) -> Plane:
    """Means of 2x2 blocks; the last row or column of an odd side is left out."""
    plane = plane[: plane.shape[0] // 2 * 2, : plane.shape[1] // 2 * 2]
    return np.float32(0.25) * (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2])


def pictures(path: Path) -> Iterator[Picture]:
    """The pictures of a video file, at its own size."""
    with av.open(str(path)) as container:
        resizer: Resizer | None = None
        for frame in container.decode(video=0):
            if resizer is None:
                resizer = Resizer(frame.width & ~1, frame.height & ~1)
            yield resizer.convert(frame)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.quality", description=__doc__)
    parser.add_argument("sent", type=Path)
    parser.add_argument("shown", type=Path)
    args = parser.parse_args(argv)
    pairs = [
        (psnr(a, b), ms_ssim(a, b)) for a, b in zip(pictures(args.sent), pictures(args.shown), strict=False)
    ]
    if not pairs:
        print("quality: no pictures to compare", file=sys.stderr)
        return 1
    ratios, similarities = zip(*pairs, strict=True)
    result = {
        "frames": len(pairs),
        "psnr_db": float(np.mean(ratios)),
        "ms_ssim": float(np.mean(similarities)),
    }
    print(json.dumps({name: round(value, 4) for name, value in result.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
