"""Real daemons on loopback for the end-to-end tests."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.stats.scrape import Scrape
from proto.crypto import new_key_file
from tests.bench.relay.client import ask
from tests.demo.logs import ShownLine, read_shown
from tests.demo.process import Child
from tests.demo.scrape import figures
from tests.ports import free_port

RX = "semcast_receiver_"
TX = "semcast_sender_"


class Bench:
    """Starts daemons in a folder of their own, and ends all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = folder / "link.key"
        new_key_file(self.key)
        self.host = "127.0.0.1"  # where the receiver listens
        self.udp_port = free_port()
        self.metrics_port = free_port()
        self.sender_metrics_port = free_port()
        self.relay_control = ("127.0.0.1", free_port())
        self.children: list[Child] = []

    def receiver(
        self, *flags: str, output: Path | None = None, frame_log: bool = True, sinks: bool = True
    ) -> Child:
        """A receiver that listens; a recording is its only sink unless the flags name others, or not `sinks`."""
        if sinks and "--play" not in flags:
            flags = (*flags, "--play", str(self.folder / "shown.mkv"))
        if frame_log:
            flags = (*flags, "--frame-log", str(self.shown_log))
        child = self._start(
            "receiver",
            *("receiver", "--listen", f"{self.host}:{self.udp_port}", "--key-file", str(self.key)),
            *("--metrics.listen", f"127.0.0.1:{self.metrics_port}", *flags),
            output=output,
        )
        self.wait("the receiver to listen", lambda: bool(self.figures().samples))
        return child

    def sender(self, to: int | None = None, key: Path | None = None, *flags: str) -> Child:
        """A sender of the synthetic scene, at its defaults otherwise."""
        return self._start(
            "sender",
            *("sender", "--source", "synthetic", "--key-file", str(key or self.key)),
            *("--to", f"{'127.0.0.1' if to else self.host}:{to or self.udp_port}"),
            *("--metrics.listen", f"127.0.0.1:{self.sender_metrics_port}", *flags),
        )

    def relay(self, *flags: str) -> tuple[Child, int]:
        """A relay to the receiver, and its port."""
        port = free_port()
        target = f"127.0.0.1:{self.udp_port}"
        relay = self._start(
            *("relay", "tests.bench.relay", "--listen", f"127.0.0.1:{port}", "--to", target),
            *("--control", "{}:{}".format(*self.relay_control), *flags),
        )
        return relay, port

    def ask_relay(self, **request: object) -> dict[str, Any]:
        """The relay's answer to a request."""
        return ask(self.relay_control, request)

    def _start(self, name: str, *arguments: str, output: Path | None = None) -> Child:
        child = Child(name, arguments, self.folder / f"{name}{len(self.children)}.log", output)
        self.children.append(child)
        return child

    @property
    def shown_log(self) -> Path:
        return self.folder / "shown.jsonl"

    def shown(self) -> list[ShownLine]:
        """Every tick so far."""
        return read_shown(self.shown_log) if self.shown_log.exists() else []

    def figures(self) -> Scrape:
        """The receiver's metrics."""
        return figures(self.metrics_port)

    def sender_figure(self, name: str) -> float:
        """One of the sender's metrics; nan when it is not there yet."""
        return figures(self.sender_metrics_port).get(TX + name)

    def wait(self, what: str, ready: Callable[[], bool], seconds: float = 40.0) -> None:
        """Fails with the processes' logs when that takes too long or a process ends."""
        deadline = time.monotonic() + seconds
        while not ready():
            for child in self.children:
                child.check()
            assert time.monotonic() < deadline, f"waited for {what}\n" + "\n".join(
                c.tail() for c in self.children
            )
            time.sleep(0.05)

    def wait_shown(self, count: int) -> None:
        """Until so many ticks have been shown since the start."""
        self.wait(f"{count} pictures", lambda: len(self.shown()) >= count)

    def stop(self, child: Child) -> int:
        """Ends one daemon with SIGTERM; its exit code."""
        self.children.remove(child)
        return child.stop()


@contextmanager
def daemons(folder: Path) -> Iterator[Bench]:
    """A Bench whose processes are all gone at the end."""
    bench = Bench(folder)
    try:
        yield bench
    finally:
        for child in bench.children:
            child.stop()


@contextmanager
def random_bytes(port: int, seed: int = 1) -> Iterator[None]:
    """Up to 2000 datagrams a second of random bytes, 0 to 1499 of them each, at a port of this host."""
    rng, ended = random.Random(seed), threading.Event()

    def shoot() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gun:
            while not ended.wait(0.0005):
                gun.sendto(rng.randbytes(rng.randrange(0, 1500)), ("127.0.0.1", port))

    thread = threading.Thread(target=shoot)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
