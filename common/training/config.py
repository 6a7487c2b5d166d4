"""Training configuration: one YAML file a model."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from common.models.resilient import ResilientConfig


class Strict(BaseModel):
    """Refuses unknown keys; never changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(Strict):
    """From a share of the run on: how long and how damaged the sequences are."""

    until: float = Field(description="share of all steps at which this stage ends, 0..1")
    units: int = Field(description="access units a sequence (the unroll of the recovery state)")
    batch: int = Field(description="sequences a step")
    clean_share: float = Field(description="share of the sequences that lose nothing")


class TrainConfig(Strict):
    """Everything that makes a run repeatable."""

    seed: int = 1
    steps: int = Field(description="optimiser steps of the whole run")
    crop: int = Field(128, description="side of the square crops, pixels")
    fps: float = Field(15.0, description="frame rate that sequences are sampled near")
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    warm_up_steps: int = 200
    gradient_clip: float = 1.0
    similarity: float = Field(0.25, description="share of the structural term in the distortion")
    lambdas: tuple[float, float] = Field(
        (6e-5, 1.2e-2), description="rate-distortion weight at quality 0 and 1"
    )
    loss_max: float = Field(0.95, description="largest packet loss rate of a sequence")
    damaged_weight: float = Field(0.5, description="how much less a sequence weighs at loss 1 than at loss 0")
    recovery_weight: float = Field(0.02, description="weight of the squared error of recovered elements")
    caps: dict[str, float] = Field(default_factory=dict, description="clip name prefix -> sampling weight")
    bf16: bool = Field(True, description="bfloat16 autocast where it helps")
    stages: tuple[Stage, ...]
    model: ResilientConfig = ResilientConfig()


def load(path: Path) -> TrainConfig:
    """Read and validate; raises pydantic.ValidationError or yaml.YAMLError."""
    return TrainConfig.model_validate(yaml.safe_load(path.read_text()))
