"""Training from the command line on a rendered clip: learns, repeats, resumes, exports a model that decodes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pydantic
import pytest
import torch
from safetensors.torch import save_file

from common.codec.decoder import ResilientDecoder
from common.codec.encoder import ResilientEncoder
from common.codec.header import FRAMES, QUALITIES, SHRINKS
from common.codec.plan import VIEWS
from common.codec.weights import WeightsError, load_model, read_manifest
from common.models.fusion import Fusion
from common.training import config as configs
from common.training.data import SequenceSampler, load_clips
from common.training.losses import decibels, dissimilarity, squared_error
from common.training.sequences import Batch, Sequences
from common.training.step import training_step
from common.training.train import Run, learning_rate
from common.training.views import CODED, KEPT
from tests.common.codec.scene import (
    FPS,
    HEIGHT,
    WIDTH,
    budget,
    mean_psnr,
    picture,
    receive,
    unit_pictures,
)

CONFIG = """
seed: 3
steps: {steps}
batch: 2
warm_up_steps: 2
learning_rate: 0.003
bf16: false
model: {{width: 8, depth: 1, kernel: 3}}
"""
UNITS, SEQUENCES = 2, 4


def command(module: str, *args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, args)], timeout=110, capture_output=True, text=True
    )


def make_views(clips: Path, cache: Path, out: Path, *more: object) -> subprocess.CompletedProcess[str]:
    return command(
        "common.training.views", "--data", clips, "--cache", cache, "--out", out, "--sequences", SEQUENCES,
        "--units", UNITS, "--jobs", 1, *more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    with av.open(str(folder / "scene.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=15, options={"crf": "18", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = CODED, CODED, "yuv420p"
        for i in range(24):
            shown = av.VideoFrame.from_ndarray(picture(i, CODED, CODED), format="yuv420p")
            container.mux(stream.encode(shown))
        container.mux(stream.encode())
    return folder


@pytest.fixture(scope="module")
def views(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sequences of the clip, as the command makes them."""
    out = tmp_path_factory.mktemp("views")
    done = make_views(clips, out / "cache", out)
    assert done.returncode == 0, done.stderr
    return out


def checkpoint(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / "checkpoint.pt", weights_only=True)["model"]
    return state


def train(config: Path, views: Path, out: Path) -> None:
    done = command(
        "common.training.train", "--config", config, "--views", views, "--out", out, "--device", "cpu"
    )
    assert done.returncode == 0, done.stderr


def test_views_are_what_the_encoder_sends(views: Path) -> None:
    paths = sorted(views.glob("*.npz"))
    assert [path.name for path in paths] == [f"{number:05}.npz" for number in range(SEQUENCES)]
    for path in paths:
        with np.load(path) as stored:
            arrays = dict(stored)
        count = len(arrays["unit"])
        assert arrays["true_luma"].shape == (UNITS * FRAMES, KEPT, KEPT)
        assert arrays["true_chroma"].shape == (UNITS * FRAMES, 2, KEPT // 2, KEPT // 2)
        assert arrays["luma"].shape == (count, FRAMES, KEPT, KEPT)
        assert arrays["chroma"].shape == (count, FRAMES, 2, KEPT // 2, KEPT // 2)
        assert {arrays[name].dtype for name in ("true_luma", "luma", "chroma")} == {np.dtype(np.uint8)}
        assert set(arrays["unit"]) == set(range(UNITS))
        assert np.bincount(arrays["unit"]).max() <= VIEWS
        assert set(arrays["shrink"]) <= set(SHRINKS)
        true = arrays["true_luma"].reshape(UNITS, FRAMES, KEPT, KEPT)[arrays["unit"]].astype(float)
        error = np.square(true - arrays["luma"]).mean((1, 2, 3))
        assert (
            error < np.square(true - true.mean()).mean((1, 2, 3)) / 4
        ).all()  # the same part of the same pictures


def test_views_are_seeded_and_filled_up(clips: Path, views: Path, tmp_path: Path) -> None:
    kept = np.load(views / "00001.npz")
    (tmp_path / "00000.npz").write_bytes(b"there already")
    for seed, same in ((3, True), (4, False)):
        out = tmp_path if same else tmp_path / "other"
        done = make_views(clips, views / "cache", out, "--seed", seed)
        assert done.returncode == 0, done.stderr
        made = np.load(out / "00001.npz")
        equal = all(np.array_equal(made[name], kept[name]) for name in ("true_luma", "unit", "quality"))
        assert equal == same
    assert (tmp_path / "00000.npz").read_bytes() == b"there already"
    assert not list(tmp_path.rglob("*.partial*"))


def test_train_repeats_resumes_and_exports(views: Path, tmp_path: Path) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG.format(steps=100))
    for name in ("a", "b"):
        train(config, views, tmp_path / name)
    a, b = checkpoint(tmp_path / "a"), checkpoint(tmp_path / "b")
    assert all(torch.equal(a[k], b[k]) for k in a)
    rows = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows] == [100]
    assert rows[-1]["gain"] is not None
    config.write_text(CONFIG.format(steps=200))
    train(config, views, tmp_path / "a")
    resumed = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in resumed] == [100, 200]
    assert not all(torch.equal(a[k], now) for k, now in checkpoint(tmp_path / "a").items())

    out = tmp_path / "models" / "tiny"
    done = command(
        "common.training.export", "--config", config, "--checkpoint", tmp_path / "a" / "checkpoint.pt",
        "--out", out, "--model-id", 9,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    model = load_model("tiny", tmp_path / "models")
    assert (model.model_id, model.frames) == (9, FRAMES)
    manifest = read_manifest(out)
    assert set(manifest["sha256"]) == {p.name for p in out.iterdir()} - {"manifest.json"}
    assert manifest["config"]["width"] == 8
    assert manifest["training"]["step"] == 200
    encoded = ResilientEncoder(9, WIDTH, HEIGHT, FPS).encode(unit_pictures(0), 0, budget(250))
    shown = {}
    for backend in ("onnxruntime", "torch"):  # the weights lie beside the graph and are the same
        shown[backend] = ResilientDecoder(model, backend).decode(receive(encoded, 0)).pictures
        assert mean_psnr(unit_pictures(0), shown[backend]) > 20
    assert (
        max(
            int(np.abs(a.astype(int) - b).max())
            for a, b in zip(shown["onnxruntime"], shown["torch"], strict=True)
        )
        <= 2
    )

    (out / "weights.safetensors").write_bytes(b"damaged")
    load_model.cache_clear()
    with pytest.raises(WeightsError, match="sha256"):
        load_model("tiny", tmp_path / "models")


def test_it_learns(views: Path, tmp_path: Path) -> None:
    """The same batch again and again: the loss falls, and what is shown is better than the draft."""
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.format(steps=40))
    config = configs.load(path)
    torch.manual_seed(0)
    network, batch = Fusion(config.model), Sequences(views, 0.5, 0.5, 1).batch(2)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    results = []
    for _ in range(40):
        results.append(training_step(network, config, batch))
        optimiser.zero_grad()
        results[-1].loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert results[-1].loss < results[0].loss - 0.5
    assert results[-1].psnr > results[0].psnr
    assert results[-1].gain > 0


