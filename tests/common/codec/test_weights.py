"""The shipped model is whole and told of; a damaged one is one clear error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from common.codec.entropy import LIMIT, SYMBOLS, TOTAL
from common.codec.header import QUALITIES
from common.codec.weights import MODELS, WeightsError, load_model, read_manifest


def test_the_shipped_model_is_whole() -> None:
    model = load_model("resilient")
    assert model.steps.shape == (QUALITIES, model.latent)
    steps = np.log(model.steps).mean(1)
    assert (
        steps[1:] < steps[:-1]
    ).all()  # a higher quality is a finer step, but for channels that it does not need
    assert model.base_steps.shape == (QUALITIES, model.base)
    steps = np.log(model.base_steps).mean(1)
    assert (steps[1:] < steps[:-1]).all()
    assert 1 <= model.model_id <= 15
    graphs = ("encoder", "expansion", "recovery", "decoder")
    assert all(model.graph(name).is_file() for name in graphs)
    assert set(read_manifest(model.folder)["sha256"]) >= {f"{name}.onnx" for name in graphs}


def test_a_finer_level_is_coded_with_wider_tables() -> None:
    """Set n of the tables is counted at level n + 1: the mean magnitude of what it expects grows."""
    model = load_model("resilient")
    magnitude = np.abs(np.arange(SYMBOLS) - LIMIT)
    for tables in (model.tables, model.base_tables):
        expected = (tables.counts / TOTAL * magnitude)[:, :, 0].sum(-1).mean(1)  # in the lowest context
        assert expected[-1] > expected[0]


def test_the_card_tells_of_the_weights_that_lie_beside_it() -> None:
    for folder in MODELS.iterdir():
        card, manifest = (folder / "MODEL_CARD.md").read_text(), read_manifest(folder)
        assert "@" not in card
        assert f"model id {manifest['model_id']}" in card
        assert f"{manifest['training']['step']:,}".replace(",", " ") in card
        for heading in ("## Data", "## Recipe", "## Metrics", "## Limits"):
            assert heading in card


@pytest.mark.parametrize("damage", ["missing", "changed", "manifest", "keys"])
def test_a_damaged_model_is_one_clear_error(damage: str, tmp_path: Path) -> None:
    place = tmp_path / "resilient"
    shutil.copytree(MODELS / "resilient", place)
    if damage == "missing":
        (place / "steps.npz").unlink()
    elif damage == "changed":
        (place / "tables.npz").write_bytes(b"changed")
    elif damage == "manifest":
        (place / "manifest.json").write_text("{")
    else:
        (place / "manifest.json").write_text(json.dumps({"model_id": 1}))
    with pytest.raises(WeightsError, match=r"steps\.npz|tables\.npz|manifest\.json"):
        load_model("resilient", tmp_path)
