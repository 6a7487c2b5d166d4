"""How well the rate is held: true wire rate of every 4 s window, as a share of the target.

`python -m tests.bench.rate_hold [--profile classic] [--size 256x256] [--kbps 10 30 60 250]`: offline, real encoder and
rate control, on the synthetic scene, on noise, and on a grey picture that becomes the scene."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from common.codec.registry import PROFILES, create_encoder
from common.values import Size, parse_size
from common.video import Picture
from proto.wire import IP_UDP_BYTES, MAX_DATAGRAM, OVERHEAD_BYTES, max_payload
from sender.capture.synthetic import SyntheticScene
from sender.rate import RateController

FPS = 15.0
WINDOW_S = 4.0
GREY_UNITS = 8


def content(kind: str, size: Size) -> Callable[[int], Picture]:
    """Picture number -> picture."""
    scene, rng = SyntheticScene(size.width, size.height, FPS, 1), np.random.default_rng(0)
    shape = (size.height * 3 // 2, size.width)
    if kind == "noise":
        return lambda index: rng.integers(0, 255, shape, dtype=np.uint8)
    if kind == "grey, then scene":
        grey = np.full(shape, 128, np.uint8)
        return lambda index: grey if index < 4 * GREY_UNITS else scene.picture(index)
    return scene.picture


def held(
    kind: str, size: Size, kbps: float, units: int = 28, profile: str = "resilient"
) -> tuple[float, float]:
    """Least and greatest share of the target that a window of WINDOW_S spent on the wire."""
    encoder, picture = create_encoder(profile, size.width, size.height, FPS), content(kind, size)
    frames, overhead = encoder.frames_per_unit, OVERHEAD_BYTES + IP_UDP_BYTES
    rate, spent = RateController(kbps, frames / FPS, overhead, max_payload(MAX_DATAGRAM)), []
    for unit in range(units):
        encoded = encoder.encode([picture(unit * frames + i) for i in range(frames)], unit, rate.budget())
        sizes = [len(payload) + overhead for payload in encoded.payloads]
        spent.append(sum(sizes[: rate.admit(sizes)]))
        rate.spent(spent[-1])
    window = round(WINDOW_S * FPS / frames)
    sums = [sum(spent[i : i + window]) / (kbps * 125 * WINDOW_S) for i in range(units - window + 1)]
    return min(sums), max(sums)


def main() -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", choices=PROFILES, default=PROFILES[0])
    parser.add_argument("--size", type=parse_size, default=Size(256, 256), metavar="WxH")
    parser.add_argument("--kbps", type=float, nargs="+", default=[10.0, 15.0, 30.0, 60.0, 250.0])
    args = parser.parse_args()
    for kind in ("scene", "noise", "grey, then scene"):
        for kbps in args.kbps:
            low, high = held(kind, args.size, kbps, profile=args.profile)
            print(
                f"{args.size} {kind:18} {kbps:6g} kbit/s  {100 * low:6.1f} .. {100 * high:5.1f} %", flush=True
            )


if __name__ == "__main__":
    main()
