"""The audio stage: chooses where sound comes from, codes it, and hands its units on."""

from __future__ import annotations

import threading
from collections.abc import Callable

from common.audio import Sound, level
from common.log import Log
from sender.audio.device import PREFIX, DeviceSound
from sender.audio.generated import SyntheticSound
from sender.audio.recorded import FileSound
from sender.audio.units import AudioFormat, AudioUnit, UnitMaker
from sender.capture.sound import ContainerSound, SoundTap

log = Log("sender.audio")

OFF, SOURCE, SYNTHETIC = "off", "source", "synthetic"


Deliver = Callable[[bytes, float, float], None]
"""Takes one unit, in the thread that the sound comes in: data, timestamp (s since the Unix epoch), duration (s)."""


class AudioStage:
    """One run of it. `put` may be called by one thread; the counters are plain numbers that any may read."""

    def __init__(
        self,
        source: str,
        format: AudioFormat,
        loop: bool = False,
        deliver: Deliver = lambda data, timestamp, duration: None,
    ) -> None:
        """`source`: `source`, `synthetic`, `alsa:NAME` or a file; `loop`: play a file again and again. Raises
        SourceError."""
        self.units = 0
        self.payload_bytes = 0
        self.seconds = 0.0
        """Of sound that was coded."""
        self.level = 0.0
        """Root mean square of the piece that came last; 1 is full scale."""
        self.failed = False
        self.source = source
        self.format = format
        self.deliver = deliver
        """May be exchanged before sound comes."""
        self._maker = UnitMaker(format)
        self._device: DeviceSound | None = None
        self.tap: SoundTap | None = None
        """What the source of pictures has to be told (CaptureOptions.sound)."""
        if source.startswith(PREFIX):
            self._device = DeviceSound(self.put, source.removeprefix(PREFIX))
        elif source == SOURCE:
            self.tap = ContainerSound(self.put)
        elif source == SYNTHETIC:
            self.tap = SyntheticSound(self.put)
        else:
            self.tap = FileSound(self.put, source, loop)
        log.info("sound", source=source, kbps=format.kbps, expected_wire_kbps=round(format.wire_kbps, 1))

    @property
    def threaded(self) -> bool:
        """Whether `run` has to run in a thread of its own."""
        return self._device is not None

    @property
    def gaps(self) -> int:
        """Times that captured sound did not go on where it had ended."""
        return self._maker.gaps

    def run(self, stop: threading.Event) -> None:
        """Body of that thread. Raises SourceError."""
        if self._device is not None:
            self._device.run(stop)

    def put(self, sound: Sound) -> None:
        """Code a piece of captured sound. Never raises: without sound pictures go on."""
        if self.failed:
            return
        try:
            units = self._maker.push(sound)
        except Exception as error:
            self.failed = True
            log.exception("sound cannot be coded; pictures go on without", error)
            return
        self.level = level(sound.samples)
        self.seconds += sound.duration
        for unit in units:
            self._send(unit)

    def _send(self, unit: AudioUnit) -> None:
        self.units += 1
        self.payload_bytes += len(unit.data)
        self.deliver(unit.data, unit.timestamp, unit.duration)