def test_schedule(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.format(steps=1000))
    config = configs.load(path)
    assert learning_rate(config, 0) == pytest.approx(config.learning_rate / 2)
    assert learning_rate(config, 2) == pytest.approx(config.learning_rate)
    assert learning_rate(config, 1000) == pytest.approx(config.final_learning_rate)
    rates = [learning_rate(config, step) for step in range(2, 1000, 50)]
    assert rates == sorted(rates, reverse=True)


def test_unknown_keys_of_a_configuration_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.format(steps=10) + "crop: 64\n")
    with pytest.raises(pydantic.ValidationError, match="crop"):
        configs.load(path)


def assert_equal(one: Batch, other: Batch, same: bool) -> None:
    pairs = [(getattr(one, name), getattr(other, name)) for name in Batch.__slots__]
    assert all(a.shape == b.shape for a, b in pairs)
    assert all(np.array_equal(a, b) for a, b in pairs) == same


def test_sequences_are_seeded_and_in_range(views: Path) -> None:
    batches = [Sequences(views, 0.4, 0.9, seed).batch(6) for seed in (1, 1, 2)]
    assert_equal(batches[0], batches[1], True)
    assert_equal(batches[0], batches[2], False)
    batch = batches[0]
    assert batch.true_luma.shape == (6, UNITS, FRAMES, KEPT, KEPT)
    assert batch.luma.shape == (6, UNITS, VIEWS, FRAMES, KEPT, KEPT)
    assert batch.chroma.shape == (6, UNITS, VIEWS, FRAMES, 2, KEPT // 2, KEPT // 2)
    assert batch.arrived.shape == batch.quality.shape == (6, UNITS, VIEWS)
    assert set(np.unique(batch.arrived)) <= {0, 1}
    assert 0 <= batch.quality.min() <= batch.quality.max() <= 1
    assert set(np.unique(batch.shrink)) <= {np.float32((s - 1) / (SHRINKS[-1] - 1)) for s in SHRINKS}
    assert np.allclose(batch.quality * (QUALITIES - 1), np.rint(batch.quality * (QUALITIES - 1)), atol=1e-4)


def test_clean_sequences_lose_nothing_and_others_what_they_should(views: Path) -> None:
    clean = Sequences(views, 1.0, 0.9, 1).batch(12)
    assert clean.clean.all()
    assert (clean.arrived[:, :, 0] == 1).all()
    lossy = Sequences(views, 0.0, 0.9, 1).batch(60)
    assert not lossy.clean.any()
    assert 0.3 < lossy.arrived.sum((1, 2)).mean() / clean.arrived.sum((1, 2)).mean() < 0.75


def test_truth_and_views_are_turned_over_together(views: Path) -> None:
    batch = Sequences(views, 1.0, 0.9, 4).batch(12)
    first = batch.luma[:, :, 0].astype(float)
    error = np.square(batch.true_luma - first).mean((1, 2, 3, 4))
    turned = np.square(batch.true_luma - first[..., ::-1, :]).mean((1, 2, 3, 4))
    assert (error < turned).all()


def test_sampler_is_seeded_and_in_range(clips: Path, tmp_path: Path) -> None:
    loaded = load_clips(clips, tmp_path)
    batches = [SequenceSampler(loaded, 64, 15.0, {}, seed).batch(2, 8) for seed in (1, 1, 2)]
    for luma, chroma in batches:
        assert luma.shape == (2, 8, 64, 64)
        assert chroma.shape == (2, 8, 2, 32, 32)
        assert -1 <= min(luma.min(), chroma.min()) <= max(luma.max(), chroma.max()) <= 1.2
    assert np.array_equal(batches[0][0], batches[1][0])
    assert not np.array_equal(batches[0][0], batches[2][0])


def test_a_drawn_sequence_depends_on_nothing_but_its_generator(clips: Path, tmp_path: Path) -> None:
    """So that each can be made by a process of its own, in any order."""
    sampler = SequenceSampler(load_clips(clips, tmp_path), CODED, 15.0, {}, 1)
    first = sampler.draw(np.random.default_rng(5), 8)
    sampler.batch(2, 8)
    again = sampler.draw(np.random.default_rng(5), 8)
    assert np.array_equal(first.luma, again.luma)
    assert np.array_equal(first.chroma, again.chroma)


def test_a_run_may_start_from_a_model_of_other_sizes(tmp_path: Path) -> None:
    """What fits is taken over, from the corner of each tensor; the rest stays as it was drawn."""
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.format(steps=10))
    small = Run(configs.load(path), torch.device("cpu"))
    state = {k: v.contiguous() for k, v in small.model.state_dict().items()}
    save_file(state | {f"fusion.{k}": v.clone() for k, v in state.items()}, tmp_path / "weights.safetensors")
    path.write_text(CONFIG.format(steps=10).replace("seed: 3", "seed: 4").replace("width: 8", "width: 12"))
    wide = Run(configs.load(path), torch.device("cpu"))
    drawn = {name: tensor.clone() for name, tensor in wide.model.state_dict().items()}
    wide.start_from(tmp_path / "weights.safetensors")
    known, grown = small.model.state_dict(), wide.model.state_dict()
    for name, tensor in grown.items():
        corner = tuple(slice(min(a, b)) for a, b in zip(tensor.shape, known[name].shape, strict=True))
        assert torch.equal(tensor[corner], known[name][corner]), name
    assert torch.equal(grown["enter.weight"][8:], drawn["enter.weight"][8:])


