"""Training of the mattes at toy size, their samples and export, and what the shipped network reaches."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import cv2
import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from common.codec.weights import MODELS
from common.models.matting import EARLIER, Matting, matting_config
from common.models.segmenter import SegmenterConfig
from common.tabletop.files import CLIPS, shipped
from common.training import loop as loops
from common.training.matte import MatteConfig, Run, matte_loss
from common.training.matte_data import LEFT_OUT, Clip, Maker, mask_sequences
from common.training.matte_score import overlap, scores_of, tabletops
from common.training.segment_export import WEIGHTS, widened

TINY = SegmenterConfig(1, inputs=5, stem=8, widths=(32, 32, 32), dilations=((1, 2),))
CONFIG = MatteConfig(steps=8, batch=2, warm_up_steps=1, crop=(64, 96), average=0.5, model=TINY)


@pytest.fixture
def maker() -> Maker:
    """Discs that move over two clips: one that stands, one that the camera pans over."""
    rng = np.random.default_rng(4)
    large = np.asarray(cv2.resize(rng.integers(30, 220, (40, 50)).astype(np.uint8), (500, 400)), np.uint8)
    still = np.repeat(large[None, :216, :160], 40, 0)
    pan = np.stack([large[40:256, 2 * step : 2 * step + 160] for step in range(40)])
    clips: list[Clip] = [("still", 25.0, still), ("pan", 25.0, pan)]  # 160x144 in I420
    disc = np.zeros((288, 512), np.uint8)
    cv2.circle(disc, (200, 150), 60, 255, -1)
    masks = np.stack([np.roll(disc, 3 * step, 1) for step in range(30)])
    return Maker(clips, [masks], None, CONFIG.crop)


def test_samples_say_where_the_shape_is(maker: Maker) -> None:
    rng, shares = np.random.default_rng(1), []
    for _ in range(40):
        sample = maker.sample(rng)
        assert sample.picture.shape == (64, 96, 3) and sample.earlier.shape == (2, 64, 96)
        assert sample.moving.shape == (16, 24) and sample.moving.min() >= -1 and sample.moving.max() <= 1
        shares.append(float((sample.moving > 0.5).mean()))
    assert 0 in shares and max(shares) > 0.05


def test_what_moves_differs_and_what_stands_does_not(maker: Maker) -> None:
    rng = np.random.default_rng(3)
    moving, standing = [], []
    for _ in range(40):
        sample = maker.sample(rng)
        luma = cv2.cvtColor(sample.picture, cv2.COLOR_RGB2GRAY)
        change = np.abs(luma.astype(int) - sample.earlier).max(0).astype(np.float32)
        change = np.asarray(cv2.resize(change, (24, 16), interpolation=cv2.INTER_AREA))
        inside = sample.moving > 0.9
        if inside.sum() > 12:
            moving.append(change[inside].mean())
        standing.append(np.median(change[sample.moving == 0]))
    assert np.median(moving) > 2.5 * np.median(standing)


def test_samples_depend_on_the_seed_alone(maker: Maker) -> None:
    one, other = (maker.batch(2, np.random.default_rng(9)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(one, other, strict=True))


def test_tabletop_videos_are_samples_too(maker: Maker) -> None:
    maker.tabletop = CLIPS
    rng = np.random.default_rng(2)
    pictures, shown, unsure = maker.table(shipped()[0], rng)
    assert len(pictures) == 3 and pictures[0].shape == (64, 96, 3)
    assert shown.shape == (64, 96) and not unsure.any()


def test_it_learns_and_goes_on_where_it_stopped(maker: Maker, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    batch = maker.batch(4, np.random.default_rng(1))
    first = Run(CONFIG.model_copy(update={"steps": 5}))
    before = first.advance(*batch)
    loops.loop(first, lambda rng: first.advance(*batch), tmp_path, 0.0, Event())
    again = Run(CONFIG)
    again.resume(tmp_path / loops.CHECKPOINT)
    assert again.step == 5
    loops.loop(again, lambda rng: again.advance(*batch), tmp_path, 60.0, Event())
    assert again.step == 8 and again.advance(*batch) < 0.9 * before


def test_what_nobody_knows_does_not_count() -> None:
    scores, moving = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    wrong = scores.clone()
    wrong[..., 0] = 9.0
    moving[..., 0] = -1
    assert matte_loss(scores, moving, 0.5) == matte_loss(wrong, moving, 0.5)
    assert matte_loss(wrong, torch.zeros(1, 1, 4, 4), 0.5) > matte_loss(scores, moving, 0.5)


def test_the_shipped_graph_is_the_shipped_weights_at_any_size() -> None:
    network = Matting(matting_config()).eval()
    weights = load_file(MODELS / "matte" / WEIGHTS)
    network.load_state_dict({name: widened(value) for name, value in weights.items()})
    for size in ((48, 64), (80, 32)):
        picture, earlier = torch.rand(1, 3, *size), torch.rand(1, EARLIER, *size)
        with torch.inference_mode():
            wanted = network(picture, earlier).numpy()
        assert np.abs(scores_of()(picture.numpy(), earlier.numpy()) - wanted).max() < 1e-3


def test_the_sizes_that_are_trained_are_those_that_are_shipped() -> None:
    path = Path(loops.__file__).parent / "configs" / "matte.yaml"
    assert MatteConfig.model_validate(yaml.safe_load(path.read_text())).model == matting_config()


def test_masks_to_train_on_and_to_evaluate_on(tmp_path: Path) -> None:
    for number, name in enumerate(("a", LEFT_OUT[0], "c", "d")):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "0.png"), np.full((8, 8), number, np.uint8))
    assert len(mask_sequences(tmp_path, 0)) == 2 and len(mask_sequences(tmp_path, 1)) == 1
    with pytest.raises(FileNotFoundError):
        mask_sequences(tmp_path / "a", 0)


def test_the_shipped_one_finds_what_moves_on_tables() -> None:
    assert overlap(scores_of(), tabletops()) > 0.45
