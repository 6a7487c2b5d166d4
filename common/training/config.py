"""Training configuration: one YAML file a model."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from common.models.fusion import FusionConfig


class TrainConfig(BaseModel):
    """Everything that makes a run repeatable. Refuses unknown keys; never changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 1
    steps: int = Field(description="optimiser steps of the whole run")
    batch: int = Field(4, description="sequences a step")
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    warm_up_steps: int = 200
    gradient_clip: float = 1.0
    similarity: float = Field(
        40.0, description="decibels that a structural similarity lost wholly weighs as much as"
    )
    clean_share: float = Field(0.4, description="share of the sequences that lose nothing")
    loss_max: float = Field(0.9, description="largest loss of a view in a sequence")
    bf16: bool = Field(True, description="bfloat16 autocast where it helps")
    model: FusionConfig = FusionConfig()


def load(path: Path) -> TrainConfig:
    """Read and validate; raises pydantic.ValidationError or yaml.YAMLError."""
    return TrainConfig.model_validate(yaml.safe_load(path.read_text()))
