"""What a flood of forged packets does to a running stream: `python -m tests.bench.flood --pps 20000 --seconds 10`.

Real sender and receiver on loopback, with a tap between them that records; then datagrams at so many a second from
10 000 source addresses: of unknown sessions, of the live one with a wrong tag, handshakes, and genuine packets again.
Prints the receiver's processor time and memory and what it showed, without the flood and under it. Exit code 1 when
the flood costs more than half a core, or fewer than 0.9 of the pictures come.
"""

from __future__ import annotations

import argparse
import math
import random
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from proto.wire import HANDSHAKE_BYTE
from tests.bench.tap import Tap
from tests.demo.logs import SentIndex, ShownLine, read_sent
from tests.demo.measure import Window, fresh, in_window, latencies_ms
from tests.e2e.daemons import RX, Bench, daemons

KINDS = ("session", "tag", "handshake", "replay")
IP_PKTINFO = 8  # of Linux, ip(7): names the source address of one datagram
SOURCES = 10_000
POOL = 6000  # datagrams, sent again and again from other sources
BURST_SECONDS = 0.002
SETTLE_SECONDS = 6.0  # after the first picture: keys are agreed on, the rate has settled
MAX_CORES, MIN_PICTURES, MAX_GROWTH_MB = 0.5, 0.9, 10.0


def forgeries(kinds: Sequence[str], recorded: Sequence[bytes], seed: int, count: int = POOL) -> list[bytes]:
    """Datagrams of these kinds in equal shares, in random order. `recorded`: genuine ones, the newest last."""
    rng = random.Random(seed)
    packets = [datagram for datagram in recorded if datagram[0] != HANDSHAKE_BYTE]
    live, newest = packets[-1][1:7], int.from_bytes(packets[-1][7:11])
    make: dict[str, Callable[[], bytes]] = {
        "session": lambda: bytes((0x41,)) + rng.randbytes(rng.randint(30, 1180)),
        "tag": lambda: (
            bytes((0x41,))
            + live
            + (newest + rng.randint(1, 5000)).to_bytes(4)
            + rng.randbytes(rng.randint(30, 1150))
        ),
        "handshake": lambda: bytes((0x7F, 1)) + rng.randbytes(rng.randint(60, 110)),
        "replay": lambda: rng.choice(recorded),
    }
    return [make[kinds[number % len(kinds)]]() for number in rng.sample(range(count), count)]


