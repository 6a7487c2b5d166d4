"""The encoding stage: collects frames into access units, encodes them, and hands their segments on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from common.codec.base import Budget, UnitEncoder
from common.handoff import DropOldest
from common.log import Log
from common.video import Frame
from proto.packet import Segment
from proto.packetizer import segments
from proto.streams import VIDEO
from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES

log = Log("sender.encode")

POLL_SECONDS = 0.25
"""How often a stage that waits for frames looks whether it should end."""


class RateControl(Protocol):
    """What the encoding stage asks of sender.rate."""

    def budget(self) -> Budget:
        """What the next unit may spend."""
        ...

    def admit(self, packet_bytes: Sequence[int], steps: Sequence[int] = ()) -> int:
        """How many of the unit's packets to send, perhaps none; `steps`: how many are of use."""
        ...

    def spent(self, wire_bytes: int) -> None:
        """What it did spend."""
        ...


class UnitRecord(Protocol):
    """Something that keeps what was encoded."""

    def write(self, unit: int, frames: Sequence[Frame]) -> None:
        """Add the frames of one unit."""
        ...

    def close(self) -> None:
        """Finish."""
        ...


class Reports(Protocol):
    """What the encoding stage asks of sender.control."""

    @property
    def ready(self) -> bool:
        """Whether a unit that is encoded now could be sent."""
        ...

    def take_reports(self) -> Sequence[tuple[int, Sequence[bool] | None]]:
        """What became of units, for UnitEncoder.report."""
        ...

    def plan_packets(self) -> None:
        """Choose how long the packets of the next unit may be; called once a unit, before its budget is asked for."""
        ...


@dataclass(frozen=True, slots=True)
class CodedUnit:
    """One access unit as segments."""

    unit: int
    segments: list[Segment]
    duration: float  # seconds of video in it
    wire_bytes: int  # all headers included


class EncodeStage:
    """Owns encoder and unit numbers; `run` is the body of the encoding thread.

    At most one unit under construction and the two frames of the hand-off wait here. When capture stalls, the
    unit under construction waits for the next frame. The counters are plain ints that any thread may read.
    """

    def __init__(
        self,
        frames: DropOldest[Frame],
        encoder: UnitEncoder,
        control: Reports,
        rate: RateControl,
        fps: float,
        payload_limit: int,
        deliver: Callable[[CodedUnit], None],
        *,
        stage_seconds: Callable[[str, float], None] = lambda stage, seconds: None,
        records: Sequence[UnitRecord] = (),
    ) -> None:
        """`deliver` takes each unit, `stage_seconds` (stage, seconds); both in the encoding thread."""
        self.units = 0
        self.frames_encoded = 0
        self.frames_incomplete = 0
        self.frames_withheld = 0
        """Frames that came while there were no keys to send them under."""
        self.packets_withheld = 0
        self.quality = 0
        self._frames = frames
        self._encoder = encoder
        self._control = control
        self._payload_limit = payload_limit
        self._rate = rate
        self._fps = fps
        self._deliver = deliver
        self._stage_seconds = stage_seconds
        self._records = list(records)

    @property
    def unit_duration(self) -> float:
        """Seconds of video in one unit."""
        return self._encoder.frames_per_unit / self._fps

    def run(self) -> None:
        """Encode until the hand-off is closed and empty; frames that make no whole unit are counted."""
        collected: list[Frame] = []
        try:
            while not self._frames.closed:
                frame = self._frames.get(POLL_SECONDS)
                if frame is None:
                    continue
                collected.append(frame)
                if len(collected) == self._encoder.frames_per_unit:
                    self._encode(collected)
                    collected = []
        finally:
            self.frames_incomplete += len(collected)
            for record in self._records:
                _close(record)

    def _encode(self, frames: list[Frame]) -> None:
        if not self._control.ready:
            self.frames_withheld += len(frames)
            return
        for told, arrived in self._control.take_reports():
            self._encoder.report(told, arrived)
        self._control.plan_packets()
        unit = self.units
        encoded = self._encoder.encode([frame.picture for frame in frames], unit, self._rate.budget())
        # Counted back from the newest frame: a unit that waited through a stall belongs to the time after it.
        timestamp = frames[-1].captured_at - (len(frames) - 1) / self._fps
        sizes = [len(payload) + OVERHEAD_BYTES + IP_UDP_BYTES for payload in encoded.payloads]
        admitted = self._rate.admit(sizes, encoded.steps)
        self.packets_withheld += len(sizes) - admitted
        wire_bytes = sum(sizes[:admitted])
        self._rate.spent(wire_bytes)
        if admitted:
            cut = segments(VIDEO.id, unit, timestamp, encoded.payloads[:admitted], self._payload_limit)
            self._deliver(CodedUnit(unit, cut, self.unit_duration, wire_bytes))
        else:
            self._encoder.report(unit, ())
        for stage, seconds in encoded.stages.items():
            self._stage_seconds(stage, seconds)
        self.units += 1
        self.frames_encoded += len(frames)
        self.quality = encoded.quality
        # After sending, so that writing to a disk costs no latency.
        for record in list(self._records):
            self._keep(record, unit, frames)

    def _keep(self, record: UnitRecord, unit: int, frames: list[Frame]) -> None:
        try:
            record.write(unit, frames)
        except OSError as error:
            # A full disk ends the record, not the transmission.
            log.error("record given up", kind=type(record).__name__, reason=error.strerror or str(error))
            self._records.remove(record)
            _close(record)


def _close(record: UnitRecord) -> None:
    """A disk that is full at the end costs the end of the record, nothing else."""
    try:
        record.close()
    except OSError as error:
        log.error("record not finished", kind=type(record).__name__, reason=error.strerror or str(error))
