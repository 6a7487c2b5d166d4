"""How close a picture is to the one that was sent: PSNR in RGB, MS-SSIM and SSIM on luma. numpy only.

Pictures are I420 as everywhere (common/video.py). `python -m tests.bench.quality A B` compares two videos
picture by picture, by every measure of measures.py (extras [train] and [dev]).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from common.video import Picture, Resizer, picture_size, planes

PSNR_CAP = SSIM_CAP = 100.0  # dB of equal pictures; keeps means finite

# Wang, Simoncelli, Bovik 2003: the exponents of the five scales, the window and the constants.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
SMALLEST_SIDE = WINDOW * 2 ** (len(SCALE_WEIGHTS) - 1)  # so that the last scale still holds a window

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
    _check_sizes(sent, shown, 1, "PSNR")
    return psnr_of_rgb(rgb(sent), rgb(shown))


def psnr_of_rgb(sent: Plane, shown: Plane) -> float:
    """The same of pictures as `rgb` gives them."""
    difference = sent - shown
    difference *= difference  # np.dot would be shorter, but its sum depends on the number of threads
    error = float(difference.mean())
    return PSNR_CAP if error == 0 else min(PSNR_CAP, 10 * math.log10(255**2 / error))


def ms_ssim(sent: Picture, shown: Picture) -> float:
    """Multi-scale structural similarity of the luma planes as they are (limited range), 0..1.

    Five scales, 11-tap Gaussian window of sigma 1.5, valid positions only, 2x2 means between scales.
    Raises ValueError when a side is below SMALLEST_SIDE pixels.
    """
    return similarities(sent, shown)[0]


def ssim_db(sent: Picture, shown: Picture) -> float:
    """Structural similarity of the luma planes as -10 log10(1 - SSIM), at most SSIM_CAP; the window of MS-SSIM.

    Raises ValueError when a side is below WINDOW pixels.
    """
    _check_sizes(sent, shown, WINDOW, "SSIM")
    return _decibels(_dissimilarity(_luma(sent), _luma(shown))[0])


def similarities(sent: Picture, shown: Picture) -> tuple[float, float]:
    """(MS-SSIM, SSIM in dB), for the price of the first: SSIM is what its first scale finds on the way."""
    _check_sizes(sent, shown, SMALLEST_SIDE, "MS-SSIM")
    first, second = _luma(sent), _luma(shown)
    result, decibels = 1.0, 0.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale:
            first, second = _halved(first), _halved(second)
        whole, contrast = _dissimilarity(first, second)
        if scale == 0:
            decibels = _decibels(whole)
        last = scale == len(SCALE_WEIGHTS) - 1
        result *= max(1.0 - (whole if last else contrast), 0.0) ** weight
    return result, decibels


def _check_sizes(sent: Picture, shown: Picture, smallest: int, name: str) -> None:
    if sent.shape != shown.shape:
        raise ValueError(f"pictures of different sizes: {sent.shape} and {shown.shape}")
    if min(picture_size(sent)) < smallest:
        raise ValueError(f"{name} needs at least {smallest} pixels a side")


def _luma(picture: Picture) -> Plane:
    return planes(picture)[0].astype(np.float32)


def _decibels(dissimilarity: float) -> float:
    return min(SSIM_CAP, -10 * math.log10(max(dissimilarity, 10 ** (-SSIM_CAP / 10))))


def _dissimilarity(first: Plane, second: Plane) -> tuple[float, float]:
    """1 - the means of the SSIM map and of its contrast-structure part.

    1 - (2 m1 m2 + C1) / (m1^2 + m2^2 + C1) = (m1 - m2)^2 / (m1^2 + m2^2 + C1)
    1 - (2 s12 + C2) / (s1^2 + s2^2 + C2) = variance of the difference / (s1^2 + s2^2 + C2)

    Two maps of what is lost, not of what is left: decibels want the digits that 0.9999 would round away.
    """
    difference = first - second
    mean1, shift = _blurred(first), _blurred(difference)
    shift_squared = shift * shift
    mean2 = mean1 - shift
    means = mean1 * mean1
    means += mean2 * mean2
    # s1^2 + s2^2 needs one blur, not two
    spread = _blurred(first * first + second * second)
    spread -= means
    spread += np.float32(C2)
    contrast = _blurred(difference * difference)
    contrast -= shift_squared
    contrast /= spread
    means += np.float32(C1)
    luminance = np.divide(shift_squared, means, out=shift_squared)
    whole = contrast + luminance - contrast * luminance
    return float(whole.mean()), float(contrast.mean())


TAPS = np.exp(-(np.arange(WINDOW // 2 + 1) ** 2) / (2 * SIGMA**2))
TAPS = (TAPS / (TAPS[0] + 2 * TAPS[1:].sum())).astype(np.float32)  # the window from its middle outwards


def _blurred(plane: Plane) -> Plane:
    """The window at every valid position. Sums, not a matrix product: BLAS threads crawl when cores are busy."""
    reach = WINDOW // 2
    for axis in (0, 1):
        ahead = (slice(None),) * axis
        count = plane.shape[axis] - 2 * reach
        total = TAPS[0] * plane[(*ahead, slice(reach, reach + count))]
        pair = np.empty_like(total)
        for distance in range(1, reach + 1):
            before, after = reach - distance, reach + distance
            np.add(
                plane[(*ahead, slice(before, before + count))],
                plane[(*ahead, slice(after, after + count))],
                out=pair,
            )
            pair *= TAPS[distance]
            total += pair
        plane = total
    return plane


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


def frame_rate(path: Path) -> float:
    """Average frames per second of a video file; 25 where it does not say."""
    with av.open(str(path)) as container:
        return float(container.streams.video[0].average_rate or 25)


def main(argv: Sequence[str] | None = None) -> int:
    # here, not above: the demo measures with what is above, and has no torch
    from tests.bench.measures import measure

    parser = argparse.ArgumentParser(prog="python -m tests.bench.quality", description=__doc__)
    parser.add_argument("sent", type=Path)
    parser.add_argument("shown", type=Path)
    args = parser.parse_args(argv)
    pairs = list(zip(pictures(args.sent), pictures(args.shown), strict=False))
    if not pairs:
        print("quality: no pictures to compare", file=sys.stderr)
        return 1
    sent, shown = ([pair[side] for pair in pairs] for side in (0, 1))
    try:
        quality = measure(sent, shown, frame_rate(args.sent))
    except (ValueError, RuntimeError) as error:
        print(f"quality: {error}", file=sys.stderr)
        return 1
    result = {name: round(value, 4) for name, value in dataclasses.asdict(quality).items()}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
