"""Thousands of frames through the graphs, with texture and map: the last costs what the first did, nothing piles up."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from common.models.diffusion.config import PRESETS
from common.models.diffusion.runtime.base import create_runtime
from common.models.diffusion.runtime.build import build
from common.models.diffusion.runtime.engine_graphs import EngineGraphs
from common.models.diffusion.runtime.engines import Engines
from common.models.diffusion.runtime.specs import Specs
from common.models.diffusion.stream import Streamer, StreamInputs
from tests.common.models.diffusion.toy import SIZE, clip, toy_model

THOUSANDS = 3
GROWTH = 8 << 20  # bytes that may come and go; a picture a frame would be 24 MB
SLOWER = 1.5


def one_level(part: Mapping[str, Any]) -> dict[str, Any]:
    """The first resolution alone: the toy's every kind of layer in a third of its time."""
    return {name: value[:1] if isinstance(value, tuple) else value for name, value in part.items()}


def here(engines: Engines, batch: int, graphs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """In the place of the building process, which takes longer to start than all this takes."""
    specs = Specs(engines._model, *engines._size, batch)
    yield from ((graph, build(specs.of(graph), "onnx")) for graph in graphs)


def held() -> tuple[int, int]:
    """Bytes of memory of this process, and tensors."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), sum(type(one) is Tensor for one in gc.get_objects())


def test_a_frame_costs_the_same_after_thousands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engines, "_built", here)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # what a frame costs is the time of this thread, whatever else the machine does
    model = toy_model(unet=one_level(PRESETS["toy"].unet), motion=one_level(PRESETS["toy"].motion))
    runtime = create_runtime("onnxruntime", model, SIZE, SIZE, tmp_path / "engines")
    assert isinstance(runtime, EngineGraphs)
    stream = Streamer(model, SIZE, SIZE, steps=1, graphs=runtime)
    textures, maps = clip(8)
    inputs = [StreamInputs(textures[:, k], maps[:, k]) for k in range(8)]
    state = stream.init_state(1)
    stream.step(inputs[0], state)
    assert runtime.engines.wait(100) and runtime.figures.engines == 6, runtime.figures.reasons
    rings, size = [ring.data_ptr() for ring in state.caches[0]], state.bytes()
    costs: list[float] = []
    after = []
    for _ in range(THOUSANDS):
        for k in range(1000):
            begun = time.thread_time()
            picture, state = stream.step(inputs[k % 8], state)
            costs.append(time.thread_time() - begun)
        after.append(held())
    assert runtime.figures.engines == 6 and torch.isfinite(picture).all() and picture.std() > 0.05
    first, last = (statistics.median(part) for part in (costs[:1000], costs[-1000:]))
    assert last < SLOWER * first, f"{1000 * first:.2f} ms, then {1000 * last:.2f} ms"
    # The first thousand may fill what allocators keep for later.
    assert after[-1][0] < after[-2][0] + GROWTH and after[-1][1] <= after[0][1] + 1, after
    assert ([ring.data_ptr() for ring in state.caches[0]], state.bytes()) == (rings, size)
    runtime.close()
    torch.set_num_threads(threads)
