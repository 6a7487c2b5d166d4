"""The generative decoder in the bench: what a receiver would show of a clip that was sent, frame by frame."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from common.maps.base import Legend
from common.models.diffusion import vocabulary
from common.models.diffusion.config import PRESETS
from common.models.diffusion.graphs import Use
from common.models.diffusion.loading import load
from common.models.diffusion.model import DiffusionModel, build
from common.models.diffusion.stream import Streamer, StreamInputs
from common.training.diffusion.inputs import one_hot
from common.video import Picture
from tests.bench.generative_wire import Sent, Shown, Trust

SEED = 7  # of the noise
CONTRAST = 30.0  # of a toy that has learned nothing


@dataclass(frozen=True, slots=True)
class Decoding:
    """How frames are made. `strength`: None as the weights say; weights of the adapters likewise."""

    steps: int = 1
    strength: float | None = None
    control: bool = True
    restoration: bool = True
    lambda_c: float | None = None
    lambda_r: float | None = None
    lambda_t: float | None = None


def named(steps: int) -> str:
    """For the table."""
    return f"{steps} step{'s' * (steps > 1)}" if steps else "Refiner alone"


class Decoder:
    """One set of weights on one device."""

    def __init__(self, model: DiffusionModel, device: str) -> None:
        """Raises ValueError for weights whose maps are not ours."""
        if model.config.control_channels != vocabulary.CLASSES:
            raise ValueError(
                f"the weights take maps of {model.config.control_channels} classes, and ours have "
                f"{vocabulary.CLASSES} (common/models/diffusion/vocabulary.py)"
            )
        self.model = model.to(device).eval()
        self._device = device

    @torch.no_grad()
    def alone(self, pictures: Sequence[Picture]) -> list[Picture]:
        """What the autoencoder makes of the source: the most that can be reached."""
        return [
            _picture(self.model.decode(self.model.encode(_tensor(one).to(self._device)))) for one in pictures
        ]

    def shown(self, sent: Sent, how: Decoding) -> tuple[list[Picture], float]:
        """Pictures, and seconds a frame. Without restoration nothing is known of the texture: frames then start from
        noise alone."""
        height, width = next(one for one in _sizes(sent.frames))
        strength = how.strength if how.restoration else 1.0
        streamer = Streamer(self.model, height, width, steps=how.steps, strength=strength)
        state = streamer.init_state(1, [SEED])
        use = Use(control=how.control, restoration=how.restoration)
        pictures: list[Picture] = []
        begun = time.perf_counter()
        for frame in sent.frames:
            picture, state = streamer.step(self.inputs(frame, sent.legend, how), state, use=use)
            pictures.append(_picture(picture))
        return pictures, (time.perf_counter() - begun) / len(pictures)

    def inputs(self, frame: Shown, legend: Legend, how: Decoding) -> StreamInputs:
        """What the streamer is handed of a frame."""
        table = vocabulary.lookup(legend)
        texture = frame.texture if how.restoration else None
        labels = frame.labels if how.control else None
        return StreamInputs(
            texture=None if texture is None else _tensor(texture),
            texture_trust=None if texture is None else _trust(frame.texture_trust),
            control=None if labels is None else one_hot(torch.from_numpy(table[labels]))[None],
            control_trust=None if labels is None else _trust(frame.labels_trust),
            lambda_c=how.lambda_c,
            lambda_r=how.lambda_r,
            lambda_t=how.lambda_t,
            qp=frame.qp,
        )


def load_decoder(weights: Path | None, device: str) -> Decoder:
    """Of a folder of weights; None: a toy that has learned nothing. Raises as common.models.diffusion.loading."""
    if weights is not None:
        return Decoder(load(weights), device)
    torch.manual_seed(SEED)
    toy = build(PRESETS["toy"].with_(control_channels=vocabulary.CLASSES))
    last = toy.vae.decoder.layers[-1]
    with torch.no_grad():  # black otherwise, whatever it is given
        last.weight.mul_(CONTRAST)
        last.bias.fill_(0.5)
    return Decoder(toy, device)


def _sizes(frames: Sequence[Shown]) -> list[tuple[int, int]]:
    """(height, width) of the frames of which something is known."""
    out = []
    for one in frames:
        if one.texture is not None:
            out.append((one.texture.shape[0] * 2 // 3, one.texture.shape[1]))
        elif one.labels is not None:
            out.append((one.labels.shape[0], one.labels.shape[1]))
    return out


def _tensor(picture: Picture) -> Tensor:
    """(1, 3, H, W) in [-1, 1]."""
    rgb = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_YUV2RGB_I420)
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 127.5 - 1


def _picture(shown: Tensor) -> Picture:
    """Of (1, 3, H, W) in [-1, 1]."""
    rgb = ((shown[0].float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb.cpu().numpy()), cv2.COLOR_RGB2YUV_I420), np.uint8)


def _trust(values: Trust | None) -> Tensor | None:
    return None if values is None else torch.from_numpy(np.ascontiguousarray(values))[None, None]
