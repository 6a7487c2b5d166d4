"""What is exported loads again, is told of, and is the run's."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event

import pytest
import torch

from common.codec.weights import read_manifest
from common.models.diffusion.loading import LoadingError, load, save
from common.models.diffusion.model import build
from common.training.diffusion import config, export, stages
from common.training.diffusion.stages import StageError
from receiver.generative.missing import OURS
from tests.common.training.diffusion import toy

RECIPES = Path(config.__file__).parent.parent / "configs" / "diffusion"


def test_an_exported_decoder_is_the_one_that_was_trained(tmp_path: Path) -> None:
    place = toy.place(tmp_path, toy.recipe())
    toy.fill(place.corpus)
    for stage in ("autoencoder", "clips", "backbone", "restoration"):
        assert stages.run(place, stage, None, Event())
    export.export(place, tmp_path / "weights", count=1)
    model, own = load(tmp_path / "weights"), stages.assemble(place)
    for name, value in own.named_parameters():
        assert torch.equal(model.state_dict()[name], value.half().float()), name
    manifest, card = read_manifest(tmp_path / "weights"), (tmp_path / "weights" / "MODEL_CARD.md").read_text()
    assert manifest["training"]["step"] == 6
    assert set(manifest["sha256"]) == {path.name for path in (tmp_path / "weights").glob("*.safetensors")}
    assert "6 optimiser steps" in card
    for heading in ("## Data", "## Recipe", "## Metrics", "## Limits"):
        assert heading in card
    assert "Short or stopped before their end: control, teacher, lcm, dmd, refinement" in card
    assert json.loads((tmp_path / "weights" / "config.json").read_text())["name"] == "toy"


def test_former_weights_are_mixed_in(tmp_path: Path) -> None:
    place = toy.place(tmp_path, toy.recipe())
    toy.fill(place.corpus)
    for stage in ("autoencoder", "clips", "backbone", "restoration"):
        assert stages.run(place, stage, None, Event())
    own, other = stages.assemble(place), stages.assemble(place)
    for value in other.parameters():
        value.data += 1
    save(other, tmp_path / "former", torch.float32)
    export.export(place, tmp_path / "weights", count=1, former=export.Former(tmp_path / "former", 0.25))
    mixed = load(tmp_path / "weights").state_dict()
    for name, value in own.named_parameters():
        assert torch.allclose(mixed[name], value + 0.25, atol=2e-3), name
    with pytest.raises(LoadingError, match="not a decoder of this recipe"):
        export.export(place, tmp_path / "weights", former=export.Former(OURS, 0.5))


def test_what_is_told_of_the_shipped_weights_is_what_they_are() -> None:
    told = f"{read_manifest(OURS)['parameters'] / 1e6:.1f} million parameters"
    for path in (OURS / "MODEL_CARD.md", Path(config.__file__).parent / "README.md"):
        assert told in path.read_text(), path


def test_nothing_to_export_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="nothing to export"):
        export.export(toy.place(tmp_path, toy.recipe()), tmp_path / "weights")


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_makes_a_decoder_within_the_limit(path: Path) -> None:
    recipe = config.load(path)
    with torch.device("meta"):
        model = build(stages.model_config(recipe, recipe.clips.frames))
    size = 2 * sum(value.numel() for value in model.parameters())
    assert size <= 60e6
    assert recipe.data.crop % model.config.multiple == 0
