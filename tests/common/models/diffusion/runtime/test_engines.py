"""Engines in the background: built by a process, cached, tested, and never in a frame's way."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from common.models.diffusion.loading import save
from common.models.diffusion.runtime import build as building
from common.models.diffusion.runtime.base import Figures, TorchRuntime, create_runtime
from common.models.diffusion.runtime.engine_graphs import EngineGraphs, OnnxEngine, onnx_kind
from common.models.diffusion.runtime.engines import Engines, Kind, _as_builder, weights_digest
from common.models.diffusion.runtime.specs import step_name, use_of
from common.models.diffusion.stream import Streamer
from common.runtime.base import BackendError
from common.runtime.engine_cache import EngineCache
from common.runtime.tensorrt_backend import build_engine, find
from tests.common.models.diffusion.runtime.exported import GRAPHS, onnx_of
from tests.common.models.diffusion.toy import SIZE, clip, run, toy_model
from tests.waiting import wait_until

MODEL = toy_model()


@pytest.fixture(scope="module")
def exported() -> dict[str, bytes]:
    """ONNX of every graph."""
    return {graph: onnx_of(graph) for graph in GRAPHS}


class Builds:
    """Takes the place of the building process: gives what was exported, or what a test wants."""

    def __init__(self, results: Mapping[str, bytes]) -> None:
        self.results, self.asked = results, list[str]()

    def __call__(self, engines: Engines, batch: int, graphs: list[str]) -> Iterator[tuple[str, bytes]]:
        self.asked += graphs
        yield from ((name, self.results[name]) for name in graphs if name in self.results)


def runtime(
    folder: Path, monkeypatch: pytest.MonkeyPatch, results: Mapping[str, bytes], kind: Kind | None = None
) -> tuple[EngineGraphs, Builds]:
    builds = Builds(results)
    monkeypatch.setattr(Engines, "_built", lambda self, batch, graphs: builds(self, batch, graphs))
    cache = EngineCache(folder / "engines")
    made = EngineGraphs("onnxruntime", MODEL, SIZE, SIZE, kind or onnx_kind(), cache, TorchRuntime(MODEL))
    return made, builds


def watch(graphs: EngineGraphs) -> float:
    """Stream before and after the engines are there; the largest difference from torch."""
    textures, maps = clip(4)
    plain, ours = Streamer(MODEL, SIZE, SIZE, steps=2), Streamer(MODEL, SIZE, SIZE, steps=2, graphs=graphs)
    states = plain.init_state(1), ours.init_state(1)
    want = run(plain, states[0], textures, maps)
    got = run(ours, states[1], textures[:, :2], maps[:, :2])
    assert graphs.engines.wait(60)
    got += run(ours, states[1], textures[:, 2:], maps[:, 2:])
    return max(float((a - b).abs().max()) for a, b in zip(want, got, strict=True))


def test_a_stream_goes_over_to_engines_and_the_next_start_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: dict[str, bytes]
) -> None:
    first, builds = runtime(tmp_path, monkeypatch, exported)
    assert watch(first) < 1e-4
    assert sorted(builds.asked) == sorted(GRAPHS)
    assert first.figures.graphs == {"built": 6, "building": 0, "failed": 0}
    assert first.figures.serving == "onnxruntime"
    first.close()
    broken = next(first.engines._cache.folder.glob("decode-*"))
    broken.write_bytes(broken.read_bytes()[:-1])
    second, builds = runtime(tmp_path, monkeypatch, exported)
    assert watch(second) < 1e-4
    assert builds.asked == ["decode"] and second.figures.engines == 6
    second.close()


def test_a_wrong_engine_never_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: dict[str, bytes]
) -> None:
    class Off(OnnxEngine):
        def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
            made = super().run(inputs)
            return made if "next" not in made else {**made, "next": made["next"] * 1.05}

    graphs, _ = runtime(tmp_path, monkeypatch, exported, Kind("onnx", {"kind": "off"}, Off))
    assert watch(graphs) < 1e-4
    assert (graphs.figures.engines, graphs.figures.fallbacks) == (5, 1)
    assert "off torch's" in graphs.figures.reasons[0]
    graphs.close()


def test_what_fails_in_use_is_dropped_and_the_frame_is_still_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: dict[str, bytes]
) -> None:
    class Dies(OnnxEngine):
        runs = 0

        def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
            self.runs += 1
            if self.runs > 1 and "picture" in self._outputs:
                raise BackendError("device lost")
            return super().run(inputs)

    graphs, _ = runtime(tmp_path, monkeypatch, exported, Kind("onnx", {"kind": "dies"}, Dies))
    assert watch(graphs) < 1e-4
    assert graphs.figures.engines == 4 and "device lost" in graphs.figures.reasons[0]
    graphs.close()


def test_until_there_are_engines_what_is_below_is_told_and_each_counts_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: dict[str, bytes]
) -> None:
    go = threading.Semaphore(0)

    def built(engines: Engines, batch: int, graphs: list[str]) -> Iterator[tuple[str, bytes]]:
        for graph in graphs:
            assert go.acquire(timeout=60)
            yield graph, exported[graph]

    monkeypatch.setattr(Engines, "_built", built)
    cache = EngineCache(tmp_path / "engines")
    graphs = EngineGraphs("onnxruntime", MODEL, SIZE, SIZE, onnx_kind(), cache, TorchRuntime(MODEL))
    streamer = Streamer(MODEL, SIZE, SIZE, steps=1, graphs=graphs)
    run(streamer, streamer.init_state(1), *clip(1))
    assert graphs.figures.serving == "torch" and graphs.figures.building == 6
    go.release()
    wait_until(lambda: graphs.figures.building == 5)
    assert graphs.figures.serving == "onnxruntime" and graphs.figures.engines == 1
    go.release(5)
    assert graphs.engines.wait(60) and graphs.figures.graphs == {"built": 6, "building": 0, "failed": 0}
    graphs.close()


def test_what_cannot_be_built_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs, builds = runtime(tmp_path, monkeypatch, {})
    graphs.engines._said = {"encode": "no such operator", "": "the last word"}
    assert watch(graphs) == 0
    assert graphs.figures.fallbacks == 6 and "encode: no such operator" in graphs.figures.reasons
    assert watch(graphs) == 0 and len(builds.asked) == 6  # not tried again
    assert graphs.figures.serving == "torch"
    assert graphs.figures.graphs == {"built": 0, "building": 0, "failed": 6}
    graphs.close()


def test_the_builder_says_what_it_cannot_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(MODEL, tmp_path / "model")
    common = ["--model", str(tmp_path / "model"), "--height", "32", "--width", "32", "--dtype", "float32"]
    for package in ("tensorrt",):
        with_engine = building.main(["embed", *common, "--kind", package, "--out", str(tmp_path)])
        assert with_engine == 1 and "tensorrt is not installed; try: pip install" in capsys.readouterr().err


def test_close_ends_a_build(tmp_path: Path) -> None:
    engines = Engines(
        MODEL, SIZE, SIZE, onnx_kind(), EngineCache(tmp_path / "engines"), Figures("onnxruntime")
    )
    engines.get("step-crt", 1)
    deadline = time.monotonic() + 60
    while engines._process is None and time.monotonic() < deadline:
        time.sleep(0.02)
    engines.close()
    assert engines._process is not None and engines._process.poll() is not None
    assert not list((tmp_path / "engines").iterdir())


BUILDING = f"""
import sys, time
from pathlib import Path
from common.models.diffusion.runtime.base import Figures
from common.models.diffusion.runtime.engine_graphs import onnx_kind
from common.models.diffusion.runtime.engines import Engines
from common.runtime.engine_cache import EngineCache
from tests.common.models.diffusion.toy import toy_model

