"""Training from the command line on rendered clips: learns, repeats, resumes, exports a model that decodes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from common.codec.decoder import ResilientDecoder
from common.codec.encoder import ResilientEncoder
from common.codec.weights import WeightsError, load_model
from common.training import config as configs
from common.training.channel import ErasureChannel
from common.training.data import SequenceSampler, load_clips
from common.training.train import learning_rate, stage_at
from tests.common.codec.scene import FPS, HEIGHT, WIDTH, budget, picture, psnr, receive, unit_pictures

CONFIG = """
seed: 3
steps: {steps}
crop: 64
warm_up_steps: 2
bf16: false
stages:
  - {{until: 0.5, units: 1, batch: 2, clean_share: 1.0}}
  - {{until: 1.0, units: 2, batch: 2, clean_share: 0.3}}
model: {{latent: 24, width8: 16, width16: 24, width_recovery: 24, hidden: 8, width4: 8,
         encoder_depth: [1, 1], decoder_depth: [1, 1, 1], recovery_depth: 1}}
"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    with av.open(str(folder / "scene.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=15, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(i), format="yuv420p")))
        container.mux(stream.encode())
    return folder


def command(module: str, *args: object) -> None:
    subprocess.run(
        [sys.executable, "-m", module, *map(str, args)], check=True, timeout=240, capture_output=True
    )


def checkpoint(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / "checkpoint.pt", weights_only=True)["model"]
    return state


def test_train_repeats_resumes_and_exports(clips: Path, tmp_path: Path) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG.format(steps=100))
    common = ("--config", config, "--data", clips, "--cache", tmp_path / "cache")
    for name in ("a", "b"):
        command("common.training.train", *common, "--out", tmp_path / name, "--device", "cpu")
    a, b = checkpoint(tmp_path / "a"), checkpoint(tmp_path / "b")
    assert all(torch.equal(a[k], b[k]) for k in a)
    rows = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 100
    config.write_text(CONFIG.format(steps=200))
    command("common.training.train", *common, "--out", tmp_path / "a", "--device", "cpu")
    resumed = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in resumed] == [100, 200]
    assert resumed[-1]["loss"] < rows[-1]["loss"]

    out = tmp_path / "models" / "tiny"
    command(
        "common.training.export", *common, "--checkpoint", tmp_path / "a" / "checkpoint.pt", "--out", out,
        "--model-id", 9, "--units", 40,
    )  # fmt: skip
    model = load_model("tiny", tmp_path / "models")
    encoder, decoder = ResilientEncoder(model, WIDTH, HEIGHT, FPS), ResilientDecoder(model)
    decoded = decoder.decode(receive(encoder.encode(unit_pictures(0), 0, budget(250)), 0))
    assert psnr(decoded.pictures[0], picture(0)) > 10  # 200 steps: a shape, no more

    (out / "steps.npz").write_bytes(b"damaged")
    load_model.cache_clear()
    with pytest.raises(WeightsError, match="sha256"):
        load_model("tiny", tmp_path / "models")


def test_schedule(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.format(steps=1000))
    config = configs.load(path)
    assert learning_rate(config, 0) == pytest.approx(config.learning_rate / 2)
    assert learning_rate(config, 2) == pytest.approx(config.learning_rate)
    assert learning_rate(config, 1000) == pytest.approx(config.final_learning_rate)
    assert stage_at(config, 499).units == 1
    assert stage_at(config, 500).units == 2


def test_sampler_is_seeded_and_in_range(clips: Path, tmp_path: Path) -> None:
    loaded = load_clips(clips, tmp_path)
    batches = [SequenceSampler(loaded, 64, 15.0, {}, seed).batch(2, 8) for seed in (1, 1, 2)]
    for luma, chroma in batches:
        assert luma.shape == (2, 8, 64, 64)
        assert chroma.shape == (2, 8, 2, 32, 32)
        assert -1 <= min(luma.min(), chroma.min()) <= max(luma.max(), chroma.max()) <= 1.2
    assert np.array_equal(batches[0][0], batches[1][0])
    assert not np.array_equal(batches[0][0], batches[2][0])


def test_channel_loses_what_it_says() -> None:
    masks, rates = ErasureChannel(1, loss_max=0.95).masks(200, 4, 8, 8, clean_share=0.5)
    clean = rates == 0
    assert 60 < clean.sum() < 140
    assert (masks[clean] == 1).all()
    lost = 1 - masks[~clean].flatten(1).mean(1)
    assert abs(float((lost - rates[~clean]).mean())) < 0.03


def test_no_clips_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="clips to train on"):
        load_clips(tmp_path, tmp_path / "cache")
