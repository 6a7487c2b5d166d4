"""From the configuration to the parts of the sender."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from common.codec import plan
from common.codec.base import UnitEncoder
from common.codec.effort import Effort
from common.codec.registry import create_encoder, create_switching_encoder
from common.codec.switching import SwitchingEncoder
from common.codec.weights import WeightsError
from common.config import ConfigError
from common.handoff import CAPACITY
from common.maps.base import MapSource
from common.multicast import is_group
from common.service import ServiceError
from proto.announce import StreamInUse
from proto.crypto import KeyFileError, load_key
from proto.session import Rules as SessionRules
from proto.session import SenderSession
from proto.streams import AUDIO, CONTOURS, TEXT, VIDEO
from proto.wire import IP_UDP_BYTES, OVERHEAD_BYTES, Mode
from sender.audio.stage import OFF, AudioStage
from sender.capture.base import CaptureOptions, Source
from sender.ceiling import Ceiling
from sender.choose import ChoosingEncoder
from sender.codec_config import AUTO, STRUCTURE
from sender.config import SenderConfig
from sender.congestion import RateLimits
from sender.control import Control
from sender.encode import UnitRecord
from sender.maps.create import create_map_source
from sender.packet_length.adapt import PacketLength
from sender.packet_length.join import LateJoin
from sender.profile import ProfileController, Rules
from sender.protect import UNKNOWN_LOSS
from sender.rate import RateController
from sender.rate_held import HeldRate
from sender.record import FrameLog, Recorder

STRUCTURE_KBPS = 2.0
"""The least that profile `structure` is adapted to."""

FIRST_SHARE = 0.25
"""Of the rate, for the first handshake of profile `structure`: half of it would be seconds without a picture."""

MakeEncoder = Callable[[SenderConfig], UnitEncoder]


def make_session(config: SenderConfig) -> SenderSession:
    """The session, with what it announces. Raises ConfigError."""
    try:
        session = SenderSession(
            load_key(config.key_file),
            config.packet.max_bytes,
            mode=session_mode(config),
            name=config.session.name,
            rules=_rules(config),
        )
    except KeyFileError as error:
        raise ConfigError(f"key_file: {error}") from None
    session.streams = streams_in_use(config)
    return session


def _rules(config: SenderConfig) -> SessionRules:
    rules = SessionRules(rekey_seconds=60 * config.session.rekey_minutes)
    return replace(rules, first_share=FIRST_SHARE) if config.codec.structured else rules


def make_encoder(config: SenderConfig) -> UnitEncoder:
    """The encoder of the profile, or of all that may be changed to; reads networks. Raises ConfigError or
    ServiceError."""
    codec = config.codec
    effort = Effort(codec.effort, codec.threads, adaptive=True)
    try:
        if codec.structured:
            loss = UNKNOWN_LOSS if session_mode(config) is Mode.ONE_WAY else 0.0
            kbps = (1.0 - config.contours.part(config.rate.kbps, loss)) * config.rate.kbps
            return create_encoder(STRUCTURE, config.size.width, config.size.height, config.fps, effort, kbps)
        return create_switching_encoder(config.size.width, config.size.height, config.fps, effort)
    except ValueError as error:
        raise ConfigError(f"codec: {error}") from None
    except WeightsError as error:
        raise ServiceError(f"codec: {error}") from None


def streams_in_use(config: SenderConfig) -> tuple[StreamInUse, ...]:
    """What announcements tell of."""
    text = () if config.text is None else (StreamInUse(TEXT.id, TEXT.delivery),)
    audio = () if config.audio.source == OFF else (StreamInUse(AUDIO.id, AUDIO.delivery),)
    maps = () if not config.codec.structured else (StreamInUse(CONTOURS.id, CONTOURS.delivery),)
    return (StreamInUse(VIDEO.id, VIDEO.delivery, config.codec.profile), *text, *audio, *maps)


def frames_waiting(config: SenderConfig, frames_per_unit: int) -> int:
    """How many frames may wait for the encoder: while it is at work on a long unit the next one's come."""
    return frames_per_unit if config.codec.structured else CAPACITY


def make_maps(config: SenderConfig, source: Source) -> MapSource | None:
    """Where maps of the source's pictures come from, None where none are sent; reads networks and files. Raises
    ConfigError or ServiceError."""
    if not config.codec.structured:
        return None
    maps = config.maps
    return create_map_source(maps.source, source, config.size, config.fps, maps.legend, maps.fps)


