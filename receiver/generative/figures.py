"""The figures of the generative decoder, for viewers and for Prometheus."""

from __future__ import annotations

import math
from collections.abc import Mapping

from common.codec.texture.header import PROFILE as STRUCTURE
from common.metrics import Exporter
from receiver.generative.decoder import GenerativeDecoder, Network, State

KINDS = ("generated", "carried", "plain")
ALL_STEPS = (0, 1, 2, 4)
GRAPHS = ("built", "building", "failed")
RUNTIMES = {
    "torch": "torch",
    "cudagraphs": "CUDA graphs",
    "tensorrt": "TensorRT",
    "onnxruntime": "ONNX Runtime",
}
"""What may run the decoder's graphs, and how viewers are told."""


def generative_status(decoder: GenerativeDecoder, profile: str) -> Mapping[str, object]:
    """What viewers are told, ready for JSON. `decoder`: a line that says what shows the picture and, behind a comma or
    colon, how or why; None where there is only one way (other profiles). `decoder_short`: the same for a small
    display."""
    if profile != STRUCTURE:
        return {"decoder": None, "decoder_short": None, "generative": str(decoder.state)}
    steps, every = _effort(decoder)
    network = decoder.network
    return {
        "decoder": _line(decoder, steps, every),
        "decoder_short": _short(decoder, steps, every),
        "decoder_slow": decoder.state is State.READY and decoder.live and every != 1,
        "generative": str(decoder.state),
        "generative_steps": steps,
        "generative_every": every,
        "generative_ms": 1000 * decoder.pace.seconds(steps) if every else None,
        "generative_device": None if network is None else network.device,
        "generative_runtime": None if network is None else network.runtime,
        **{f"generative_graphs_{state}": count for state, count in _graphs(network).items()},
        "generative_memory_mb": None if network is None else round(network.memory / 2**20),
    }


def export_generative(exporter: Exporter, decoder: GenerativeDecoder) -> None:
    """Register readers for what the decoder counts."""
    counter, gauge = exporter.counter, exporter.gauge
    exporter.gauge_by(
        "generative_state",
        "1 for the state of the generative decoder: off (not asked for), missing (this host lacks torch or weights), "
        "loading, ready, failed.",
        "state",
        lambda: {str(state): float(state is decoder.state) for state in State},
    )
    gauge(
        "generative_steps",
        "Denoising steps of a generated picture now; 0: the Refiner alone, or nothing where generative_every is 0.",
        lambda: _effort(decoder)[0],
    )
    gauge(
        "generative_every",
        "1 while every picture is generated, n while each n-th is; 0: pictures are plain.",
        lambda: _effort(decoder)[1],
    )
    exporter.counter_by(
        "generative_frames_total",
        "Pictures shown where generated ones are wished for: generated, carried (the small picture with the detail of "
        "the last generated one), plain.",
        "made",
        lambda: {made: float(decoder.shown[made]) for made in KINDS},
    )
    exporter.counter_by(
        "generative_pictures_total",
        "Pictures generated, by their denoising steps; 0: by the Refiner alone.",
        "steps",
        lambda: {str(steps): float(decoder.made[steps]) for steps in ALL_STEPS},
    )
    counter("generative_late_total", "Of these, too late to be shown.", lambda: decoder.late)
    counter("generative_seconds_total", "Time that generating took.", lambda: decoder.seconds)
    exporter.gauge_by(
        "generative_picture_seconds",
        "Time that a picture takes, by its denoising steps; NaN before one was made.",
        "steps",
        lambda: {str(steps): decoder.pace.known.get(steps, math.nan) for steps in ALL_STEPS},
    )
    counter("generative_failures_total", "Breakdowns of the generative decoder.", lambda: decoder.failures)
    exporter.gauge_by(
        "generative_runtime",
        "1 for what really runs the generative decoder now: where graphs are still building, or all have failed, what "
        "serves in their place.",
        "runtime",
        lambda: {name: float(name == _runtime(decoder.network)) for name in RUNTIMES},
    )
    exporter.gauge_by(
        "generative_graphs",
        "Engines or recorded CUDA graphs of the runtime that was asked for: built, building (a slower runtime serves), "
        "failed (it serves for good). torch has none.",
        "state",
        lambda: {state: float(count) for state, count in _graphs(decoder.network).items()},
    )
    gauge(
        "generative_memory_bytes",
        "What the generative decoder holds; of a GPU all that was taken since it was loaded, engines included.",
        lambda: _memory(decoder),
    )


def _runtime(network: Network | None) -> str:
    return "" if network is None else network.runtime


def _graphs(network: Network | None) -> dict[str, int]:
    known = {} if network is None else network.graphs
    return {state: known.get(state, 0) for state in GRAPHS}


def _memory(decoder: GenerativeDecoder) -> float:
    return 0.0 if decoder.network is None else float(decoder.network.memory)


def _effort(decoder: GenerativeDecoder) -> tuple[int, int]:
    """Steps of a generated picture, and that each n-th is; zeros for none."""
    if decoder.state is not State.READY or decoder.network is None:
        return 0, 0
    if not decoder.live:
        return max(decoder.network.steps), 1
    return decoder.pace.rung.steps, decoder.pace.rung.every


def _line(decoder: GenerativeDecoder, steps: int, every: int) -> str:
    where = "" if decoder.network is None else _place(decoder.network.device)
    if decoder.state is State.READY and not every:
        return f"texture: {where} too slow for the generative decoder"
    if decoder.state is State.READY:
        ms = f"{1000 * decoder.pace.seconds(steps):.0f} ms a picture"
        where = f"{where} ({_by(decoder.network)})"
        how = f"generative, {_counted(steps)}" if steps else "refined texture"
        text = f"{how}, {ms}, {where}" + (f"; {decoder.shortage}" if decoder.shortage else "")
        if not decoder.live:
            return f"{text}, not in real time"
        return text if every == 1 else f"{text}: slower than real time, 1 picture in {every} is generated"
    return {
        State.OFF: "texture, enlarged",
        State.LOADING: "texture, enlarged: the generative decoder is loading",
    }.get(decoder.state, f"texture: {decoder.reason}")


def _by(network: Network | None) -> str:
    """What runs the graphs, and how far those are that were asked for, unless all are built."""
    name, graphs = _runtime(network), _graphs(network)
    name = RUNTIMES.get(name, name)
    if not graphs["building"] and not graphs["failed"]:
        return name
    return f"{name}; graphs: {', '.join(f'{count} {state}' for state, count in graphs.items() if count)}"


def _counted(steps: int) -> str:
    return f"{steps} step{'s' if steps > 1 else ''}"


def _place(device: str) -> str:
    return "GPU" if device == "cuda" else "CPU fallback"


def _short(decoder: GenerativeDecoder, steps: int, every: int) -> str:
    if not every:
        return (
            "TEXTURE" if decoder.state in (State.OFF, State.READY) else f"TEXTURE ({decoder.state})".upper()
        )
    device = "GPU" if decoder.network is not None and decoder.network.device == "cuda" else "CPU"
    text = f"{f'GENERATIVE {_counted(steps)}' if steps else 'REFINED'} {device}".upper()
    return text if every == 1 else f"{text} 1/{every} SLOW"
