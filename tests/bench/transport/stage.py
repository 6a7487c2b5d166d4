"""One contestant on one link: source -> its sender -> relay -> its receiver -> sink."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import TracebackType

from tests.bench.link.draws import Direction
from tests.bench.link.impairments import Impairments
from tests.bench.link.model import Link
from tests.bench.relay.forwarder import Relay
from tests.bench.transport.contestants import Contestant, Setup
from tests.bench.transport.processes import POLL_S, Process, is_bound
from tests.bench.transport.workload import HOST, Sink, Source, Workload
from tests.ports import free_port

LISTEN_S = 20.0  # for a receiver to open its port, on a busy machine


class Stage:
    """Everything that one contestant needs; leaving the context ends it. All times are monotonic seconds."""

    def __init__(
        self, contestant: Contestant, workload: Workload, link: Impairments, seed: int, folder: Path
    ) -> None:
        self.contestant = contestant
        self.sent_at: float | None = None
        """When the first packet of the sender reached the link."""
        folder.mkdir(parents=True)
        self._log = folder / "log"
        self.sink = Sink(workload, contestant.whole)
        feed, far, signal = free_port(), free_port(), free_port()
        links = Link(link, seed), Link(link, seed, Direction.BACK)
        self.relay = Relay((HOST, 0), (HOST, far), *links)
        self.source = Source(workload, feed, contestant.feed)
        self._far = far
        self._awaited = signal if contestant.modules else far
        ports = (feed, self.relay.address[1], far, self.relay.upstream[1], self.sink.port, signal)
        self._setup = Setup(*ports, folder=folder, workload=workload, link=link)
        self._processes: dict[str, Process] = {}
        self._feeding: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Stage:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.gather(self._feeding, return_exceptions=True)
        await asyncio.gather(*(process.stop() for process in self._processes.values()))
        self.relay.close()
        self.sink.close()

    async def start_receiver(self) -> float:
        """Starts it and waits until it listens; when it was started. Raises Ended, TimeoutError, OSError."""
        started = time.monotonic()
        command = self.contestant.commands(self._setup)[0]
        process = self._processes["receiver"] = await Process.start(command, self._log)
        async with asyncio.timeout(LISTEN_S):
            while not is_bound(self._awaited):
                process.check()
                await asyncio.sleep(POLL_S)
        return started

    async def start_sender(self) -> float:
        """Starts it and the source; when. Raises OSError."""
        self._feeding = asyncio.create_task(self.source.run())
        started = time.monotonic()
        command = self.contestant.commands(self._setup)[1]
        self._processes["sender"] = await Process.start(command, self._log)
        return started

    async def kill_receiver(self) -> None:
        """As a power cut would: it says no goodbye."""
        await self._processes.pop("receiver").stop(gently=False)

    async def first_usable(self, since: float, limit_s: float) -> float | None:
        """Seconds from `since` to the next usable unit; None if there is none within the limit. Raises Ended."""
        while time.monotonic() - since < limit_s:
            self.check()
            if self.sent_at is None and self.relay.lanes[Direction.FORWARD].link.counts.received:
                self.sent_at = time.monotonic()
            at = self.sink.first_after(since)
            if at is not None:
                return at - since
            await asyncio.sleep(POLL_S / 4)
        return None

    def check(self) -> None:
        """Raises Ended when a process has ended."""
        for process in self._processes.values():
            process.check()

    def outage(self, seconds: float) -> None:
        """Nothing gets through, either way, from now on."""
        for lane in self.relay.lanes.values():
            lane.link.outage(time.monotonic(), seconds)

    def wire_bytes(self) -> tuple[int, int]:
        """That entered the link so far: forward and back."""
        forward, back = (self.relay.lanes[way].link.counts.wire_bytes for way in Direction)
        return forward, back