engines = Engines(toy_model(), {SIZE}, {SIZE}, onnx_kind(), EngineCache(Path(sys.argv[1])), Figures("onnxruntime"))
sys.executable = sys.argv[2]
engines.get("decode", 1)
while engines._process is None:
    time.sleep(0.02)
print(engines._process.pid, flush=True)
time.sleep(120)
"""


def test_a_build_starts_where_its_priority_must_not_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(by: int) -> int:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "nice", refused)
    begin = partial(_as_builder, os.getpid())
    assert subprocess.run([sys.executable, "-c", ""], preexec_fn=begin, check=False).returncode == 0
    begin = partial(_as_builder, os.getpid() + 1)  # of a parent that has ended already
    assert subprocess.run([sys.executable, "-c", ""], preexec_fn=begin, check=False).returncode == 1


def alive(process: int) -> bool:
    """Whether it runs; one that only waits to be asked for its end does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_build_ends_with_its_process_and_what_is_left_is_swept(tmp_path: Path) -> None:
    folder, path = tmp_path / "engines", os.pathsep.join(sys.path)
    slow = tmp_path / "slow"  # in the builder's place: it does not end by itself
    slow.write_text("#!/bin/sh\nexec sleep 120\n")
    slow.chmod(0o700)
    command = [sys.executable, "-c", BUILDING, str(folder), str(slow)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    ) as parent:
        assert parent.stdout is not None
        try:
            builder = int(parent.stdout.readline())
            EngineCache(folder)
            assert len(list(folder.glob(".building-*"))) == 1  # not of one that is being built
        finally:
            parent.kill()
    try:
        wait_until(lambda: not alive(builder), 20)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(builder, signal.SIGKILL)
    assert (next(folder.iterdir()) / "model").is_dir()
    EngineCache(folder)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["float32", "float16"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_tensorrt_builds_every_graph(graph: str, dtype: torch.dtype, tmp_path: Path) -> None:
    """For one kind of GPU: none is needed to build. A decoder on a GPU is of half precision."""
    path = tmp_path / "graph.onnx"
    path.write_bytes(onnx_of(graph, dtype))
    found = find("tensorrt_rtx")
    engine = build_engine(found, path, capability="SM120")
    assert len(engine) > 10_000


def test_tensorrt_says_what_it_cannot_read(tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(BackendError, match="cannot read"):
        build_engine(find(), path)
    with pytest.raises(BackendError, match="pip install"):
        find("tensorrt_of_another_name")


def test_choosing(tmp_path: Path) -> None:
    def make(name: str) -> Any:
        return create_runtime(name, MODEL, SIZE, SIZE, tmp_path / "engines")

    for name, want in (("auto", "onnxruntime"), ("torch", "torch"), ("onnxruntime", "onnxruntime")):
        made = make(name)
        assert made.figures.runtime == want
        made.close()
    for name, words in (("tpu", "must be one of"), ("cudagraphs", "NVIDIA GPU"), ("tensorrt", "NVIDIA GPU")):
        with pytest.raises(BackendError, match=words):
            make(name)


def test_without_a_folder_for_engines_torch_serves_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nope")
    made = create_runtime("auto", MODEL, SIZE, SIZE)
    textures, maps = clip(2)
    plain, ours = Streamer(MODEL, SIZE, SIZE, steps=1), Streamer(MODEL, SIZE, SIZE, steps=1, graphs=made)
    for want, got in zip(*(run(s, s.init_state(1), textures, maps) for s in (plain, ours)), strict=True):
        assert torch.equal(want, got)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "set XDG_CACHE_HOME" in made.figures.reasons[0] and made.figures.runtime == "torch"
    made.close()


def test_names_and_digests() -> None:
    for name in ("step-crt", "step-0", "step-rt"):
        assert step_name(use_of(name)) == name
    assert weights_digest(MODEL) == weights_digest(toy_model())
    other = toy_model()
    with torch.no_grad():
        next(other.parameters()).view(-1)[0] += 1
    assert weights_digest(MODEL) != weights_digest(other)
