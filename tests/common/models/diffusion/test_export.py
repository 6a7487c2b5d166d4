"""The graphs leave torch: exported to ONNX, ONNX Runtime streams the same pictures."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from common.models.diffusion.config import PRESETS
from common.models.diffusion.graphs import TorchGraphs, Use, cache_shapes
from common.models.diffusion.stream import Streamer
from tests.common.models.diffusion.toy import SIZE, clip, run, toy_model

# One level: an export takes its time by the node.
PRESET = PRESETS["toy"]
MODEL = toy_model(
    unet={
        **PRESET.unet, "block_out_channels": (8,), "attention_head_dim": (1,),
        "down_block_types": ("CrossAttnDownBlock2D",), "up_block_types": ("CrossAttnUpBlock2D",),
    },
    motion={**PRESET.motion, "block_out_channels": (8,), "motion_num_attention_heads": (1,)},
)  # fmt: skip


class Exported:
    """A module exported with example inputs and run by ONNX Runtime."""

    def __init__(self, path: Path, module: nn.Module, inputs: tuple[Any, ...], names: list[str]) -> None:
        logging.getLogger("torch.__trace").propagate = False  # pytest would format megabytes of traces
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(module.eval(), inputs, path, dynamo=True, input_names=names, verbose=False)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = [value.name for value in self.session.get_inputs()]
        assert set(self.names) <= set(names)
        self.all = names

    def __call__(self, *inputs: Any) -> list[Tensor]:
        flat = [part for given in inputs for part in (given if isinstance(given, list) else [given])]
        feeds = {
            name: t.contiguous().numpy() for name, t in zip(self.all, flat, strict=True) if name in self.names
        }
        outputs: list[np.ndarray[Any, Any]] = self.session.run(None, feeds)
        return [torch.from_numpy(out) for out in outputs]


class OrtGraphs(TorchGraphs):
    """The whole stream by ONNX Runtime."""

    def __init__(self, folder: Path) -> None:
        super().__init__(MODEL)
        picture, latent = torch.zeros(1, 3, SIZE, SIZE), torch.zeros(1, 4, 4, 4)
        maps, trust, time = torch.zeros(1, 5, SIZE, SIZE), torch.ones(1, 1, 4, 4), torch.tensor([9])
        embedded = self.embed(maps, trust)
        queries = self.degraded(latent, time)
        caches = [torch.zeros(1, 3, 2, n, c) for n, c in cache_shapes(MODEL, SIZE, SIZE)]
        step = (
            latent, latent + 1, time, torch.ones(1, 3), torch.rand(1, 3), trust.repeat(1, 2, 1, 1),
            torch.tensor([1]), torch.tensor([[True, False, True]]), embedded, queries, caches,
        )  # fmt: skip
        names = ["x", "noise", "timestep", "coefficients", "lambdas", "trust", "slot", "valid", "embedded"]
        names += [f"query_{i:02d}" for i in range(len(queries))] + [
            f"cache_{i:02d}" for i in range(len(caches))
        ]
        one = Exported(folder / "encode.onnx", self.encode, (picture,), ["picture"])
        two = Exported(folder / "decode.onnx", self.decode, (latent,), ["latent"])
        three = Exported(folder / "embed.onnx", self.embed, (maps, trust), ["control", "trust"])
        four = Exported(folder / "degraded.onnx", self.degraded, (latent, time), ["latent", "timestep"])
        self.one_step = Exported(folder / "step.onnx", super().step(Use()), step, names)
        assert {name for name in names if name.startswith("cache")} <= set(self.one_step.names)
        self.encode = lambda x: one(x)[0]  # type: ignore[assignment]
        self.decode = lambda x: two(x)[0]  # type: ignore[assignment]
        self.embed = lambda x, y: three(x, y)[0]  # type: ignore[assignment]
        self.degraded = four  # type: ignore[assignment]

    def step(self, use: Use) -> Any:
        def step(*inputs: Any) -> tuple[Tensor, list[Tensor]]:
            x, *fresh = self.one_step(*inputs)
            return x, fresh

        return step


@pytest.mark.timeout(600)  # seconds when alone; exporting is single-threaded Python
def test_onnx_runtime_streams_the_same(tmp_path: Path) -> None:
    textures, maps = clip(5)
    mine = Streamer(MODEL, SIZE, SIZE, steps=2, strength=0.6)
    other = Streamer(MODEL, SIZE, SIZE, steps=2, strength=0.6, graphs=OrtGraphs(tmp_path))
    want = run(mine, mine.init_state(1), textures, maps)
    got = run(other, other.init_state(1), textures, maps)
    for a, b in zip(want, got, strict=True):
        torch.testing.assert_close(b, a, rtol=0, atol=1e-4)
