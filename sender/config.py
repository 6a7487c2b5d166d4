"""Every setting of the sender. README.md and deploy/ describe their use; `sender --help` lists them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import field_validator, model_validator

from common.config import (
    Command,
    ConfigError,
    LogSection,
    MetricsSection,
    Section,
    load,
    option,
)
from common.record.rules import RecordSection
from common.stats.command import stats_command
from common.stats.daemons import SENDER
from common.values import Address, AddressField, Size, SizeField
from proto.announce import MAX_NAME_BYTES
from proto.crypto import KeyFileError, new_key_file
from proto.wire import DATAGRAM_LIMIT, MAX_DATAGRAM, OVERHEAD_BYTES, Mode
from sender.audio.units import AudioFormat
from sender.codec_config import STRUCTURE, CodecSection
from sender.contours.settings import ContoursSection
from sender.maps.settings import MAPS_HELP, MapsSection
from sender.packet_length.limit import LEAST_PAYLOAD

ENV_PREFIX = "SEMCAST_SENDER_"
MIN_DATAGRAM = OVERHEAD_BYTES + 71
"""A hundred bytes: less would be mostly headers."""

DESCRIPTION = """\
Sends live video over links that lose most of their packets. A packet shows the picture by itself, or together with a
few others, whichever they are; no return path is needed.
"""

EPILOG = """\
sources:
  synthetic, synthetic:7      a procedural scene with a running clock (and its seed)
  tabletop, tabletop:3        a rendered clip of things on a table (and its number)
  clip.mp4, file:///clip.mp4  a video file at real-time pace (--loop: again and again)
  list.m3u, list.txt          files one after the other: a path a line, from the list's folder; # begins a comment
  'clips/*.mp4'               all that match, clip2 before clip10 (quoted, or the shell takes it apart)
  /dev/video0                 a camera (Video4Linux2); /dev/v4l/by-id/... is the same one in any socket
  rtsp://CAMERA/STREAM        a network stream: rtsp, http(s), udp, rtmp, HLS, whatever FFmpeg opens
  whips://:8889/cam           a phone, a browser, OBS or GStreamer that publishes to us by WHIP; open
                              https://THIS_HOST:8889/ on the phone. whip://127.0.0.1:8889/cam: HTTP, for this host
  :0.0, screen, :0.0+100,50   the screen (X11), from an offset

"""
EPILOG += (
    MAPS_HELP
    + """\
examples:
  sender --new-key semcast.key
      makes a key; copy it to the receiver's host
  sender --source synthetic --to 127.0.0.1:5004 --key-file semcast.key
  sender --source /dev/video0 --to 192.0.2.7:5004 --key-file semcast.key --rate-kbps 80 --size 384x256
  sender --source whips://:8889/cam --to 192.0.2.7:5004 --key-file semcast.key
      prints the address, with its token, to open on the phone
  sender --source clip.mp4 --loop --to '[2001:db8::7]:5004' --key-file semcast.key --fps 12
  sender --source clip.mp4 --audio source --to 192.0.2.7:5004 --key-file semcast.key
      with its sound
  SEMCAST_SENDER_RATE__KBPS=40 sender --config /etc/semcast/sender.yaml
  sender --source tabletop --to 192.0.2.7:5004 --key-file semcast.key --profile structure --rate-kbps 7 --size 480x352
      --fps 10
      maps of classes and small pictures, on next to nothing
  sender --stats
      shows what the sender that runs on this host does, in the terminal

