"""Anything with a scheme that FFmpeg opens: RTSP, HTTP, UDP, RTMP, HLS and more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from common.log import Log
from common.video import Frame
from sender.capture.base import CaptureOptions
from sender.capture.live import LiveSource
from sender.capture.playback import Playback

log = Log("sender.capture")

LIVE_SCHEMES = frozenset({"rtsp", "rtsps", "rtp", "udp", "tcp", "rtmp", "rtmps", "unix"})
"""Frames of these come when they were taken; those of others (http, https) as fast as the network allows."""


def is_live(url: str, pace: str) -> bool:
    """Whether frames are taken as they come (else by their time stamps)."""
    return urlsplit(url).scheme.lower() in LIVE_SCHEMES if pace == "auto" else pace == "live"


class UrlSource(LiveSource):
    """`--source rtsp://camera/stream`. It may come and go: it is reopened, with growing pauses, for ever.

    Only a recording (it has a duration) ends, unless `loop` is set.
    """

    def __init__(self, url: str, options: CaptureOptions) -> None:
        # RTSP over TCP crosses NAT, and loses nothing of what is about to be coded.
        extra = {"rtsp_transport": "tcp"} if urlsplit(url).scheme.lower().startswith("rtsp") else {}
        super().__init__(url, options, url=url, ffmpeg=extra, must_exist=False)
        self.live = is_live(url, options.pace)
        self._next_index = 0

    def connection(self, stop: threading.Event) -> Iterator[Frame]:
        """See LiveSource."""
        if self.live:
            yield from super().connection(stop)
            return
        options = self.options
        playback = Playback(
            self.url,
            options.size,
            loop=options.loop,
            options=self.ffmpeg,
            timeout=options.timeout,
            sound=options.sound,
        )
        log.info("source opened", source=self.name, duration_seconds=playback.duration)
        begin = self._next_index
        try:
            for frame in self.paced(lambda slot: playback.at(slot / options.fps), stop):
                self.stats.connected = True
                self.backoff.reset()
                self._next_index = begin + frame.index + 1
                yield replace(frame, index=begin + frame.index)
            self.finished = playback.duration is not None
        finally:
            playback.close()