def shoot(port: int, pps: float, seconds: float, datagrams: Sequence[bytes]) -> None:
    """Send at an even rate for so long, each from another of the sources. Body of a process."""
    address, pktinfo = ("127.0.0.1", port), struct.Struct("@i4s4s")
    place = bytes((127, 0, 0, 1))
    sources = [
        pktinfo.pack(0, bytes((127, 100 + n // 2500, n // 250 % 10, 1 + n % 250)), place)
        for n in range(SOURCES)
    ]
    control = [[(socket.IPPROTO_IP, IP_PKTINFO, source)] for source in sources]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gun:
        begun, sent = time.monotonic(), 0
        while (passed := time.monotonic() - begun) < seconds:
            due = min(int(passed * pps), sent + int(pps / 20))  # never a burst that only a stall explains
            for number in range(sent, due):
                gun.sendmsg([datagrams[number % len(datagrams)]], control[number % SOURCES], 0, address)
            sent = due
            time.sleep(BURST_SECONDS)


@contextmanager
def flood(port: int, pps: float, seconds: float, datagrams: Sequence[bytes]) -> Iterator[None]:
    """A process that shoots while the context lasts, `seconds` at most."""
    process = get_context("spawn").Process(target=shoot, args=(port, pps, seconds, datagrams), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def overruns(port: int) -> int:
    """Datagrams that the kernel has dropped because the socket's buffer was full; proc(5), the last column."""
    lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return sum(int(fields[-1]) for fields in lines if int(fields[1].partition(":")[2], 16) == port)


def waited(pid: int) -> float:
    """Seconds that the process's first thread could have run and had no processor; the kernel's sched-stats.txt."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) * 1e-9


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was measured over some seconds."""

    seconds: float
    cores: float  # of the receiver, user and system
    waited: float  # share of the time that its event loop waited for a processor: others keep them busy
    refused: float  # datagrams a second
    overrun: float  # datagrams a second that the socket had no room for
    authentic: float  # packets a second
    lost: float  # share of the sender's packets
    pictures: float  # new ones a second
    latency_ms: float  # median, from capture to display
    growth_mb: float  # of the receiver's resident memory


class Run:
    """Sender, tap and receiver; `measure` as often as wanted."""

    def __init__(self, bench: Bench, tap: Tap) -> None:
        self._bench, self.tap = bench, tap
        self._sent_log = bench.folder / "sent.jsonl"
        self._receiver = bench.receiver()
        bench.sender(tap.port, None, "--frame-log", str(self._sent_log))
        bench.wait("the first picture", lambda: bool(bench.shown()))
        self._measured: list[tuple[Window, dict[str, float]]] = []

    def measure_flooded(self, pps: float, seconds: float, datagrams: Sequence[bytes]) -> None:
        """Shoot these at the receiver, and measure from when they arrive."""
        name = RX + "packets_dropped_total"
        before = self._bench.figures().get(name)
        with flood(self._bench.udp_port, pps, seconds + 60.0, datagrams):
            self._bench.wait("the flood", lambda: self._bench.figures().get(name) > before + pps / 10)
            self.measure(seconds)

    def measure(self, seconds: float) -> None:
        """Let so much time pass."""
        begun, clock, before = time.time(), time.monotonic(), self._now()
        time.sleep(seconds)
        self._receiver.check()
        passed, after = time.monotonic() - clock, self._now()
        self._measured.append((Window(begun, passed), {name: after[name] - before[name] for name in after}))

    def _now(self) -> dict[str, float]:
        figures, receiver = self._bench.figures(), self._receiver
        names = ("packets_total", "packets_lost_total", "packets_dropped_total")
        return {name: figures.get(RX + name) for name in names} | {
            "cpu": receiver.cpu_seconds(),
            "memory": receiver.memory_mb(),
            "overruns": overruns(self._bench.udp_port),
            "waited": waited(receiver.pid),
        }

    def stretches(self) -> list[Stretch]:
        """What was measured; call when the last pictures have been shown."""
        shown, index = self._bench.shown(), SentIndex(read_sent(self._sent_log))
        return [self._stretch(window, grown, shown, index) for window, grown in self._measured]

    def _stretch(
        self, window: Window, grown: dict[str, float], shown: Sequence[ShownLine], index: SentIndex
    ) -> Stretch:
        lines = fresh(in_window(shown, window))
        got, lost = grown["packets_total"], grown["packets_lost_total"]
        return Stretch(
            seconds=window.seconds,
            cores=grown["cpu"] / window.seconds,
            waited=grown["waited"] / window.seconds,
            refused=grown["packets_dropped_total"] / window.seconds,
            overrun=grown["overruns"] / window.seconds,
            authentic=got / window.seconds,
            lost=lost / max(1.0, got + lost),
            pictures=sum(not line.concealed for line in lines) / window.seconds,
            latency_ms=statistics.median(latencies_ms(lines, index) or [math.nan]),
            growth_mb=grown["memory"],
        )


def run(
    folder: Path, pps: float, seconds: float, kinds: Sequence[str], seed: int = 1
) -> tuple[Stretch, Stretch]:
    """Without the flood, and under it."""
    with daemons(folder) as bench, Tap(("127.0.0.1", bench.udp_port)) as tap:
        running = Run(bench, tap)
        time.sleep(SETTLE_SECONDS)
        running.measure(seconds)
        running.measure_flooded(pps, seconds, forgeries(kinds, tap.recorded, seed))
        time.sleep(1.0)
        calm, flooded = running.stretches()
    return calm, flooded


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.flood", description=__doc__)
    parser.add_argument("--pps", type=float, default=20_000.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--kind", choices=("mixed", *KINDS), default="mixed")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    kinds = KINDS if args.kind == "mixed" else (args.kind,)
    with tempfile.TemporaryDirectory(prefix="semcast-flood-") as folder:
        calm, flooded = run(Path(folder), args.pps, args.seconds, kinds, args.seed)
    print(
        f"{'':8} {'cores':>6} {'waited':>6} {'refused/s':>10} {'overrun/s':>10} {'packets/s':>10} {'loss':>6}"
        f" {'pictures/s':>11} {'ms':>6} {'MB':>6}"
    )
    for name, one in (("calm", calm), ("flood", flooded)):
        print(
            f"{name:8} {one.cores:6.3f} {one.waited:6.3f} {one.refused:10.0f} {one.overrun:10.0f} {one.authentic:10.1f}"
            f" {one.lost:6.3f} {one.pictures:11.2f} {one.latency_ms:6.0f} {one.growth_mb:+6.1f}"
        )
    extra = flooded.cores - calm.cores
    each = extra / max(1.0, flooded.refused - calm.refused)
    print(
        f"the flood costs {extra:.3f} of a core, {each * 1e6:.1f} us each, {each * args.pps:.3f} if all had come"
    )
    failed = each * args.pps > MAX_CORES or flooded.pictures < MIN_PICTURES * calm.pictures
    return int(failed or flooded.growth_mb > MAX_GROWTH_MB)


if __name__ == "__main__":
    sys.exit(main())
