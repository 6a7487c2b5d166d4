"""The bound on a GPU's memory, on a device that only counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.models.diffusion.runtime.base import NoRoom, TorchRuntime
from common.models.diffusion.runtime.engine_graphs import EngineGraphs, OnnxEngine, admitted
from common.models.diffusion.runtime.engines import Engines, Kind
from common.models.diffusion.stream import Streamer
from common.runtime.engine_cache import EngineCache
from receiver.generative.gpu_memory import GpuMemory
from tests.common.models.diffusion.runtime.exported import GRAPHS
from tests.common.models.diffusion.runtime.test_engines import MODEL, exported
from tests.common.models.diffusion.toy import SIZE, clip, run

MB = 1 << 20

__all__ = ["exported"]  # a fixture


@dataclass
class FakeDevice:
    """1000 MB."""

    torch: int = 0
    others: int = 0
    allowed: int = -1

    def free(self) -> int:
        return 1000 * MB - self.torch - self.others

    def reserved(self) -> int:
        return self.torch

    def allow(self, most: int) -> None:
        self.allowed = most


def test_what_torch_does_not_know_of_counts() -> None:
    device = FakeDevice(torch=10 * MB, others=500 * MB)  # before: not ours
    memory = GpuMemory(300 * MB, device)
    assert (memory.taken, device.allowed) == (10 * MB, 300 * MB)
    device.torch, device.others = 120 * MB, 560 * MB
    memory.admit()
    assert memory.taken == 180 * MB  # torch's and 60 MB beside it
    assert device.allowed == 240 * MB
    device.others += 130 * MB
    with pytest.raises(NoRoom, match=r"310 MB of the GPU .* decode\.gpu_memory_mb is 300"):
        memory.admit()
    assert device.allowed == 240 * MB
    device.others = 0  # another process has ended
    memory.empty()
    assert (memory.taken, device.allowed) == (120 * MB, 300 * MB)


def test_a_bound_that_is_passed_later_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    device, now = FakeDevice(), [0.0]
    memory = GpuMemory(300 * MB, device, lambda: now[0])
    device.torch = 310 * MB
    memory.watch()
    assert memory.taken == 0  # not yet a second
    for now[0] in (1.0, 2.5, 4.0):
        memory.watch()
    assert memory.taken == 310 * MB and len(caplog.records) == 1
    device.torch = 200 * MB
    now[0] = 6.0
    memory.watch()
    device.torch = 301 * MB
    now[0] = 8.0
    memory.watch()
    assert len(caplog.records) == 2


def test_an_engine_that_would_pass_the_bound_is_let_go_and_kept_for_another_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: dict[str, bytes]
) -> None:
    device, asked = FakeDevice(), list[str]()

    class Heavy(OnnxEngine):
        def __init__(self, data: bytes) -> None:
            super().__init__(data)
            device.others += 100 * MB

        def __del__(self) -> None:
            device.others -= 100 * MB

    def built(engines: Engines, batch: int, graphs: list[str]) -> Iterator[tuple[str, bytes]]:
        asked.extend(graphs)
        yield from ((graph, exported[graph]) for graph in graphs)

    monkeypatch.setattr(Engines, "_built", built)
    for builds in (len(GRAPHS), 0):
        memory = GpuMemory(350 * MB, device)
        kind = admitted(Kind("onnx", {"kind": "heavy"}, Heavy), memory.admit)
        cache = EngineCache(tmp_path / "engines")
        graphs = EngineGraphs("tensorrt", MODEL, SIZE, SIZE, kind, cache, TorchRuntime(MODEL))
        streamer = Streamer(MODEL, SIZE, SIZE, steps=1, graphs=graphs)
        run(streamer, streamer.init_state(1), *clip(1))
        assert graphs.engines.wait(60)
        run(streamer, streamer.init_state(1), *clip(1))  # three graphs are served by what is below
        assert len(asked) == builds
        assert (graphs.figures.engines, graphs.figures.fallbacks) == (3, 3)
        assert all("decode.gpu_memory_mb is 350" in reason for reason in graphs.figures.reasons)
        assert device.others == 300 * MB and memory.taken <= 400 * MB
        graphs.close()
        assert device.others == 0
        asked.clear()
