"""Bookkeeping of CUDA graphs with a capture that only remembers the work; the real one where there is a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from common.models.diffusion.graphs import Use
from common.models.diffusion.runtime.base import TorchRuntime, place
from common.models.diffusion.runtime.cudagraphs import CudaCapturer, CudaGraphs
from common.models.diffusion.stream import Streamer, StreamInputs
from tests.common.models.diffusion.toy import SIZE, clip, run, toy_model

MODEL = toy_model()


class FakeCapturer:
    """As CUDA does: warms up, records without running."""

    def __init__(self) -> None:
        self.recorded = 0

    def __call__(self, warm_up: Callable[[], object], work: Callable[[], None]) -> Callable[[], None]:
        with torch.no_grad():
            warm_up()
        self.recorded += 1
        return work


def pair(capturer: Any = None, **settings: Any) -> tuple[Streamer, Streamer, CudaGraphs]:
    graphs = CudaGraphs(MODEL, capturer or FakeCapturer(), **settings)
    return Streamer(MODEL, SIZE, SIZE, steps=4), Streamer(MODEL, SIZE, SIZE, steps=4, graphs=graphs), graphs


def same(want: list[Tensor], got: list[Tensor]) -> None:
    for a, b in zip(want, got, strict=True):
        torch.testing.assert_close(b, a, rtol=0, atol=1e-5)


def test_replay_gives_what_torch_gives_with_steps_and_adapters_switched() -> None:
    textures, maps = clip(7)
    reference, replayed, graphs = pair()
    states = reference.init_state(1), replayed.init_state(1)
    for k in range(7):
        steps, use = (4, 2, 1, 4)[k % 4], Use(control=k != 3, temporal=k != 5)
        inputs = StreamInputs(textures[:, k], maps[:, k], reset=torch.tensor([k == 4]))
        want, got = (
            s.step(inputs, state, steps, use)[0]
            for s, state in zip((reference, replayed), states, strict=True)
        )
        same([want], [got])
    assert not graphs.figures.fallbacks


def test_one_recording_a_graph_and_ring() -> None:
    textures, maps = clip(4)
    _, streamer, graphs = pair()
    state = streamer.init_state(1)
    run(streamer, state, textures, maps)
    assert graphs.figures.captures == 5 + 4  # encode, embed, degraded, decode, refine; a step for each ring
    run(streamer, state, textures, maps)
    assert graphs.figures.captures == 9 and graphs.figures.serving == "cudagraphs"
    run(streamer, streamer.init_state(2, [3, 4]), *clip(1, 2))
    assert graphs.figures.captures == 18  # another batch, other shapes and rings


def test_pictures_shown_are_not_overwritten() -> None:
    textures, maps = clip(2)
    reference, streamer, _ = pair()
    states = reference.init_state(1), streamer.init_state(1)
    first = streamer.step(StreamInputs(textures[:, 0], maps[:, 0]), states[1])[0]
    streamer.step(StreamInputs(textures[:, 1], maps[:, 1]), states[1])
    same([reference.step(StreamInputs(textures[:, 0], maps[:, 0]), states[0])[0]], [first])


def test_few_recordings_are_kept_and_still_right() -> None:
    textures, maps = clip(3)
    reference, streamer, graphs = pair(kept=3)
    want = run(reference, reference.init_state(1), textures, maps)
    same(want, run(streamer, streamer.init_state(1), textures, maps))
    assert graphs.figures.captures == 3 * 9
    graphs.close()


def test_streams_in_one_step_are_as_alone() -> None:
    textures, maps = clip(3, batch=3)
    _, streamer, _ = pair()
    together = run(streamer, streamer.init_state(3, [5, 6, 7]), textures, maps)
    for k in range(3):
        alone = Streamer(MODEL, SIZE, SIZE, steps=4, graphs=TorchRuntime(MODEL))
        one = run(alone, alone.init_state(1, [5 + k]), textures[k : k + 1], maps[k : k + 1])
        same([picture[k : k + 1] for picture in together], one)


def test_what_cannot_be_recorded_runs_as_it_is() -> None:
    def refuse(warm_up: Callable[[], object], work: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing")

    textures, maps = clip(3)
    reference, streamer, graphs = pair(refuse)
    want = run(reference, reference.init_state(1), textures, maps)
    same(want, run(streamer, streamer.init_state(1), textures, maps))
    assert graphs.figures.fallbacks == 6 and "capturing" in graphs.figures.reasons[0]
    assert graphs.figures.serving == "torch"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu() -> None:
    model = place(toy_model(), "cuda")
    textures, maps = (t.cuda().half() for t in clip(6, 2))
    plain = Streamer(model, SIZE, SIZE, steps=4)
    graphs = CudaGraphs(model, CudaCapturer())
    replayed = Streamer(model, SIZE, SIZE, steps=4, graphs=graphs)
    want = run(plain, plain.init_state(2), textures, maps)
    got = run(replayed, replayed.init_state(2), textures, maps)
    for a, b in zip(want, got, strict=True):
        torch.testing.assert_close(b, a, rtol=0, atol=1e-2)
    assert graphs.figures.captures == 9 and not graphs.figures.fallbacks
