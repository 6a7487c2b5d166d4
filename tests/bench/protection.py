"""What the delivery classes cost and give: the erasure codes side by side, the choice of parity, times to deliver.

Codes: zfec (Reed-Solomon) against RaptorQ, if that is installed (pip install raptorq). k source symbols, as many parity
symbols; times in ms, medians, of one window: coding its parity, and rebuilding it when half of what is sent is lost.
Failures: the share of windows that k symbols taken at random from 3k do not rebuild, and k + 1.

Parity: n for a target and the overhead that is, with the failures expected and those of a simulated link.

Delivery: messages of 100 bytes, two a second, over a link that loses as much on its way back; virtual time, from
`send` to delivery in order, in ms. One-way: a new version of one of four keys every 5 s, to its first arrival.
"""

from __future__ import annotations

import argparse
import importlib
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from proto import erasure
from proto.carousel import Carousel, CarouselReceiver
from proto.protection import Losses, Policy
from proto.reliable import ReliableReceiver, ReliableSender
from proto.wire import MAX_DATAGRAM, OVERHEAD_BYTES
from tests.bench.link.impairments import Impairments
from tests.bench.link.model import Link
from tests.proto.two_way import Fate, TwoWayLink

COUNTS = (1, 2, 3, 5, 8, 12, 20, 30, 45, 60)
SYMBOL_BYTES = 1136  # RaptorQ wants a multiple of 8
LINKS = ((0.05, None), (0.2, None), (0.2, 5.0), (0.5, None), (0.5, 5.0))
LOSSES = (0.0, 0.2, 0.5, 0.8, 0.9)
SHARE = 4000.0  # wire bytes a second, 32 kbps

Coder = tuple[Callable[[bytes, int], Any], Callable[[Any, Sequence[int], int], bytes | None]]


def zfec_coder() -> Coder:
    """(all 2k or 3k symbols of some data, the data from the symbols of these numbers)."""

    def encode(data: bytes, count: int) -> list[bytes]:
        source = [data[at : at + SYMBOL_BYTES] for at in range(0, len(data), SYMBOL_BYTES)]
        return source + erasure.encode(source, range(len(source), count))

    def decode(symbols: list[bytes], numbers: Sequence[int], needed: int) -> bytes | None:
        return b"".join(erasure.decode({number: symbols[number] for number in numbers}, needed))

    return encode, decode


