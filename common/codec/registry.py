"""Profiles by name: how the daemons get a codec without knowing one."""

from __future__ import annotations

from common.codec.base import CodecError, StreamInfo, UnitDecoder, UnitEncoder
from common.codec.decoder import ResilientDecoder
from common.codec.effort import Effort
from common.codec.encoder import ResilientEncoder
from common.codec.header import CodecHeader
from common.codec.weights import load_model

PROFILES = ("resilient",)


def create_encoder(
    profile: str, width: int, height: int, fps: float, effort: Effort | None = None
) -> UnitEncoder:
    """Encoder of a profile; `effort`: how long it may take, the same on every machine if not given.

    Raises ValueError for an unknown profile or size, WeightsError."""
    _check(profile)
    return ResilientEncoder(load_model(profile).model_id, width, height, fps, effort)


def create_decoder(profile: str, backend: str = "auto", threads: int = 1) -> UnitDecoder:
    """Decoder of a profile. Raises ValueError for an unknown profile, BackendError, WeightsError."""
    _check(profile)
    return ResilientDecoder(load_model(profile), backend, threads)


def describe(payload: bytes) -> StreamInfo:
    """Geometry and profile that a payload announces. Raises CodecError."""
    header = CodecHeader.parse(payload)
    for profile in PROFILES:
        model = load_model(profile)
        if model.model_id == header.model:
            return StreamInfo(profile, header.width, header.height, header.fps, model.frames)
    raise CodecError(f"model: {header.model} is not known here")


def _check(profile: str) -> None:
    if profile not in PROFILES:
        raise ValueError(f"profile: must be one of {', '.join(PROFILES)} (got {profile!r})")
