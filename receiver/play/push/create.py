"""From the URL of a push to its sink; pushes of one receiver share their encoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from receiver.play.base import SinkError
from receiver.play.push.child import ChildLink
from receiver.play.push.coded import Settings
from receiver.play.push.encoder import SharedEncoder
from receiver.play.push.link import Connect
from receiver.play.push.sink import PushSink
from receiver.play.push.srt import SrtError, library
from receiver.play.push.target import Target, target_of


class Pushes:
    """Makes the pushes of one receiver."""

    def __init__(self, settings: Settings, token_file: Path | None = None) -> None:
        """`token_file`: see `receiver.play.push.whip.Whip`."""
        self._settings = settings
        self._token_file = token_file
        self._names: set[str] = set()
        self._encoder: SharedEncoder | None = None

    def create(self, url: str, sound: Callable[[], bool] = lambda: False) -> PushSink:
        """The sink of one push (`sound`: see there). Raises SinkError where what it needs is not installed."""
        try:
            target = target_of(url)
        except ValueError as error:
            raise SinkError(f"play: {error}") from None
        connect = self._connect(target)
        if self._encoder is None:
            self._encoder = SharedEncoder(self._settings)
        name = self._name(target.label)
        return PushSink(target, name, self._encoder, connect, lambda: self._closed(name), sound=sound)

    def _name(self, label: str) -> str:
        """The label, with a number where two differ only in what is not shown."""
        name, number = label, 1
        while name in self._names:
            number += 1
            name = f"{label} ({number})"
        self._names.add(name)
        return name

    def _connect(self, target: Target) -> Connect:
        if target.scheme == "srt":
            try:
                library()
            except SrtError as error:
                raise SinkError(f"play {target.label}: {error}") from None
        if not target.scheme.startswith("whip"):
            return ChildLink.connect
        try:
            from receiver.play.push.whip import Whip
        except ImportError as error:
            raise SinkError(
                f"play {target.label}: needs aiortc and aiohttp ({error}); install: pip install 'semcast[web]'"
            ) from None
        return Whip(self._token_file).connect

    def _closed(self, name: str) -> None:
        """The encoder goes with the last push."""
        self._names.discard(name)
        if not self._names and self._encoder is not None:
            self._encoder.close()
            self._encoder = None
