"""What viewers are told of the decoder, on the page and on the window's display."""

from __future__ import annotations

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from common.metrics import Exporter
from receiver.contours.store import MapStore
from receiver.generative.decoder import GenerativeDecoder, State
from receiver.generative.figures import RUNTIMES, export_generative, generative_status
from receiver.generative.pace import Pace
from receiver.play.base import SignalState
from receiver.play.osd.view import Level, View, draw
from tests.receiver.generative.test_decoder import Fake


def decoder(seconds: float, device: str = "cpu", refined: float | None = None) -> GenerativeDecoder:
    """One that is ready, of pictures 0.1 s apart."""
    made = GenerativeDecoder(Fake, MapStore())
    made.network, made.state = Fake(device), State.READY
    if refined is not None:
        made.pace = Pace((1, 0))
        made.pace.measured(0, refined)
    made.pace.measured(1, seconds)
    made.pace.begin(0.1, 0.0)
    return made


@pytest.mark.parametrize(
    ("made", "line", "short", "slow"),
    [
        (
            decoder(0.01, "cuda"),
            "generative, 4 steps, 40 ms a picture, GPU (torch)",
            "GENERATIVE 4 STEPS GPU",
            False,
        ),
        (
            decoder(0.07),
            "generative, 1 step, 70 ms a picture, CPU fallback (torch)",
            "GENERATIVE 1 STEP CPU",
            False,
        ),
        (
            decoder(0.3),
            "generative, 1 step, 300 ms a picture, CPU fallback (torch): slower than real time, 1 picture in 4 is "
            "generated",
            "GENERATIVE 1 STEP CPU 1/4 SLOW",
            True,
        ),
        (
            decoder(0.3, refined=0.03),
            "refined texture, 30 ms a picture, CPU fallback (torch)",
            "REFINED CPU",
            False,
        ),
        (decoder(9.0), "texture: CPU fallback too slow for the generative decoder", "TEXTURE", True),
    ],
)
def test_the_line_says_which_decoder_where_and_whether_it_keeps_up(
    made: GenerativeDecoder, line: str, short: str, slow: bool
) -> None:
    told = generative_status(made, "structure")
    assert (told["decoder"], told["decoder_short"], told["decoder_slow"]) == (line, short, slow)
    level = Level.SMALL
    with_line = draw(View(level, SignalState.LIVE, figures=dict(told)), 300, 200)
    without = draw(View(level, SignalState.LIVE, figures={}), 300, 200)
    assert not np.array_equal(with_line, without)


@pytest.mark.parametrize(
    ("runtime", "graphs", "by"),
    [
        ("tensorrt", {"built": 6, "building": 0, "failed": 0}, "TensorRT"),
        ("cudagraphs", {"built": 0, "building": 6, "failed": 0}, "CUDA graphs; graphs: 6 building"),
        (
            "tensorrt",
            {"built": 3, "building": 2, "failed": 1},
            "TensorRT; graphs: 3 built, 2 building, 1 failed",
        ),
        ("torch", {"built": 0, "building": 0, "failed": 6}, "torch; graphs: 6 failed"),
    ],
)
def test_viewers_and_metrics_are_told_what_really_runs_it(
    runtime: str, graphs: dict[str, int], by: str
) -> None:
    made = decoder(0.01, "cuda")
    made.network = Fake("cuda", runtime=runtime, graphs=graphs)
    told = generative_status(made, "structure")
    assert f"GPU ({by})" in str(told["decoder"]) and told["generative_runtime"] == runtime
    assert {state: told[f"generative_graphs_{state}"] for state in graphs} == graphs
    registry = CollectorRegistry()
    export_generative(Exporter(registry, "semcast_receiver_"), made)

    def read(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"semcast_receiver_generative_{name}", labels)

    serving = [name for name in RUNTIMES if read("runtime", runtime=name)]
    assert serving == [runtime]
    assert {state: read("graphs", state=state) for state in graphs} == graphs
