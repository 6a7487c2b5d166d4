"""`--record FILE.smc`: keeps what was received, and what playback was decided by, so that it can be played again."""

from __future__ import annotations

from pathlib import Path

from common.capture.records import RECEIVED, Decoded, Packet
from common.capture.writer import CaptureWriter
from common.record.rules import Rules
from proto.crypto import Opened
from proto.endpoint import ReceiverEndpoint
from receiver.decode import Outcome
from receiver.player import Player


class Capture:
    """Listens to the endpoint and the player. Event loop thread; `writer` has the counters."""

    def __init__(self, path: Path, rules: Rules, endpoint: ReceiverEndpoint, player: Player) -> None:
        """Raises ServiceError (exit code 73)."""
        self.writer = CaptureWriter(path, RECEIVED, rules)
        endpoint.tap = self._packet
        player.observer = self

    def start(self) -> None:
        """Once."""
        self.writer.start()

    def close(self) -> None:
        """Finish the file. Blocks up to five seconds."""
        self.writer.close()

    def step(self, now: float) -> None:
        """See player.Observer."""
        self.writer.step(now)

    def decoded(self, outcome: Outcome, now: float) -> None:
        """See player.Observer."""
        self.writer.put(decoded(outcome, now))

    def _packet(self, origin: bytes, opened: Opened, now: float) -> None:
        self.writer.put(
            Packet(
                now, opened.session, origin, opened.stream, opened.counter, opened.peer.two_way, opened.body
            )
        )


def decoded(outcome: Outcome, now: float) -> Decoded:
    """The record of a job that was done at `now`."""
    received = outcome.job.received
    return Decoded(
        now,
        outcome.seconds,
        outcome.job.generation,
        outcome.job.step.unit,
        received is None,
        outcome.refused,
        outcome.unit is None,
        () if received is None else received.arrived,
    )
