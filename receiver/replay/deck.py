"""What a replay brings with it: the files, and a key, a clock and a decode queue in place of the live ones."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from common.capture.records import CaptureError
from common.service import EX_NOINPUT, ServiceError
from proto.keys import MIN_KEY_BYTES
from receiver.config import ReplaySection
from receiver.decode import DecodeWorker
from receiver.play.base import Sink, ThreadedSink
from receiver.player import Player
from receiver.receive import Receive
from receiver.replay.engine import Jobs, Replay, ReplayClock
from receiver.replay.tape import Tape


class Deck:
    """Made before the receiver's parts; `load` makes the replay that drives them."""

    def __init__(self, settings: ReplaySection) -> None:
        """Raises ServiceError (exit code 66) where a file is no capture or cannot be read."""
        self.key = os.urandom(MIN_KEY_BYTES)
        """Of the endpoint, in place of the pre-shared one."""
        self.clock = ReplayClock()
        self.jobs = Jobs(self.clock)
        self._settings = settings
        self._tape = _tape(settings.files)
        self.wall = self._tape.wall

    def load(self, receive: Receive, player: Player, worker: DecodeWorker, sinks: Sequence[Sink]) -> Replay:
        """The replay goes as fast as `sinks` can take it."""
        speed = self._settings.speed
        return Replay(
            *(self._tape, self.key, self.clock, self.jobs, receive, player, worker),
            speed=math.inf if isinstance(speed, str) else speed,
            recorded=self._settings.timing == "recorded",
            busy=lambda: any(sink.full for sink in sinks if isinstance(sink, ThreadedSink)),
        )


def _tape(paths: Sequence[Path]) -> Tape:
    try:
        return Tape(paths)
    except CaptureError as error:
        raise ServiceError(f"replay: {error}", EX_NOINPUT) from None
    except OSError as error:
        raise ServiceError(f"replay: cannot read {error.filename}: {error.strerror}", EX_NOINPUT) from None
