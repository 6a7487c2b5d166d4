"""WHIP ingest as a source: the server runs in an event loop and thread of its own, what it gets comes over here."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sys
import threading
from collections import deque
from collections.abc import Iterator

import aioice.ice
import uvloop
from av import AudioFrame, VideoFrame

from common.config import ConfigError
from common.handoff import DropOldest
from common.log import Log
from common.video import Frame, Resizer
from common.web_token import TokenError, is_loopback, load_token, new_token
from sender.capture.base import CaptureOptions, Source
from sender.capture.timing import Cadence
from sender.capture.whip.place import parse_place
from sender.capture.whip.server import WhipServer
from sender.capture.whip.tls import ServerTls

log = Log("sender.capture")

LOOK_S = 0.2
"""How often the capture thread looks whether it shall stop, or the publisher has gone."""

JOIN_S = 5.0

MAX_SOUND = 250
"""Frames of sound (5 s) that wait for a picture."""


class WhipSource(Source):
    """`--source whips://:8889/cam`. Never ends; while nobody publishes there are no frames."""

    def __init__(self, source: str, options: CaptureOptions) -> None:
        super().__init__(source, options)
        self.url = ""
        self.token: str | None = None
        self._place = parse_place(source)
        self._pictures: DropOldest[tuple[VideoFrame, float]] = DropOldest()
        self._sound: deque[tuple[AudioFrame, float]] = deque(maxlen=MAX_SOUND)
        self._cadence = Cadence(options.fps)
        self._resizer = Resizer(options.size.width, options.size.height)
        self._server: WhipServer | None = None
        self._end = threading.Event()
        if (options.tls_cert or options.tls_key) and not self._place.tls:
            raise ConfigError("capture.tls_cert: HTTPS is asked for by whips:// instead of whip://")

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        """See Source. Raises SourceError and ConfigError."""
        tls = self._secure()
        listening: concurrent.futures.Future[None] = concurrent.futures.Future()
        thread = threading.Thread(target=self._serve, args=(tls, listening), name="whip", daemon=True)
        thread.start()
        try:
            listening.result()
            self._announce(tls)
            yield from self._taken(stop)
        finally:
            self.stats.connected = False
            self._end.set()
            self._pictures.close()
            thread.join(JOIN_S)

    def _taken(self, stop: threading.Event) -> Iterator[Frame]:
        last = self.clock()
        while not stop.is_set() and not self._pictures.closed:
            item = self._pictures.get(LOOK_S)
            now = self.clock()
            if item is None:
                self._look(now, last)
                continue
            picture, last = item
            if not self.stats.connected:
                self.stats.connected = True
                if self.options.sound is not None:
                    self.options.sound.begin(None, live=True)
                log.info("source opened", source=self.name, width=picture.width, height=picture.height)
            self._take_sound(last)
            slots = self._cadence.slots(last)
            self.stats.skipped = self._cadence.skipped + self._pictures.dropped
            self.stats.repeated = self._cadence.repeated
            if not slots:
                continue
            resized = self._resizer.convert(picture)
            self.prepared(self.clock() - now)
            for slot in slots:
                self.stats.frames += 1
                yield Frame(resized, self.wall.from_monotonic(last), slot)

    def _take_sound(self, last: float) -> None:
        """What was heard until the picture that arrived at `last`; arrival is the line of both."""
        tap = self.options.sound
        while self._sound:
            frame, at = self._sound.popleft()
            if tap is not None:
                tap.frame(frame, at)
        if tap is not None:
            tap.anchor(last, self.wall.from_monotonic(last))

    def _look(self, now: float, last: float) -> None:
        """No picture just now: has the publisher gone?"""
        assert self._server is not None
        ended = self._server.publishers.on_air is None
        if self.stats.connected and (ended or now - last > self.options.timeout):
            self.stats.connected = False
            self.stats.reconnects += 1
            reason = "the publisher ended" if ended else "the publisher sends nothing"
            log.warning("source gone", source=self.name, reason=reason)

    def _arrived(self, picture: VideoFrame, at: float) -> None:
        """Called in the server's event loop."""
        self._pictures.put((picture, at))

    def _heard(self, sound: AudioFrame, at: float) -> None:
        """Called in the server's event loop."""
        self._sound.append((sound, at))

    def _serve(self, tls: ServerTls | None, listening: concurrent.futures.Future[None]) -> None:
        """Body of the server's thread."""

        async def main() -> None:
            options = self.options
            server = WhipServer(
                self._place,
                options.size,
                options.fps,
                self.stats,
                self._arrived,
                self._heard if options.sound is not None and options.sound.of_source else None,
                token=self.token,
                tls=tls,
            )
            try:
                await server.start()
                self._server, self.url = server, server.url
                listening.set_result(None)
                await asyncio.to_thread(self._end.wait)
            finally:
                await server.close()

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(main())
        except Exception as error:
            if listening.done():
                log.exception("whip server crashed", error)
            else:
                listening.set_exception(error)
        finally:
            self._pictures.close()

    def _secure(self) -> ServerTls | None:
        """Settle on the token; the TLS of `whips`, None for `whip`. Raises ConfigError."""
        options, host = self.options, self._place.listen.host
        try:
            if options.token_file is not None:
                self.token = load_token(options.token_file)
            elif not is_loopback(host):
                self.token = new_token()
        except TokenError as error:
            raise ConfigError(f"capture.token_file: {error}") from None
        if not self._place.tls:
            return None
        hosts = [host] if host else aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False)
        return ServerTls(options.tls_cert, options.tls_key, hosts)

    def _announce(self, tls: ServerTls | None) -> None:
        """Tell the operator where to go. The token that was just made is told here and nowhere else."""
        log.info(
            "waiting for a publisher",
            page=self.url,
            whip=self.url.rstrip("/") + self._place.path,
            token="needed" if self.token else "none",
        )
        if tls is not None:
            log.info("certificate", sha256=tls.fingerprint, self_signed=tls.self_signed)
        elif not is_loopback(self._place.listen.host):
            log.warning(
                "plain HTTP: browsers open no camera here, and the token is sent in clear; use whips://"
            )
        if self.token is not None and self.options.token_file is None:
            print(
                f"capture page: {self.url}#token={self.token}\n"
                f"WHIP: {self.url.rstrip('/')}{self._place.path}  bearer token: {self.token}",
                file=sys.stderr,
                flush=True,
            )
