"""The sound card, through SDL 2: blocks are queued as they come, and the queue is kept short."""

from __future__ import annotations

import ctypes
from typing import Any

from common.audio import RATE, silence
from common.log import Log
from receiver.audio.block import BLOCK, SoundBlock

LEAD = 2 * BLOCK
"""Samples of silence put before the first block, and again when the queue ran dry: what blocks may be late by."""

MOST = 6 * BLOCK
"""A longer queue (120 ms) is cut down to LEAD: the card is slower than this host's clock, or stood still."""

DEVICE = 512
"""Samples that the card takes at a time."""

log = Log("play.speaker")


class Speaker:
    """Opened and closed by one thread; `hear` may be called by another. Without a sound card everything is silent."""

    def __init__(self, mute: bool = False) -> None:
        """`mute`: nothing is opened."""
        self.mute = mute
        self.blocks = self.cut = 0
        """Blocks queued, and times that the queue was cut."""
        self._sdl: Any = None
        self._device = 0

    @property
    def opened(self) -> bool:
        """Whether there is a sound card to play on."""
        return self._device != 0

    def open(self) -> None:
        """Take the default sound card. Never raises: where there is none, that is logged."""
        if self.mute:
            return
        import sdl2

        if sdl2.SDL_InitSubSystem(sdl2.SDL_INIT_AUDIO) == 0:
            wanted = sdl2.SDL_AudioSpec(RATE, sdl2.AUDIO_S16SYS, 1, DEVICE)
            self._sdl = sdl2
            self._device = sdl2.SDL_OpenAudioDevice(None, 0, ctypes.byref(wanted), None, 0)
        if not self._device:
            reason = bytes(sdl2.SDL_GetError()).decode(errors="replace")
            log.warning("no sound card; the window is silent (audio.mute true says nothing)", reason=reason)
            return
        sdl2.SDL_PauseAudioDevice(self._device, 0)

    def hear(self, block: SoundBlock) -> None:
        """Queue a block; takes some microseconds."""
        device, sdl = self._device, self._sdl
        if not device or self.mute:
            return
        waiting = sdl.SDL_GetQueuedAudioSize(device) // 2
        if waiting > MOST:
            self.cut += 1
            sdl.SDL_ClearQueuedAudio(device)
            waiting = 0
        data = (silence(LEAD).tobytes() if waiting == 0 else b"") + block.samples.tobytes()
        sdl.SDL_QueueAudio(device, data, len(data))
        self.blocks += 1

    def close(self) -> None:
        """Give the card back."""
        device, self._device = self._device, 0
        if device:
            self._sdl.SDL_CloseAudioDevice(device)
            self._sdl.SDL_QuitSubSystem(self._sdl.SDL_INIT_AUDIO)