def make_ceiling(config: SenderConfig) -> Ceiling | None:
    """What holds the rate over ten seconds where a packet is much of it."""
    return Ceiling(config.rate.kbps) if config.codec.structured else None


def make_audio(config: SenderConfig) -> AudioStage | None:
    """The audio stage, None where sound is off. Raises SourceError."""
    audio = config.audio
    return None if audio.source == OFF else AudioStage(audio.source, audio.format, config.capture.loop)


def session_mode(config: SenderConfig) -> Mode:
    """The mode asked for; a multicast group has no way back. Raises ConfigError where these contradict."""
    mode = config.session.mode
    if not is_group(config.to.host):
        return mode
    if mode is Mode.TWO_WAY:
        raise ConfigError(
            "session.mode: two-way needs one receiver, and `to` is a multicast group; use one-way"
        )
    return Mode.ONE_WAY


def rate_limits(config: SenderConfig) -> RateLimits:
    """What the configuration allows the congestion control."""
    rate = config.rate
    least = min(rate.min_kbps, rate.kbps)
    if config.codec.structured:
        least = min(least, STRUCTURE_KBPS)
    return RateLimits(
        start=rate.kbps,
        minimum=least,
        cap=rate.kbps,
        safe=max(least, min(rate.safe_kbps, rate.kbps)),
        fixed=not rate.adapt or session_mode(config) is Mode.ONE_WAY,
    )


def pinned(config: SenderConfig) -> str | None:
    """The profile of every unit, None where the link decides."""
    return None if config.codec.profile == AUTO else config.codec.profile


def least_payload(config: SenderConfig) -> int:
    """Bytes of payload that no packet is cut below, so that each can show a picture by itself."""
    shown = plan.least_payload(config.size.width * config.size.height)
    return max(config.packet.min_bytes - OVERHEAD_BYTES, shown)


def packet_length(config: SenderConfig, session: SenderSession) -> PacketLength | None:
    """What adapts the length of packets; None where it is fixed, or nobody could tell."""
    if not config.packet.adapt or session.mode is Mode.ONE_WAY or config.codec.structured:
        return None
    return PacketLength(session.payload_limit, least_payload(config))


def late_join(config: SenderConfig) -> LateJoin | None:
    """How packets are cut while nobody reports; None where that changes nothing."""
    headers = 0.0 if config.codec.structured else config.packet.late_join
    return LateJoin(headers, least_payload(config)) if headers else None


def capture_options(config: SenderConfig, audio: AudioStage | None = None) -> CaptureOptions:
    """What the configuration says to the source."""
    capture = config.capture
    pairs = tuple((name, value) for name, _, value in (item.partition("=") for item in capture.ffmpeg))
    return CaptureOptions(
        config.size,
        config.fps,
        capture.loop,
        capture.pace,
        capture.timeout,
        pairs,
        wait=capture.wait,
        tls_cert=capture.tls_cert,
        tls_key=capture.tls_key,
        token_file=capture.token_file,
        sound=None if audio is None else audio.tap,
    )


def rate_controller(
    config: SenderConfig, session: SenderSession, frames_per_unit: int, ceiling: Ceiling | None = None
) -> RateController:
    """What gives each unit its bytes."""
    duration, overhead = frames_per_unit / config.fps, OVERHEAD_BYTES + IP_UDP_BYTES
    if ceiling is None:
        return RateController(config.rate.kbps, duration, overhead, session.payload_limit)
    return HeldRate(
        *(config.rate.kbps, duration, overhead, session.payload_limit),
        part=lambda kbps: 1.0 - config.contours.part(kbps, ceiling.loss),
        ceiling=ceiling,
        spread=config.pacing.spread,
    )


def choosing(config: SenderConfig, encoder: UnitEncoder, control: Control) -> ChoosingEncoder | None:
    """The encoder that takes the profile the link asks for; None where `encoder` has but one."""
    if not isinstance(encoder, SwitchingEncoder):
        return None
    rules = Rules.of_video(config.size.width, config.size.height, config.fps)
    chosen = ChoosingEncoder(encoder, ProfileController(rules), control.heard)
    chosen.pinned = pinned(config)
    return chosen


def make_records(config: SenderConfig) -> list[UnitRecord]:
    """What is told of every unit encoded. Raises ServiceError."""
    records: list[UnitRecord] = []
    if config.frame_log is not None:
        records.append(FrameLog(config.frame_log))
    movie = config.record.file(".mkv")
    if movie is not None:
        records.append(Recorder(movie, config.size, config.fps, config.record.rules))
    return records
