"""From the settings to the generative decoder. Imports nothing of torch."""

from __future__ import annotations

from collections.abc import Callable

from common.clock import Clock
from common.service import EX_UNAVAILABLE, ServiceError
from receiver.decode_config import DecodeSection
from receiver.generative.decoder import GenerativeDecoder, Maps, Network
from receiver.generative.lambdas import Lambdas
from receiver.generative.missing import OURS, missing


def create(
    settings: DecodeSection, maps: Maps, wished: Callable[[], bool], clock: Clock, live: bool
) -> GenerativeDecoder:
    """`wished`: whether the sender on show asks for generated pictures; `live`, `clock`: see GenerativeDecoder."""

    def asked() -> bool:
        return settings.generative == "on" or (settings.generative == "auto" and wished())

    lacking = lambda: missing(settings.weights)  # noqa: E731
    decoder = GenerativeDecoder(
        lambda: load(settings, lambda: decoder.lambdas),
        maps,
        asked=asked,
        missing=lacking,
        clock=clock,
        live=live,
    )
    decoder.lambdas = settings.lambdas
    return decoder


def load(settings: DecodeSection, lambdas: Callable[[], Lambdas]) -> Network:
    """On the thread that is to use it; seconds. `lambdas`: asked for every picture. Raises what
    receiver.generative.network.Network does."""
    from receiver.generative.network import Network as Diffusion
    from receiver.generative.network import Options

    side = None if isinstance(settings.side, str) else settings.side
    return Diffusion(
        Options(
            settings.weights or OURS,
            *(settings.device, settings.steps, side, settings.torch_threads, settings.gpu_memory_mb),
            runtime=settings.runtime,
            engines=settings.engines,
            strength=settings.strength,
        ),
        lambdas,
    )


def prepare(settings: DecodeSection, decoder: GenerativeDecoder) -> None:
    """At the start: with `on`, begin to load, on another thread. Raises ServiceError where this host cannot."""
    if settings.generative != "on":
        return
    reason = missing(settings.weights)
    if reason is not None:
        raise ServiceError(f"decode.generative: {reason}", EX_UNAVAILABLE)
    decoder.start()
