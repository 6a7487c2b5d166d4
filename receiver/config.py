"""The receiver's settings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import ValidationInfo, field_validator, model_validator

from common.config import LogSection, MetricsSection, Section, load, option
from common.record.rules import RecordSection
from common.redact import redact
from common.stats.command import stats_command
from common.stats.daemons import RECEIVER
from common.values import Address, AddressField
from proto.wire import Mode
from receiver.decode_config import DecodeSection
from receiver.delay import AUTOMATIC, DelayBounds
from receiver.play.push.target import is_push, target_of
from receiver.play.v4l2_format import PREFIX as V4L2

ENV_PREFIX = "SEMCAST_RECEIVER_"

EPILOG = """examples:
  receiver --listen :5004 --key-file link.key --play web
  receiver --listen :5004 --key-file link.key --play - | ffplay -
  receiver --listen :5004 --key-file link.key --play window --play flight.mkv
  receiver --listen :5004 --key-file link.key --play rtsp://mediamtx.example:8554/drone
  receiver --listen :5004 --key-file link.key --play v4l2:/dev/video10
  receiver --stats
      shows what the receiver that runs on this host does, in the terminal
  receiver --listen :5004 --key-file link.key --record flight.smc --record flight.mkv
  receiver --replay flight.smc --replay-speed max --play better.mkv
  receiver inspect flight.smc

