"""The shipped model is whole and told of; a damaged one is one clear error."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from common.codec.header import FRAMES
from common.codec.weights import MODELS, WeightsError, load_model, read_manifest


def test_the_shipped_model_is_whole() -> None:
    model = load_model("resilient")
    assert 1 <= model.model_id <= 15
    assert model.frames == FRAMES
    assert model.graph("fusion").is_file()
    listed = set(read_manifest(model.folder)["sha256"])
    assert listed == {path.name for path in model.folder.iterdir()} - {"manifest.json", "MODEL_CARD.md"}


def test_the_card_tells_of_the_weights_that_lie_beside_it() -> None:
    for folder in MODELS.iterdir():
        card, manifest = (folder / "MODEL_CARD.md").read_text(), read_manifest(folder)
        assert "@" not in card
        if "model_id" in manifest:  # of codecs: a number on the wire
            assert f"model id {manifest['model_id']}" in card
        assert f"{manifest['training']['step']:,}".replace(",", " ") in card
        for heading in ("## Data", "## Recipe", "## Metrics", "## Limits"):
            assert heading in card


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("missing", r"fusion\.onnx: missing"),
        ("changed", r"weights\.safetensors: does not match"),
        ("manifest", r"manifest\.json"),
        ("no manifest", r"manifest\.json"),
        ("keys", r"manifest\.json: lacks config, sha256"),
        ("list", r"manifest\.json: must be an object"),
        ("outside", r"manifest\.json: names no file \.\./x"),
    ],
)
def test_a_damaged_model_is_one_clear_error(damage: str, message: str, tmp_path: Path) -> None:
    place = tmp_path / "resilient"
    shutil.copytree(MODELS / "resilient", place)
    if damage == "missing":
        (place / "fusion.onnx").unlink()
    elif damage == "changed":
        (place / "weights.safetensors").write_bytes(b"changed")
    elif damage == "manifest":
        (place / "manifest.json").write_text("{")
    elif damage == "no manifest":
        (place / "manifest.json").unlink()
    elif damage == "list":
        (place / "manifest.json").write_text("[1]")
    elif damage == "outside":
        (tmp_path / "x").write_bytes(b"")
        whole = {"model_id": 1, "config": {}, "sha256": {"../x": hashlib.sha256(b"").hexdigest()}}
        (place / "manifest.json").write_text(json.dumps(whole))
    else:
        (place / "manifest.json").write_text(json.dumps({"model_id": 1}))
    with pytest.raises(WeightsError, match=message):
        load_model("resilient", tmp_path)


def test_an_unknown_model_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="manifest"):
        load_model("other", tmp_path)
