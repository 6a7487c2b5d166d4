"""The shipped model is whole and told of; a damaged one is one clear error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from common.codec.header import QUALITIES
from common.codec.weights import MODELS, WeightsError, load_model, read_manifest


def test_the_shipped_model_is_whole() -> None:
    model = load_model("resilient")
    assert model.steps.shape == (QUALITIES, model.latent)
    assert (model.steps[1:] < model.steps[:-1]).all()  # a higher quality is a finer step in every channel
    assert set(read_manifest(model.folder)["sha256"]) >= {
        f"{n}.onnx" for n in ("encoder", "recovery", "decoder")
    }


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
