"""Profiles by name: how the daemons get a codec without knowing one."""

from __future__ import annotations

import copy

from common.codec.base import CodecError, StreamInfo, UnitDecoder, UnitEncoder
from common.codec.classic.decoder import ClassicDecoder
from common.codec.classic.encoder import ClassicEncoder
from common.codec.classic.header import MODEL, ClassicHeader
from common.codec.decoder import ResilientDecoder
from common.codec.effort import Effort
from common.codec.encoder import ResilientEncoder
from common.codec.header import FRAMES, CodecHeader
from common.codec.switching import CLASSIC, RESILIENT, SwitchingDecoder, SwitchingEncoder
from common.codec.texture.decoder import TextureDecoder
from common.codec.texture.encoder import USUAL_KBPS, TextureEncoder
from common.codec.texture.header import MODEL as TEXTURE
from common.codec.texture.header import PROFILE as STRUCTURE
from common.codec.texture.header import TextureHeader
from common.codec.weights import load_model

PROFILES = (RESILIENT, CLASSIC, STRUCTURE)
NEURAL = (RESILIENT,)  # those with a network, which runs on a backend


def create_encoder(
    profile: str,
    width: int,
    height: int,
    fps: float,
    effort: Effort | None = None,
    kbps: float = USUAL_KBPS,
) -> UnitEncoder:
    """Encoder of a profile; `effort`: how long it may take, the same on every machine if not given; `kbps`: the wire
    rate to be expected, by which small pictures are larger or smaller and put into shorter or longer units, for good.

    Raises ValueError for an unknown profile or size, WeightsError."""
    _check(profile)
    if profile == CLASSIC:
        return ClassicEncoder(width, height, fps, effort)
    if profile == STRUCTURE:
        adaptive = effort is not None and effort.adaptive
        return TextureEncoder(width, height, fps, kbps=kbps, adaptive=adaptive)
    return _resilient_encoder(width, height, fps, effort)


def create_switching_encoder(
    width: int, height: int, fps: float, effort: Effort | None = None
) -> SwitchingEncoder:
    """Encoder that may change between `resilient`, with which it begins, and `classic` with any unit.

    Raises as above."""
    own = copy.copy(effort)  # each learns how long its own coder takes
    return SwitchingEncoder(
        _resilient_encoder(width, height, fps, effort), ClassicEncoder(width, height, fps, own)
    )


def create_decoder(profile: str, backend: str = "auto", threads: int = 1) -> UnitDecoder:
    """Decoder of a profile. Raises ValueError for an unknown profile, BackendError, WeightsError."""
    _check(profile)
    if profile == CLASSIC:
        return ClassicDecoder()
    if profile == STRUCTURE:
        return TextureDecoder()
    return ResilientDecoder(load_model(profile), backend, threads)


def create_switching_decoder(backend: str = "auto", threads: int = 1) -> SwitchingDecoder:
    """Decoder of any profile, and of streams that change it. Raises BackendError, WeightsError."""
    return SwitchingDecoder(
        ResilientDecoder(load_model(RESILIENT), backend, threads),
        ClassicDecoder(),
        TextureDecoder,
    )


def describe(payload: bytes) -> StreamInfo:
    """Geometry and profile that a payload announces. Raises CodecError."""
    if payload and payload[0] >> 4 == MODEL:
        classic = ClassicHeader.parse(payload)
        return StreamInfo(CLASSIC, classic.width, classic.height, classic.fps, FRAMES)
    if payload and payload[0] >> 4 == TEXTURE:
        return TextureHeader.parse(payload).info
    header = CodecHeader.parse(payload)
    model = load_model(RESILIENT)
    if model.model_id != header.model:
        raise CodecError(f"model: {header.model} is not known here")
    return StreamInfo(RESILIENT, header.width, header.height, header.fps, model.frames)


def _resilient_encoder(width: int, height: int, fps: float, effort: Effort | None) -> ResilientEncoder:
    return ResilientEncoder(load_model(RESILIENT).model_id, width, height, fps, effort)


def _check(profile: str) -> None:
    if profile not in PROFILES:
        raise ValueError(f"profile: must be one of {', '.join(PROFILES)} (got {profile!r})")
