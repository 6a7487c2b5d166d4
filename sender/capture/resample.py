"""Sound of any rate and layout to that of the audio stream."""

from __future__ import annotations

import av

from common.audio import RATE


class MonoResampler:
    """To 48 kHz, mono, 16 bits. One thread.

    Broadcasts, and AAC behind its first frames, change rate or layout in the middle; FFmpeg's resampler refuses that.
    """

    def __init__(self) -> None:
        self._inner = self._fresh()

    def resample(self, frame: av.AudioFrame | None) -> list[av.AudioFrame]:
        """What is ready of it; None: the rest. Raises av.FFmpegError."""
        try:
            return self._inner.resample(frame)
        except ValueError as error:
            if isinstance(error, av.FFmpegError):
                raise
            self._inner = self._fresh()
            return self._inner.resample(frame)

    @staticmethod
    def _fresh() -> av.AudioResampler:
        return av.AudioResampler(format="s16", layout="mono", rate=RATE)
