"""Maps as networks find them, and what a network sees in what was made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from common.maps.base import VOID
from common.models.diffusion import vocabulary
from common.training.diffusion import corpus, seen
from common.training.diffusion.losses import Scene
from tests.common.training.diffusion import toy
from tests.common.training.diffusion.test_data import pictures


def test_clips_get_what_moves_and_streets_their_classes_once(tmp_path: Path) -> None:
    toy.fill(tmp_path)
    drawn = [np.zeros((80, 96), np.uint8)] * 2
    corpus.write(tmp_path, "street", corpus.Facts("street", True, 1.0), list(pictures(2)), drawn)
    before = {source.name: source.labels for source in corpus.read(tmp_path)}
    assert before["moving"] is None
    for _ in range(2):
        seen.add_seen(tmp_path)
        found = {source.name: source for source in corpus.read(tmp_path)}
        again = {name + seen.SEEN for name in before if not name.startswith("tabletop")}
        assert set(found) == {*before, *again} and {"street-seen", "moving-seen"} <= again
    wrong = found["moving-seen"]
    assert wrong.facts.kind == "clip" and wrong.labels is not None
    assert wrong.labels.max() < len(vocabulary.STREET_NAMES)
    moving, street = found["moving"].labels, found["street-seen"].labels
    assert moving is not None and street is not None
    assert (moving[0] == VOID).all()
    square = slice(20 + 6, 44 + 6), slice(10 + 18, 36 + 18)
    assert (moving[6][square] == vocabulary.FOREGROUND).mean() > 0.5
    assert (moving[6] == vocabulary.BACKGROUND).mean() > 0.5
    assert street.shape == (2, 80, 96) and street.max() < len(vocabulary.STREET_NAMES)
    for name in ("street", "tabletop-0"):
        assert np.array_equal(before[name], found[name].labels)  # type: ignore[arg-type]


def test_a_blurred_street_is_seen_otherwise() -> None:
    scene, rng = Scene("cpu"), torch.Generator().manual_seed(1)
    true = F.interpolate(torch.rand(2, 3, 16, 16, generator=rng), size=64, mode="bicubic").clamp(0, 1) * 2 - 1
    found = F.interpolate(F.avg_pool2d(true, 8), size=64, mode="bilinear").requires_grad_()
    assert abs(float(scene.apart(true, true))) < 1e-6
    apart = scene.apart(found, true)
    (gradient,) = torch.autograd.grad(apart, found)
    assert float(apart.detach()) > 0.01 and float(gradient.abs().max()) > 0
