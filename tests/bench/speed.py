"""How long each step takes on this machine: `python -m tests.bench.speed [--size 256x256] [--fps 15]`."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace

from common.codec.base import Budget
from common.codec.registry import PROFILES, create_decoder, create_encoder
from common.values import Size, parse_size
from proto.crypto import Opener, Sealer
from proto.session import ReceiverEndpoint, SenderSession
from proto.streams import LATENTS
from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES
from sender.capture.synthetic import SyntheticScene
from tests.bench.quality import SMALLEST_SIDE, ms_ssim, psnr

PSK = bytes(range(32))
PACKETS = 2000


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations of one step in seconds, and what one step is."""

    name: str
    per: str
    seconds: list[float]

    def __str__(self) -> str:
        ordered = sorted(self.seconds)
        p50, p95 = statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))]
        return f"{self.name:28} {1e3 * p50:10.3f} {1e3 * p95:10.3f}   ms a {self.per}"


def timed(name: str, per: str, step: Callable[[int], object], count: int) -> Timing:
    """Runs step(0), step(1), ...; the first fifth warms up."""
    seconds = []
    for number in range(count):
        begun = time.perf_counter()
        step(number)
        seconds.append(time.perf_counter() - begun)
    return Timing(name, per, seconds[count // 5 :])


def codec(profile: str, size: Size, fps: float, units: int) -> list[Timing]:
    """Encoding, and decoding with every second packet lost."""
    scene = SyntheticScene(size.width, size.height, fps)
    encoder, decoder = create_encoder(profile, size.width, size.height, fps), create_decoder(profile)
    count = encoder.frames_per_unit
    overhead = OVERHEAD_BYTES + IP_UDP_BYTES
    budget = Budget(60e3 / 8 * count / fps, overhead, SenderSession(PSK).payload_limit)
    pictures = [[scene.picture(unit * count + k) for k in range(count)] for unit in range(units)]
    encoded = [encoder.encode(pictures[0], 0, budget)] * units

    def encode(unit: int) -> None:
        encoded[unit] = encoder.encode(pictures[unit], unit, budget)

    def decode(unit: int) -> None:
        halved = tuple(payload if k % 2 == 0 else None for k, payload in enumerate(encoded[unit].payloads))
        decoder.decode(SimpleNamespace(unit=unit, segments=halved))

    return [
        timed(f"{profile}: encode", "unit", encode, units),
        timed(f"{profile}: decode, half lost", "unit", decode, units),
        timed(f"{profile}: conceal", "unit", lambda unit: decoder.decode(None), units),
    ]


def transport() -> list[Timing]:
    """Sealing, opening, and the whole way of a packet through both sessions."""
    sealer, opener, body = Sealer(PSK), Opener(PSK), bytes(1000)
    sealed = [b""] * PACKETS

    def seal(number: int) -> None:
        sealed[number] = sealer.seal(LATENTS.id, body)

    session, endpoint = SenderSession(PSK), ReceiverEndpoint(PSK)

    def through(number: int) -> None:
        [datagram] = session.packets(LATENTS.id, number, number * 0.1, [body])
        endpoint.receive(datagram, number * 0.1)

    return [
        timed("seal", "packet", seal, PACKETS),
        timed("open", "packet", lambda number: opener.open(sealed[number]), PACKETS),
        timed("seal, open, reassemble", "packet", through, PACKETS),
    ]


def tools(size: Size, fps: float) -> list[Timing]:
    """The project's own source and measures."""
    scene = SyntheticScene(size.width, size.height, fps)
    first, second = scene.picture(0), scene.picture(7)
    timings = [
        timed("synthetic source", "picture", scene.picture, 100),
        timed("PSNR", "picture", lambda _: psnr(first, second), 50),
    ]
    if min(size.width, size.height) >= SMALLEST_SIDE:
        timings.append(timed("MS-SSIM", "picture", lambda _: ms_ssim(first, second), 50))
    return timings


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.speed", description=__doc__)
    parser.add_argument("--size", type=parse_size, default=Size(256, 256))
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--units", type=int, default=60)
    args = parser.parse_args(argv)
    print(f"{args.size} at {args.fps:g} fps\n{'':28} {'p50':>10} {'p95':>10}")
    for timing in [
        *(timing for profile in PROFILES for timing in codec(profile, args.size, args.fps, args.units)),
        *transport(),
        *tools(args.size, args.fps),
    ]:
        print(timing, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
