"""From the name of a sink to the sink: one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from receiver.config import ReceiverConfig
from receiver.play.base import Sink, SinkError
from receiver.play.push.coded import Settings
from receiver.play.push.create import Pushes
from receiver.play.push.target import is_push
from receiver.play.v4l2_format import PREFIX as V4L2

Status = Callable[[], Mapping[str, object]]
"""What receiver.status tells, for sinks that show it; called on the event loop thread."""

Choose = Callable[[str | None], bool]
"""ReceiverEndpoint.choose, for sinks that let their viewer choose a sender; called on the event loop thread."""


def create_pushes(config: ReceiverConfig) -> Pushes:
    """What makes the sinks towards media servers; one for all of them, since they share an encoder."""
    settings = Settings(config.push.kbps, config.push.key_interval, config.signal.mark, config.push.sound)
    return Pushes(settings, config.push.token_file)


def create_sink(name: str, config: ReceiverConfig, status: Status, choose: Choose, pushes: Pushes) -> Sink:
    """The sink that `--play NAME` asks for; opened by its `start`. Raises SinkError where an extra is missing."""

    def sound() -> bool:
        return bool(status()["sound"])

    if is_push(name):
        return pushes.create(name, sound)
    if name.startswith(V4L2):
        from receiver.play.v4l2 import V4l2Sink

        return V4l2Sink(Path(name.removeprefix(V4L2)), config.signal.mark)
    match name:
        case "web":
            try:
                from receiver.play.web import WebSink
            except ImportError as error:
                raise SinkError(
                    f"play web: needs aiortc and aiohttp ({error}); install: pip install 'semcast[web]'"
                ) from None
            return WebSink(config.web, status, choose)
        case "window":
            from receiver.play.window import WindowSink

            return WindowSink(status, config.window, str(config.listen), mute=config.audio.mute)
        case "-":
            from receiver.play.y4m import Y4mSink

            return Y4mSink(mark=config.signal.mark)
        case _:
            from receiver.play.file import FileFormat, FileSink

            record = config.record
            format = FileFormat(record.codec, record.crf, record.captions)
            return FileSink(Path(name), config.signal.mark, record.rules, format, sound=sound)