It runs until SIGINT or SIGTERM, or until the source has ended. Exit codes: 0 done, 66 no such source, 68 no
such host, 69 something needed is missing, 73 an output cannot be written, 78 wrong configuration, 1 a bug.
"""
)

LEAST_KBPS = 8.0  # of the profiles but `structure`


class CaptureSection(Section):
    """How the source is read."""

    loop: bool = option(False, "play a recording again and again", alias="--loop")
    pace: Literal["auto", "live", "media"] = option(
        "auto",
        "for URLs: `live` takes frames as they come (RTSP, UDP; set it for MJPEG cameras over HTTP), "
        "`media` by their time stamps, `auto` chooses by the scheme",
    )
    timeout: float = option(
        5.0, "a network source that says nothing for so long is opened anew", unit="s", gt=0, le=300
    )
    ffmpeg: list[str] = option(
        [], "option for FFmpeg's demuxer, for example video_size=1280x720", metavar="NAME=VALUE"
    )

    wait: bool = option(
        False, "wait for a camera or a screen that is not there at the start, instead of ending with 66"
    )
    tls_cert: Path | None = option(
        None,
        "certificate (PEM, with its chain) of a `whips` source, read again when it changes; one is made at the "
        "start without",
        metavar="FILE",
    )
    tls_key: Path | None = option(None, "its private key (PEM)", metavar="FILE")
    token_file: Path | None = option(
        None,
        "token that publishers to a `whip` source must show, in a file of yours alone; made where it is missing. "
        "Without: a new token at each start, printed once; none where only this host can reach the source",
        metavar="FILE",
    )

    @field_validator("ffmpeg")
    @classmethod
    def _pairs(cls, value: list[str]) -> list[str]:
        for item in value:
            if not item.partition("=")[0] or "=" not in item:
                raise ValueError(f"must be NAME=VALUE, not {item!r}")
        return value


class AudioSection(Section):
    """Sound, off unless asked for. It takes its share of `rate.kbps`; pictures get the rest."""

    source: str = option(
        "off",
        "where sound comes from: `off`; `source`: heard with the pictures (files, RTSP, ...); `alsa:NAME` (see "
        "`arecord -L`); a file; `synthetic`: a test voice with a click at each second of the picture's clock",
        alias="--audio",
        metavar="off|source|alsa:NAME|FILE|synthetic",
        min_length=1,
    )
    kbps: float = option(
        9.0,
        "rate of the Opus coder, headers not included: 4 kHz of bandwidth from 6, 8 kHz from 9, 12 kHz from 14. 9 "
        "makes 10.5 on the wire, and up to twice that where `audio.parity` is needed",
        unit="kbit/s",
        ge=6,
        le=64,
    )
    frame_ms: Literal[20, 40, 60] = option(60, "length of an Opus frame; 60 costs least", unit="ms")
    packet_ms: int = option(
        240,
        "sound in one packet: longer costs less in headers and delays more (nearly twice as long when interleaved)",
        unit="ms",
        ge=20,
        le=960,
    )
    interleave: bool = option(
        True,
        "even and odd frames in packets of their own: a lost packet leaves short holes in place of one long",
    )
    parity: float = option(
        1.0,
        "most parity packets to each packet of sound: none while less than a tenth is lost, or at 0",
        ge=0,
        le=3,
    )

    @model_validator(mode="after")
    def _makes_packets(self) -> Self:
        self.format  # noqa: B018 - raises what is wrong
        return self

    @property
    def format(self) -> AudioFormat:
        """What the audio stage takes."""
        return AudioFormat(self.kbps, self.frame_ms, self.packet_ms, self.interleave)


class RateSection(Section):
    """How much is sent. Where the receiver reports, the rate follows what the path carries, up to `kbps`."""

    kbps: float = option(
        60.0,
        "wire rate that is not passed over any ten seconds, IP and UDP headers included; one-way, and before the first "
        "report, it is what is sent; at least 8, with `--profile structure` 2",
        unit="kbit/s",
        alias="--rate-kbps",
        ge=2,
    )
    adapt: bool = option(True, "follow what the path carries where the receiver reports")
    min_kbps: float = option(
        8.0, "never adapt below (with `--profile structure`: 2, or less)", unit="kbit/s", ge=2
    )
    safe_kbps: float = option(
        30.0, "where the rate goes when reports stop coming, until they are back", unit="kbit/s", ge=2
    )


class SessionSection(Section):
    """Keys, and whether there is a way back."""

    mode: Mode = option(
        Mode.AUTO,
        "`auto`: send at once, and use a way back where there is one; `two-way`: only under keys agreed with the "
        "receiver (forward secrecy), nothing before; `one-way`: never listen (broadcast, multicast, radio)",
        metavar="auto|two-way|one-way",
    )
    rekey_minutes: float = option(
        60.0,
        "keys are renewed so often at the latest, overlapping; what is recorded under one is at most so much",
        unit="min",
        ge=1,
        le=1440,
    )
    name: str = option("", "name that receivers are told, at most 32 bytes of UTF-8")

    @field_validator("name")
    @classmethod
    def _short(cls, value: str) -> str:
        if len(value.encode()) > MAX_NAME_BYTES:
            raise ValueError(f"must be at most {MAX_NAME_BYTES} bytes of UTF-8 (got {len(value.encode())})")
        return value


class MulticastSection(Section):
    """Where `to` is a multicast group (then the session is one-way)."""

    hops: int = option(1, "network hops that packets may make; 1 stays in the local network", ge=1, le=255)
    interface: str = option("", "network interface to send from, such as eth0; the system's choice without")


class PacingSection(Section):
    """When packets leave."""

    spread: float = option(
        0.75,
        "share of an access unit's duration over which its packets are spread; 0 sends them at once",
        ge=0,
        le=1,
    )


class PacketSection(Section):
    """How large packets are."""

    max_bytes: int = option(
        MAX_DATAGRAM,
        "largest UDP payload; 1200 passes every usual path",
        unit="bytes",
        ge=MIN_DATAGRAM,
        le=DATAGRAM_LIMIT,
    )
    adapt: bool = option(
        True, "shorten packets where the receiver's reports prove that shorter ones lose less (bit errors)"
    )
    min_bytes: int = option(
        LEAST_PAYLOAD + OVERHEAD_BYTES,
        "UDP payload that packets are not shortened below; where it is not below max_bytes none are",
        unit="bytes",
        ge=MIN_DATAGRAM,
        le=DATAGRAM_LIMIT,
    )
    late_join: float = option(
        0.0,
        "while nobody reports (one-way), 21 packets in 2 s, so that a receiver that joins at a loss of 0.8 gets one "
        "with 99 %, where their headers take no more of the wire than this share (0.1, say); 0: never. Lowers the "
        "quality below 90 kbit/s where less than half is lost",
        ge=0,
        le=0.5,
    )


class RecordingSection(RecordSection):
    """Recordings of what was encoded, and captures of what was sent."""

    files: tuple[Path, ...] = option(
        (),
        "FILE.mkv: lossless video (FFV1) of the pictures handed to the encoder; FILE.smc: every packet as it was sent, "
        "for `receiver --replay` and `receiver inspect` (one of each)",
        alias="--record",
        metavar="FILE",
    )

    @field_validator("files")
    @classmethod
    def _known_files(cls, files: tuple[Path, ...]) -> tuple[Path, ...]:
        suffixes = [file.suffix.lower() for file in files]
        for file, suffix in zip(files, suffixes, strict=True):
            if suffix not in (".mkv", ".smc"):
                raise ValueError(f"{str(file)!r} must end in .mkv or .smc")
        if len(set(suffixes)) < len(suffixes):
            raise ValueError("can name one .mkv and one .smc")
        return files

    def file(self, suffix: str) -> Path | None:
        """Where one or the other goes."""
        return next((file for file in self.files if file.suffix.lower() == suffix), None)


class SenderMetricsSection(MetricsSection):
    """Figures for Prometheus, over HTTP."""

    listen: AddressField | None = option(
        Address("127.0.0.1", 9100), "address of /metrics and /healthz; `off` for none", metavar="HOST:PORT"
    )


class SenderConfig(Section):
    """All settings of the sender."""

    source: str = option("synthetic", "where pictures come from, see below", metavar="SOURCE", min_length=1)
    to: AddressField = option(
        ..., "address of the receiver, of a relay, or of a multicast group", metavar="HOST:PORT"
    )
    key_file: Path = option(
        ..., "key that both ends share; `sender --new-key FILE` makes one", metavar="FILE"
    )
    size: SizeField = option(
        Size(256, 256), "size of the video, multiples of 16", unit="pixels", metavar="WxH"
    )
    fps: float = option(
        15.0, "frames a second, in steps of 0.25", unit="frames/s", ge=1, le=60, multiple_of=0.25
    )
    text: str | None = option(
        None,
        "lines of text to show beside the picture (telemetry, captions): a file that grows or is written anew, a named "
        "pipe, or - for standard input",
        metavar="FILE",
    )
    record: RecordingSection = RecordingSection()
    frame_log: Path | None = option(None, "JSON line for each frame handed to the encoder", metavar="FILE")
    capture: CaptureSection = CaptureSection()
    codec: CodecSection = CodecSection()
    maps: MapsSection = MapsSection()
    contours: ContoursSection = ContoursSection()
    audio: AudioSection = AudioSection()
    rate: RateSection = RateSection()
    session: SessionSection = SessionSection()
    multicast: MulticastSection = MulticastSection()
    pacing: PacingSection = PacingSection()
    packet: PacketSection = PacketSection()
    log: LogSection = LogSection()
    metrics: SenderMetricsSection = SenderMetricsSection()

    @field_validator("to")
    @classmethod
    def _reachable(cls, value: Address) -> Address:
        if not value.host or not value.port:
            raise ValueError("needs a host and a port above 0, for example 192.0.2.7:5004")
        return value

    @model_validator(mode="after")
    def _carries_pictures(self) -> Self:
        if self.rate.kbps < LEAST_KBPS and not self.codec.structured:
            raise ValueError(
                f"rate.kbps: {self.rate.kbps:g} carries no pictures of profile {self.codec.profile}; at least "
                f"{LEAST_KBPS:g}, or use --profile {STRUCTURE}"
            )
        return self


def load_config(argv: Sequence[str]) -> SenderConfig:
    """The configuration of this run. Raises ConfigError; SystemExit(0) after `--help` and the like."""
    return load(
        SenderConfig,
        argv,
        prog="sender",
        description=DESCRIPTION,
        epilog=EPILOG,
        env_prefix=ENV_PREFIX,
        environ=os.environ,
        commands=[
            Command("--new-key", "FILE", "write a new random key to FILE (only you can read it)", _new_key),
            stats_command(SENDER),
        ],
    )


def _new_key(path: str, section: Section | None) -> None:
    try:
        new_key_file(path)
    except KeyFileError as error:
        raise ConfigError(f"--new-key: {error}") from None
    print(f"{path}: new key written; give a copy of it to the receiver")