def raptorq_coder() -> Coder | None:
    """The same of RaptorQ; None where it is not installed."""
    try:
        raptorq = importlib.import_module("raptorq")
    except ImportError:
        return None

    def encode(data: bytes, count: int) -> list[bytes]:
        encoder = raptorq.Encoder.with_defaults(data, SYMBOL_BYTES)
        packets: list[bytes] = encoder.get_encoded_packets(count - len(data) // SYMBOL_BYTES)
        return packets

    def decode(symbols: list[bytes], numbers: Sequence[int], needed: int) -> bytes | None:
        decoder = raptorq.Decoder.with_defaults(needed * SYMBOL_BYTES, SYMBOL_BYTES)
        for number in numbers:
            data: bytes | None = decoder.decode(symbols[number])
            if data is not None:
                return data
        return None

    return encode, decode


def milliseconds(step: Callable[[], object], rounds: int) -> float:
    """Median time of one call."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def code_row(coder: Coder, needed: int, rounds: int, trials: int) -> tuple[float, float, float, float]:
    """Time to code, time to rebuild (ms), share of failures from k and from k + 1 symbols."""
    encode, decode = coder
    chance = random.Random(needed)
    data = chance.randbytes(needed * SYMBOL_BYTES)
    double, triple = encode(data, 2 * needed), encode(data, 3 * needed + 1)
    # Alternate ones are lost, and where RaptorQ wants one more than that, there is one.
    numbers = [*range(1, 2 * needed, 2), 0]
    coding = milliseconds(lambda: encode(data, 2 * needed), rounds)
    rebuilding = milliseconds(lambda: decode(double, numbers[: needed + 1], needed), rounds)
    failed = []
    for more in (0, 1):
        draws = (chance.sample(range(len(triple)), needed + more) for _ in range(trials))
        failed.append(sum(decode(triple, numbers, needed) != data for numbers in draws) / trials)
    return coding, rebuilding, failed[0], failed[1]


def codes(rounds: int, trials: int) -> list[str]:
    """The table of erasure codes, a line a string."""
    out = ["| code | k | code, ms | rebuild, ms | k fail | k + 1 fail |", "|---|---|---|---|---|---|"]
    for name, coder in (("zfec", zfec_coder()), ("raptorq", raptorq_coder())):
        if coder is None:
            out.append(f"| {name} | not installed | | | | |")
            continue
        for needed in COUNTS:
            coding, rebuilding, exact, one_more = code_row(coder, needed, rounds, trials)
            out.append(
                f"| {name} | {needed} | {coding:.3f} | {rebuilding:.3f} | {exact:.2%} | {one_more:.2%} |"
            )
    return out


def simulated(losses: Losses, needed: int, count: int, windows: int) -> float:
    """Share of windows of which fewer than `needed` of `count` successive packets pass a link."""
    channel = Link(Impairments(loss=losses.rate, burst=losses.burst), seed=needed)
    failed = 0
    for _ in range(windows):
        failed += sum(bool(channel.transfer(b"", 0.0)) for _ in range(count)) < needed
    return failed / windows


def parity(target: float, windows: int) -> list[str]:
    """The table of choices."""
    out = [
        f"| loss | mean burst | k | n (target {target:g}) | overhead | expected | simulated |",
        "|---|---|---|---|---|---|---|",
    ]
    for rate, burst in LINKS:
        for needed in (1, 4, 12, 30, 60):
            losses = Losses(rate, burst)
            choice = Policy(losses, target, max_overhead=20.0).choose(needed)
            seen = simulated(losses, needed, choice.count, windows)
            run = "-" if burst is None else f"{burst:g}"
            out.append(
                f"| {rate:.0%} | {run} | {needed} | {choice.count} | {choice.count / needed - 1:.0%} "
                f"| {choice.failure:.2e} | {seen:.2e} |"
            )
    return out


def fate(seed: int, loss: float, delay_s: float) -> Fate:
    """Independent losses, a constant delay."""
    chance = random.Random(seed)
    return lambda sent: [] if chance.random() < loss else [sent + delay_s]


def two_way_times(
    loss: float, delay_s: float, messages: int, rate: float = SHARE
) -> tuple[list[float], float]:
    """Seconds from `send` to delivery of each message, and transmissions a message."""
    link = TwoWayLink(
        ReliableSender(rate, MAX_DATAGRAM - OVERHEAD_BYTES),
        ReliableReceiver(),
        fate(1, loss, delay_s),
        fate(2, loss, delay_s),
    )
    for number in range(messages):
        link.submit(number.to_bytes(4) * 25, number * 0.5)
    link.run(messages * 0.5 + 600.0)
    times = [at - int.from_bytes(message[:4]) * 0.5 for at, message in link.delivered]
    return times, link.sender.transmissions / messages


def one_way_times(loss: float, versions: int, rate: float = SHARE) -> list[float]:
    """Seconds from `announce` to the first arrival of each version (delay of the link not counted)."""
    carousel, receiver, chance = (
        Carousel(rate, MAX_DATAGRAM - OVERHEAD_BYTES),
        CarouselReceiver(),
        random.Random(3),
    )
    times, now = [], 0.0
    for version in range(versions):
        # To the microsecond, so that no version begins just before the one before it has ended.
        begun, until = version * 5.0, (version + 1) * 5.0
        carousel.announce(version % 4, version.to_bytes(4) * 25, begun)
        now = begun
        while now < until:
            for payload in carousel.poll(now):
                if chance.random() >= loss and (new := receiver.receive(payload, now)) is not None:
                    times.append(now - int.from_bytes(new[1][:4]) * 5.0)
            following = carousel.next_time(now)
            assert following is not None
            now = following
    return times


def delivery(messages: int) -> list[str]:
    """The table of delivery times."""
    out = [
        "| link | loss | delay one way | p50 | p95 | p99 | transmissions a message |",
        "|---|---|---|---|---|---|---|",
    ]
    for delay_s in (0.025, 0.05):
        for loss in LOSSES:
            times, sent = two_way_times(loss, delay_s, messages)
            p50, p95, p99 = np.percentile(times, (50, 95, 99)) * 1e3
            out.append(
                f"| two-way | {loss:.0%} | {delay_s * 1e3:g} | {p50:.0f} | {p95:.0f} | {p99:.0f} | {sent:.1f} |"
            )
    for loss in LOSSES:
        p50, p95, p99 = np.percentile(one_way_times(loss, messages), (50, 95, 99)) * 1e3
        out.append(f"| one-way | {loss:.0%} | - | {p50:.0f} | {p95:.0f} | {p99:.0f} | - |")
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables that were asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.protection",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    tables = ("codes", "parity", "delivery")
    parser.add_argument("tables", nargs="*", help=f"of {', '.join(tables)} (default: all)")
    parser.add_argument(
        "--target", type=float, default=1e-3, help="share of windows that may fail (default: 0.001)"
    )
    parser.add_argument("--quick", action="store_true", help="few rounds: seconds instead of minutes")
    options = parser.parse_args(arguments)
    wrong = sorted(set(options.tables) - set(tables))
    if wrong:
        parser.error(f"tables: must be of {', '.join(tables)} (got {', '.join(wrong)})")
    scale = 50 if options.quick else 1
    assert SYMBOL_BYTES <= MAX_DATAGRAM - OVERHEAD_BYTES
    builders: dict[str, Callable[[], list[str]]] = {
        "codes": lambda: codes(max(200 // scale, 3), 5000 // scale),
        "parity": lambda: parity(options.target, 20_000 // scale),
        "delivery": lambda: delivery(2000 // scale),
    }
    for name in options.tables or tables:
        print(f"\n{name}\n", *builders[name](), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
