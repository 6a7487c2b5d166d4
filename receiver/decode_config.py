"""Settings of the decoders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator

from common.config import Section, option
from receiver.generative.lambdas import Lambdas


def _weight(of: str) -> Any:
    return option(
        None,
        f"weight of {of} in generated pictures; 0: none of it, and no time for it; as the weights say without",
        ge=0,
        le=4,
    )


class DecodeSection(Section):
    """The decoders."""

    backend: str = option("auto", "runtime of the networks: auto, onnxruntime or openvino")
    threads: int = option(1, "threads of the decoder's networks", ge=1, le=64)
    generative: Literal["auto", "on", "off"] = option(
        "auto",
        "pictures made by the generative decoder from small pictures and maps (needs torch, diffusers and weights); "
        "`auto`: where the sender asks for it (--profile generative) and this host can; `on`: also with --profile "
        "structure, loaded at the start; `off`: never",
        alias="--generative",
        metavar="auto|on|off",
    )
    weights: Path | None = option(
        None,
        "folder with the generative decoder's weights, in place of ours: of our form (manifest.json) or in diffusers' "
        "layout (unet/, vae/, scheduler/, context.safetensors; taesd/, controlnet/, motion_adapter/, "
        "restoration.safetensors where there are any)",
        metavar="FOLDER",
    )
    device: Literal["auto", "cpu", "cuda"] = option(
        "auto", "where the generative decoder runs; `auto`: on a CUDA device if there is one"
    )
    runtime: Literal["auto", "torch", "cudagraphs", "tensorrt", "onnxruntime"] = option(
        "auto", "what runs the generative decoder; `auto`: CUDA graphs on a GPU, ONNX Runtime on a CPU"
    )
    engines: Path | None = option(
        None,
        "folder in which what `runtime` builds is kept (at most 16 GiB; made, mode 700); `semcast/engines` in the "
        "user's cache ($XDG_CACHE_HOME) without",
        metavar="FOLDER",
    )
    steps: int = option(
        4, "most denoising steps of a picture; fewer, and fewer pictures, while there is no time for them"
    )
    strength: float | None = option(
        None,
        "how far towards noise generated pictures start, from just above 0 to 1: little keeps to the small picture, "
        "1 starts from noise alone; as the weights say without (in diffusers' layout with no restoration.safetensors: "
        "0.5)",
        gt=0,
        le=1,
    )
    lambda_c: float | None = _weight("the map (Semantic Control)")
    lambda_r: float | None = _weight("the small picture's features (Restoration Adapter)")
    lambda_t: float | None = _weight("the pictures before (Temporal Adapter)")
    side: Literal["auto"] | int = option(
        "auto",
        "area that the generative decoder works on, as the side of a square; pictures are scaled to it and back; "
        "`auto`: 256 on a CPU, 512 on a GPU",
        unit="pixels",
        metavar="auto|PIXELS",
    )
    generative_threads: Literal["auto"] | int = option(
        "auto",
        "threads of the generative decoder on a CPU; `auto`: all cores but one, at most 8",
        metavar="auto|N",
    )
    gpu_memory_mb: int = option(
        6200,
        "most memory of the GPU that the generative decoder takes; what `steps` needs beyond it makes them fewer",
        unit="MB",
        ge=256,
        le=1_000_000,
    )

    @field_validator("steps")
    @classmethod
    def _known_steps(cls, value: int) -> int:
        if value not in (1, 2, 4):
            raise ValueError("must be 1, 2 or 4")
        return value

    @field_validator("side")
    @classmethod
    def _side_in_range(cls, value: int | str) -> int | str:
        if not isinstance(value, str) and not 32 <= value <= 1024:
            raise ValueError("must be `auto` or 32 to 1024")
        return value

    @field_validator("generative_threads")
    @classmethod
    def _threads_in_range(cls, value: int | str) -> int | str:
        if not isinstance(value, str) and not 1 <= value <= 64:
            raise ValueError("must be `auto` or 1 to 64")
        return value

    @property
    def lambdas(self) -> Lambdas:
        """Weights of the adapters."""
        return Lambdas(self.lambda_c, self.lambda_r, self.lambda_t)

    @property
    def torch_threads(self) -> int:
        """What `generative_threads` comes to on this host."""
        if not isinstance(self.generative_threads, str):
            return self.generative_threads
        return max(1, min(8, (os.cpu_count() or 1) - 1))
