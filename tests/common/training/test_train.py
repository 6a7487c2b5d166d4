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
from safetensors.torch import save_file

from common.codec.decoder import ResilientDecoder
from common.codec.encoder import ResilientEncoder
from common.codec.entropy import LIMIT, TOTAL
from common.codec.weights import WeightsError, load_model, read_manifest
from common.training import config as configs
from common.training.channel import ErasureChannel
from common.training.data import SequenceSampler, load_clips
from common.training.step import packets_a_unit
from common.training.tables import Counter
from common.training.train import Run, learning_rate, stage_at
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
model: {{latent: 24, base: 12, context: 6, width8: 16, width16: 24, width32: 12, width_recovery: 24, hidden: 8,
         width4: 8, encoder_depth: [1, 1], decoder_depth: [1, 1, 1], recovery_depth: 1}}
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
    assert (model.latent, model.base, model.context, model.hidden) == (24, 12, 6, 8)
    assert set(read_manifest(out)["sha256"]) == {p.name for p in out.iterdir()} - {"manifest.json"}
    encoder, decoder = ResilientEncoder(model, WIDTH, HEIGHT, FPS), ResilientDecoder(model)
    decoded = decoder.decode(receive(encoder.encode(unit_pictures(0), 0, budget(250)), 0))
    assert psnr(decoded.pictures[0], picture(0)) > 10  # 200 steps: a shape, no more
    other = ResilientDecoder(model, "torch")  # the weights lie beside the graphs and are the same
    close = other.decode(receive(encoder.encode(unit_pictures(0), 0, budget(250)), 0)).pictures[0]
    assert psnr(close, picture(0)) > 10

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


def test_a_run_may_start_from_a_model_of_other_sizes(tmp_path: Path) -> None:
    """What fits is taken over, from the corner of each tensor; the rest stays as it was drawn."""
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.format(steps=10))
    small = Run(configs.load(path), torch.device("cpu"))
    save_file(small.model.state_dict(), tmp_path / "weights.safetensors")
    path.write_text(CONFIG.format(steps=10).replace("seed: 3", "seed: 4").replace("latent: 24", "latent: 36"))
    wide = Run(configs.load(path), torch.device("cpu"))
    drawn = {name: tensor.clone() for name, tensor in wide.model.state_dict().items()}
    wide.start_from(tmp_path / "weights.safetensors")
    known, grown = small.model.state_dict(), wide.model.state_dict()
    for name, tensor in grown.items():
        corner = tuple(slice(min(a, b)) for a, b in zip(tensor.shape, known[name].shape, strict=True))
        assert torch.equal(tensor[corner], known[name][corner]), name
    assert torch.equal(grown["encoder.leave.weight"][24:], drawn["encoder.leave.weight"][24:])


def test_tables_are_whole_and_lean_on_their_neighbours() -> None:
    """Counted at one set only: there the tables know what was counted, beside it a little, elsewhere nothing."""
    rng = np.random.default_rng(1)
    counter = Counter(24)
    elements = np.rint(rng.normal(5, 0.5, (24, 4000))).astype(np.int32)
    counter.add(elements, 3)
    counts = counter.tables().counts
    assert (counts.sum(-1, dtype=np.int64) == TOTAL).all()
    assert counts.min() >= 1
    first = counts[:, 0, 0, LIMIT + 5] / TOTAL  # how likely a 5 is in the first channel
    assert first[3] > 0.6
    assert first[3] > first[4] > 4 * first[6]


def test_packets_grow_with_the_quality() -> None:
    packets = packets_a_unit(torch.linspace(0, 1, 9))
    assert (packets.diff() > 0).all()
    assert 2 <= packets[0] < packets[-1] < 30


def test_channel_loses_what_it_says() -> None:
    packets = np.linspace(3, 18, 200)
    masks, rates = ErasureChannel(1, loss_max=0.95).masks(packets, 4, 8, 8, clean_share=0.5)
    clean = rates == 0
    assert 60 < clean.sum() < 140
    assert (masks[clean] == 1).all()
    lost = 1 - masks[~clean].flatten(1).mean(1)
    assert abs(float((lost - rates[~clean]).mean())) < 0.03
    few, many = (  # a unit of few packets loses much at once or nothing
        ErasureChannel(2, loss_max=0.95)
        .masks(np.full(100, n), 4, 8, 8, clean_share=0.0)[0]
        .mean((2, 3, 4))
        .std(1)
        for n in (3.0, 30.0)
    )
    assert few.mean() > 1.5 * many.mean()


def test_no_clips_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="clips to train on"):
        load_clips(tmp_path, tmp_path / "cache")
