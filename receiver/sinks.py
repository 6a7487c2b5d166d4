"""The sinks that are open, and changing them while pictures go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from common.log import Log, redact
from receiver.audio.block import AudioSink, SoundBlock
from receiver.play.base import Shown, Sink, SinkError

CHECK_S = 0.2

log = Log("sinks")


class Sinks:
    """Opens, feeds, changes and closes them. Event loop thread."""

    def __init__(self, names: Sequence[str], create: Callable[[str], Sink]) -> None:
        """`create` makes the sink of a name (`--play NAME`). Raises SinkError."""
        self.all: list[Sink] = []
        """Those in use; the list itself stays the same."""
        self._create = create
        self._named = {name: create(name) for name in names}
        self._opened: list[Sink] = []
        self._changing = asyncio.Lock()
        self._left_out: set[str] = set()
        self.all[:] = self._named.values()

    async def start(self) -> None:
        """Open all. Raises SinkError."""
        async with self._changing:
            for sink in self.all:
                if sink not in self._opened:
                    await sink.start()
                    self._opened.append(sink)

    def show(self, shown: Shown) -> None:
        """Hand a picture to each."""
        for sink in self.all:
            sink.show(shown)

    def hear(self, block: SoundBlock) -> None:
        """Hand 20 ms of sound to each that takes it."""
        for sink in self.all:
            if isinstance(sink, AudioSink):
                sink.hear(block)

    async def change(self, names: Sequence[str]) -> None:
        """Close those that are not named any more, open those that are new or have ended; one that cannot be opened
        is told of and left out. Where that leaves none, the daemon goes on without."""
        async with self._changing:
            await self._change(names)

    async def _change(self, names: Sequence[str]) -> None:
        for name, sink in list(self._named.items()):
            if name not in names or sink.ended:
                del self._named[name]
                self.all.remove(sink)
                await self._close(sink)
        self._left_out.clear()
        for name in names:
            if name in self._named:
                continue
            try:
                sink = self._create(name)
                await sink.start()
            except SinkError as error:
                log.error("sink left out", sink=redact(name), reason=str(error))
                self._left_out.add(name)
                continue
            self._named[name] = sink
            self._opened.append(sink)
            self.all.append(sink)

    async def close(self) -> None:
        """Close all that were opened."""
        for sink in reversed(self._opened.copy()):
            await self._close(sink)

    async def until_ended(self) -> None:
        """Return when nobody looks any more: window closed, pipe closed. Raises SinkError when a sink broke down."""
        told: set[Sink] = set()
        # In between two there may be none, and after a change for the worse there shall be a next one.
        while self._changing.locked() or self._left_out or not all(sink.ended for sink in self.all):
            for sink in self.all:
                if sink.ended and sink not in told:
                    told.add(sink)
                    log.info("sink ended", sink=sink.name)
            await asyncio.sleep(CHECK_S)
        log.info("no sink left")
        failures = [sink.failure for sink in self.all if sink.failure is not None]
        if failures:
            raise SinkError("\n".join(failures))

    async def _close(self, sink: Sink) -> None:
        if sink in self._opened:
            self._opened.remove(sink)
            await sink.close()
