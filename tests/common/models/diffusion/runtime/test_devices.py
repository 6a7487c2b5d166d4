"""Engines beside torch: ONNX Runtime on the CPU, TensorRT on a GPU, by the same code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from common.models.diffusion.runtime.base import create_runtime, place
from common.models.diffusion.runtime.engine_graphs import EngineGraphs, onnx_kind, tensorrt_kind
from common.models.diffusion.runtime.engines import Kind
from common.models.diffusion.runtime.specs import Specs, expected
from common.models.diffusion.stream import Streamer
from common.runtime.base import BackendError
from common.runtime.tensorrt_backend import TensorRT, build_engine, find
from tests.common.models.diffusion.runtime.exported import GRAPHS, onnx_of
from tests.common.models.diffusion.toy import SIZE, clip, run, toy_model
from tests.devices import DEVICES

NEAR = {"cpu": 1e-4, "cuda": 1e-2}  # half precision on a GPU


def tensorrt() -> TensorRT:
    """The package that serves this GPU; the test is left out where there is none."""
    try:
        found = find()
    except BackendError as error:
        pytest.skip(str(error))
    major, minor = torch.cuda.get_device_capability()
    if found.is_rtx and f"SM{major}{minor}" not in found.compute_capabilities():
        pytest.skip(f"{found.package} knows no GPU of capability {major}.{minor}")
    return found


def engine_of(graph: str, device: str, folder: Path) -> tuple[Kind, bytes]:
    """What loads engines there, and that of a graph."""
    if device == "cpu":
        return onnx_kind(), onnx_of(graph)
    found, path = tensorrt(), folder / f"{graph}.onnx"
    path.write_bytes(onnx_of(graph, torch.float16))
    return tensorrt_kind(found), build_engine(found, path)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("graph", [*GRAPHS, "step-0"])
def test_an_engine_gives_what_torch_gives(graph: str, device: str, tmp_path: Path) -> None:
    kind, data = engine_of(graph, device, tmp_path)
    spec = Specs(place(toy_model(), device), SIZE, SIZE).of(graph)
    engine = kind.load(data)
    engine.check(spec.inputs, spec.outputs)
    got, want = engine.run(spec.inputs), expected(spec)
    assert set(got) == set(want)
    for name, value in want.items():
        assert got[name].device == value.device and got[name].dtype == value.dtype
        peak = float(value.float().abs().max())
        assert peak > 1e-2
        torch.testing.assert_close(got[name], value, rtol=0, atol=NEAR[device] * peak)


@pytest.mark.timeout(420)
@pytest.mark.parametrize("device", DEVICES)
def test_a_clip_goes_over_to_engines_that_a_process_builds(device: str, tmp_path: Path) -> None:
    """The decoder is handed over, engines come back, and the pictures stay those of torch in single precision."""
    if device == "cuda":
        tensorrt()
    textures, maps = clip(6, batch=2)
    plain = Streamer(toy_model(), SIZE, SIZE, steps=4)
    want = run(plain, plain.init_state(2), textures, maps)
    name = {"cpu": "onnxruntime", "cuda": "tensorrt"}[device]
    model = place(toy_model(), device)
    runtime = create_runtime(name, model, SIZE, SIZE, tmp_path / "engines")
    assert isinstance(runtime, EngineGraphs)
    ours = Streamer(model, SIZE, SIZE, steps=4, graphs=runtime)
    state = ours.init_state(2)
    got = run(ours, state, textures[:, :2], maps[:, :2])
    assert runtime.engines.wait(300)
    got += run(ours, state, textures[:, 2:], maps[:, 2:])
    figures = runtime.figures
    assert (figures.engines, figures.fallbacks) == (6, 0), figures.reasons
    for mine, torchs in zip(got, want, strict=True):
        torch.testing.assert_close(mine.cpu().float(), torchs, rtol=0, atol=NEAR[device])
    runtime.close()
    assert {path.suffix for path in (tmp_path / "engines").iterdir()} == {".engine"}