Times of capture come from the sender's clock, so the latency shown is right only if the clocks of both hosts are in
step (NTP or PTP); playback itself does not depend on it.
"""

RECORDINGS = (".mp4", ".mkv")
CAPTURE = ".smc"

MAX_DELAY_MS = 3000


class WebSection(Section):
    """The browser page (`--play web`)."""

    listen: AddressField = option(
        Address("127.0.0.1", 8080),
        "address of the page; beyond this host (such as :8080) it asks for a token, which is made at the start and "
        "logged with the address to open, unless web.token_file or web.open say otherwise",
        metavar="HOST:PORT",
    )
    token_file: Path | None = option(
        None,
        "file with the token that opens the page, 16 to 256 characters, readable by its owner alone; made if it is not "
        "there; so that the token outlasts a restart, or to ask for one on this host too",
    )
    open: bool = option(
        False,
        "let everyone who reaches the page watch, without a token (a closed network, a proxy with a login)",
    )
    max_viewers: int = option(8, "browsers that may watch at a time; all share one VP8 encoder", ge=1, le=64)
    video_kbps: Literal["auto"] | int = option(
        "auto",
        "the most that the page's video may take for each browser; `auto`: 1500 for 256x256 at 15 pictures/s, more for "
        "larger pictures, at most 8000",
        unit="kbit/s",
        metavar="auto|KBPS",
    )

    @field_validator("video_kbps")
    @classmethod
    def _rate_in_range(cls, value: int | str) -> int | str:
        if not isinstance(value, str) and not 100 <= value <= 50_000:
            raise ValueError("must be `auto` or 100 to 50000 kbit/s")
        return value


class WindowSection(Section):
    """The window (`--play window`); H in it lists its keys."""

    osd: Literal["off", "small", "full"] = option(
        "small", "figures on the picture at start; the key O goes from one to the next"
    )
    osd_scale: float = option(1.0, "size of the display's letters, times what fits the window", ge=0.25, le=4)
    snapshots: Path = option(
        Path("."), "folder for snapshots (the key S), made when it is missing", metavar="FOLDER"
    )
    full_screen: bool = option(False, "start in full screen; the key F changes it")
    scale: Literal["auto"] | float = option(
        "auto",
        "size of the window at start, times that of the picture; `auto`: its longer side is 768 pixels",
        metavar="auto|X",
    )

    @field_validator("scale")
    @classmethod
    def _in_range(cls, value: float | str) -> float | str:
        if not isinstance(value, str) and not 0.25 <= value <= 16:
            raise ValueError("must be `auto` or 0.25 to 16")
        return value


class PlayoutSection(Section):
    """When pictures are shown."""

    delay_ms: Literal["auto"] | float = option(
        "auto",
        "time from the earliest possible arrival of a picture's first packet to its display; "
        "`auto`: what the packets of the last 10 s needed to be nearly all in time, at least 0.8 access units; "
        "a number: always this",
        unit="ms",
        metavar="auto|MS",
    )
    max_delay_ms: Literal["auto"] | float = option(
        "auto",
        "the most that delay_ms `auto` may choose, whatever comes later then; "
        "`auto`: 1000, or 0.8 access units and 60 ms where that is more",
        unit="ms",
        metavar="auto|MS",
    )

    @field_validator("delay_ms", "max_delay_ms")
    @classmethod
    def _in_range(cls, value: float | str) -> float | str:
        if not isinstance(value, str) and not 0 <= value <= MAX_DELAY_MS:
            raise ValueError(f"must be `auto` or 0 to {MAX_DELAY_MS} ms")
        return value

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        delay, most = self.delay_ms, self.max_delay_ms
        if not isinstance(delay, str) and not isinstance(most, str) and delay > most:
            raise ValueError(f"delay_ms ({delay:g}) must not be above max_delay_ms ({most:g})")
        return self

    @property
    def bounds(self) -> DelayBounds:
        """What the player takes."""
        if not isinstance(self.delay_ms, str):
            return DelayBounds.exactly(self.delay_ms / 1000)
        return AUTOMATIC if isinstance(self.max_delay_ms, str) else DelayBounds(0.0, self.max_delay_ms / 1000)


class PushSection(Section):
    """Media servers that hand the video on (`--play rtsp://...`): all of them get the same H.264."""

    kbps: int = option(
        1000,
        "most that is sent to each media server, over any second; 1000 is plenty for 256x256, 3000 for 1280x720",
        unit="kbit/s",
        ge=50,
        le=50_000,
    )
    key_interval: float = option(
        1.0,
        "time between key pictures: a viewer who joins at the media server waits for the next one; longer ones look "
        "better at a low rate",
        unit="s",
        ge=0.5,
        le=10,
    )
    sound: bool = option(
        True, "send sound too where the sender sends some: AAC, for WHIP Opus; off for servers that refuse it"
    )
    token_file: Path | None = option(
        None, "file with the bearer token for WHIP, where the URL has none (whip://TOKEN@HOST/...)"
    )


class ReceiverMetricsSection(MetricsSection):
    """Figures for Prometheus, over HTTP."""

    listen: AddressField | None = option(
        Address("127.0.0.1", 9101), "address of /metrics and /healthz; `off` for none", metavar="HOST:PORT"
    )


class SignalSection(Section):
    """When the link counts as lost."""

    lost_after: float = option(
        2.0,
        "silence after which the viewer is told; with profile structure three of its units more, 2.4 to 6 s",
        unit="s",
        ge=0.2,
        le=60,
    )
    mark: bool = option(
        True,
        "draw the mark of a lost signal (grey, dark, with the seconds since the last packet) into recordings and raw "
        "video too; the window and the page always show it",
    )


class AudioSection(Section):
    """Sound, where the sender sends any; it is in recordings and on the page, too."""

    mute: bool = option(False, "the window plays no sound")


class SessionSection(Section):
    """Keys, and whether there is a way back."""

    mode: Mode = option(
        Mode.AUTO,
        "`auto`: answer senders that ask, and report to them; `two-way`: show only what comes under keys agreed with "
        "the sender (forward secrecy); `one-way`: never send anything",
        metavar="auto|two-way|one-way",
    )


class RecordingSection(RecordSection):
    """Recordings (`--play FILE.mkv`, `--record FILE`), and captures (`--record FILE.smc`) for `--replay`."""

    files: tuple[Path, ...] = option(
        (),
        "also record: FILE.mkv or FILE.mp4 what is shown, FILE.smc what is received (one of these), to be played "
        "again with --replay",
        alias="--record",
        metavar="FILE",
    )
    codec: Literal["h264", "ffv1"] = option("h264", "of recordings; `ffv1` is lossless and needs .mkv")
    crf: int = option(20, "quality of h264: 18 is hard to tell from what was shown, 28 is small", ge=0, le=51)
    captions: bool = option(
        True,
        "add a text track to .mkv recordings: what was received, recovered and imagined, second by second",
    )

    @field_validator("files")
    @classmethod
    def _known_files(cls, files: tuple[Path, ...]) -> tuple[Path, ...]:
        for file in files:
            if file.suffix.lower() not in (*RECORDINGS, CAPTURE):
                raise ValueError(f"{str(file)!r} must end in .mp4, .mkv or .smc")
        if len([file for file in files if file.suffix.lower() == CAPTURE]) > 1:
            raise ValueError("can name one .smc only")
        return files

    @property
    def movies(self) -> tuple[Path, ...]:
        """Recordings of what is shown."""
        return tuple(file for file in self.files if file.suffix.lower() in RECORDINGS)

    @property
    def capture(self) -> Path | None:
        """Where what is received goes."""
        return next((file for file in self.files if file.suffix.lower() == CAPTURE), None)


class ReplaySection(Section):
    """Play what was captured with `--record FILE.smc`, instead of listening."""

    files: tuple[Path, ...] = option(
        (), "captures to play, with all their parts; no key is needed", alias="--replay", metavar="FILE.smc"
    )
    speed: Literal["max"] | float = option(
        1.0,
        "1 is real time, 8 eight times as fast, `max`: as fast as it goes",
        alias="--replay-speed",
        metavar="max|X",
    )
    timing: Literal["recorded", "ideal"] = option(
        "recorded",
        "`recorded`: everything happens at the moment at which it did, so that the same is shown as then; `ideal`: as "
        "by a receiver that is never late, for other settings (say a longer playout.delay_ms) or another decoder",
    )

    @field_validator("speed")
    @classmethod
    def _forwards(cls, value: float | str) -> float | str:
        if not isinstance(value, str) and not 0.01 <= value <= 1000:
            raise ValueError("must be `max` or 0.01 to 1000")
        return value


class ReceiverConfig(Section):
    """Everything that can be set."""

    listen: AddressField = option(
        Address("", 5004),
        "UDP address to receive at; no host means every interface; a multicast group is joined",
        metavar="[HOST]:PORT",
    )
    interface: str = option(
        "", "network interface to join a multicast group on, such as eth0; the system's choice without"
    )
    replay: ReplaySection = ReplaySection()
    key_file: Path | None = option(
        None,
        "the key shared with the sender (made by `sender --new-key FILE`); required unless a capture is replayed",
    )
    play: tuple[str, ...] = option(
        ("web",),
        "where pictures go: web, window, a recording (FILE.mp4, FILE.mkv), - for raw video (Y4M) on standard output, "
        "a media server (rtsp://, rtmp://, srt:// or whip://HOST..., with an s behind for TLS: see `push`), "
        "or v4l2:/dev/videoN, a camera for other programs",
        metavar="SINK",
    )
    record: RecordingSection = RecordingSection()
    frame_log: Path | None = option(None, "write one JSON line for every picture shown")
    session: SessionSection = SessionSection()
    playout: PlayoutSection = PlayoutSection()
    signal: SignalSection = SignalSection()
    audio: AudioSection = AudioSection()
    decode: DecodeSection = DecodeSection()
    web: WebSection = WebSection()
    window: WindowSection = WindowSection()
    push: PushSection = PushSection()
    metrics: ReceiverMetricsSection = ReceiverMetricsSection()
    log: LogSection = LogSection()

    @field_validator("key_file")
    @classmethod
    def _keyed(cls, key_file: Path | None, info: ValidationInfo) -> Path | None:
        replay = info.data.get("replay")
        if key_file is None and not (isinstance(replay, ReplaySection) and replay.files):
            raise ValueError(f"is required: give --key-file, {ENV_PREFIX}KEY_FILE or `key_file:` in the file")
        return key_file

    @field_validator("record")
    @classmethod
    def _anew(cls, record: RecordingSection, info: ValidationInfo) -> RecordingSection:
        replay = info.data.get("replay")
        if record.capture is not None and isinstance(replay, ReplaySection) and replay.files:
            raise ValueError("a replay receives nothing that could go into a .smc")
        return record

    @field_validator("play")
    @classmethod
    def _known_sinks(cls, play: tuple[str, ...]) -> tuple[str, ...]:
        if not play:
            raise ValueError("must name at least one sink, for example web")
        for sink in play:
            if is_push(sink):
                target_of(sink)
            elif sink not in ("web", "window", "-") and not _is_file(sink):
                raise ValueError(
                    f"{redact(sink)!r} must be web, window, -, a file ending in .mp4 or .mkv, "
                    f"rtsp://, rtmp://, srt:// or whip://HOST..., or {V4L2}/dev/videoN"
                )
        if len(set(play)) < len(play):
            raise ValueError("names a sink twice")
        return play


def _is_file(sink: str) -> bool:
    recording = Path(sink).suffix.lower() in RECORDINGS and "://" not in sink
    return recording or (sink.startswith(V4L2) and len(sink) > len(V4L2))


def configure(argv: Sequence[str] | None = None) -> ReceiverConfig:
    """The settings from the command line (sys.argv by default), environment and file.  Raises ConfigError."""
    return load(
        ReceiverConfig,
        sys.argv[1:] if argv is None else argv,
        prog="receiver",
        description="Receive live video over a very lossy link and show it.",
        env_prefix=ENV_PREFIX,
        epilog=EPILOG,
        commands=[stats_command(RECEIVER)],
    )
