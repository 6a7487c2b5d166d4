"""Training of the segmenter at toy size, its export, and what the shipped one reaches."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import cv2
import numpy as np
import pytest
import torch

from common.codec.weights import MODELS, read_manifest
from common.models.segmenter import Segmenter, SegmenterConfig
from common.runtime.base import load
from common.training.segment import Pairs, Run, SegmentConfig, miou, train
from common.training.segment_export import GRAPH, export

CAMVID = Path(__file__).resolve().parents[4] / "shared" / "data" / "camvid"
TINY = SegmenterConfig(3, stem=8, widths=(32, 32, 32), dilations=((1, 2),))
CONFIG = SegmentConfig(
    steps=12, batch=2, warm_up_steps=1, crop=(48, 64), scales=(0.8, 1.2), ignore=3, average=0.5, model=TINY
)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Pictures whose colour tells the class; a strip says nothing."""
    rng = np.random.default_rng(4)
    for part in ("train", "val"):
        for folder in (part, f"{part}annot"):
            (tmp_path / folder).mkdir()
        for number in range(4):
            label = np.repeat(np.repeat(rng.integers(0, 3, (4, 5), np.uint8), 16, 0), 16, 1)
            picture = np.choose(label[..., None], np.eye(3)[:, None, None] * 200).astype(np.uint8)
            label[:, :4] = 3
            cv2.imwrite(str(tmp_path / part / f"{number}.png"), picture)
            cv2.imwrite(str(tmp_path / f"{part}annot" / f"{number}.png"), label)
    return tmp_path


def test_it_learns_and_goes_on_where_it_stopped(scenes: Path, tmp_path: Path) -> None:
    pairs, out = Pairs(scenes, "train"), tmp_path / "run"
    out.mkdir()
    torch.set_num_threads(1)
    first = Run(CONFIG.model_copy(update={"steps": 8}))
    before = first.advance(*pairs.batch(CONFIG, np.random.default_rng(1)), torch.ones(3))
    train(first, pairs, out, 0.0, Event())
    again = Run(CONFIG)
    again.resume(out / "checkpoint.pt")
    assert again.step == 8
    train(again, pairs, out, 60.0, Event())
    assert again.step == 12
    after = again.advance(*pairs.batch(CONFIG, np.random.default_rng(1)), torch.ones(3))
    assert after < 0.8 * before


def test_crops_keep_labels_on_their_pictures(scenes: Path) -> None:
    pairs, rng = Pairs(scenes, "train"), np.random.default_rng(2)
    for _ in range(20):
        picture, label = pairs.crop(CONFIG, rng)
        assert picture.shape == (48, 64, 3) and label.shape == (48, 64)
        inner = cv2.erode((label < 3).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        edges = cv2.morphologyEx(label, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
        sure = inner & ~edges
        brightest = 2 - picture[..., ::1].astype(int).argmax(2)  # files hold blue first
        assert (brightest[sure] == label[sure]).mean() > 0.9


def test_graph_and_weights_agree_at_any_size(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = Segmenter(TINY).eval()
    export(network, CONFIG, 7, tmp_path)
    graph = load(tmp_path / GRAPH)
    for size in ((48, 64), (80, 32)):
        picture = torch.rand(1, 3, *size)
        with torch.inference_mode():
            wanted = network(picture).numpy()
        assert np.abs(graph.run({"picture": picture.numpy()})["scores"] - wanted).max() < 1e-3
    assert read_manifest(tmp_path)["training"]["step"] == 7


@pytest.mark.skipif(not CAMVID.exists(), reason="../shared/data is not there")
def test_the_shipped_one_knows_streets() -> None:
    graph = load(MODELS / "street" / GRAPH)
    mean, each = miou(lambda picture: graph.run({"picture": picture})["scores"], Pairs(CAMVID, "val"), 11)
    assert mean > 0.64, each