def test_a_run_starts_from_an_exported_model(tmp_path: Path) -> None:
    """The tensors of a shipped file are named by graph and name."""
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.format(steps=10))
    run = Run(configs.load(path), torch.device("cpu"))
    state = {f"fusion.{k}": v.contiguous() + 1 for k, v in run.model.state_dict().items()}
    save_file(state, tmp_path / "weights.safetensors")
    run.start_from(tmp_path / "weights.safetensors")
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, state[f"fusion.{name}"]), name


def test_losses_measure_what_they_say() -> None:
    torch.manual_seed(0)
    luma, chroma = torch.rand(2, 4, 32, 32) - 0.5, torch.rand(2, 4, 2, 16, 16) - 0.5
    same = squared_error(luma, chroma, luma, chroma)
    assert torch.equal(same, torch.zeros(2))
    off = squared_error(luma + 2 / 255, chroma + 2 / 255, luma, chroma)
    assert off.tolist() == pytest.approx([1.0, 1.0], abs=1e-3)
    assert decibels(torch.tensor([9.5])).item() == pytest.approx(38.13, abs=0.01)
    assert dissimilarity(luma, luma).tolist() == pytest.approx([0, 0], abs=1e-5)
    little, much = (dissimilarity(luma + k * torch.randn_like(luma), luma) for k in (0.05, 0.5))
    assert little.min() > 0
    assert (little < much).all()


def test_sequences_of_one_unit_are_no_error(clips: Path, views: Path, tmp_path: Path) -> None:
    done = make_views(clips, views / "cache", tmp_path, "--units", 1)
    assert done.returncode == 0, done.stderr
    assert Sequences(tmp_path, 0.0, 0.9, 1).batch(20).arrived.shape == (20, 1, VIEWS)


def test_no_clips_is_one_clear_error(tmp_path: Path) -> None:
    done = make_views(tmp_path, tmp_path / "cache", tmp_path / "out")
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].endswith(f"{tmp_path}: no .mp4 clips to train on")


def test_no_sequences_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"no sequences; make them with python -m common\.training\.views"
    ):
        Sequences(tmp_path, 0.4, 0.9, 1)
