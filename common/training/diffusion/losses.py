"""What is lost of a picture: plain difference, gradients at several scales, HaarPSI, what a segmenter sees."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from common.codec.weights import MODELS, read_manifest, verified
from common.models.segmenter import Segmenter, SegmenterConfig
from common.training.haarpsi import haarpsi_colour

SCALES = 3


def gradient_loss(found: Tensor, true: Tensor) -> Tensor:
    """Mean absolute difference of horizontal and vertical steps at SCALES halvings. (B, 3, H, W) -> scalar."""
    difference = found - true
    total = difference.new_zeros(())
    for scale in range(SCALES):
        if scale:
            difference = F.avg_pool2d(difference, 2)
        across = difference[..., 1:] - difference[..., :-1]
        down = difference[..., 1:, :] - difference[..., :-1, :]
        total = total + (across.abs().mean() + down.abs().mean()) / (2 * SCALES)
    return total


def dissimilarity(found: Tensor, true: Tensor) -> Tensor:
    """1 - HaarPSI of pictures in [-1, 1], (B, 3, H, W) -> scalar."""
    return 1.0 - haarpsi_colour((found.clamp(-1, 1) + 1) * 127.5, (true + 1) * 127.5).mean()


def psnr(found: Tensor, true: Tensor) -> Tensor:
    """Of pictures in [-1, 1], (B, ...) -> (B,), dB."""
    error = (found.clamp(-1, 1) - true).square().flatten(1).mean(1)
    return 10 * torch.log10(4.0 / error.clamp(min=1e-8))


class Scene:
    """The shipped street segmenter as a judge: sees in what was made what it sees in the truth?"""

    def __init__(self, device: str) -> None:
        """Raises WeightsError where the segmenter is missing or damaged."""
        place = MODELS / "street"
        manifest = read_manifest(place)
        self._network = Segmenter(SegmenterConfig(**manifest["config"]))
        weights = load_file(verified(place, "weights.safetensors", manifest))
        self._network.load_state_dict({name: value.float() for name, value in weights.items()})
        self._network.requires_grad_(False).eval().to(device)

    def apart(self, found: Tensor, true: Tensor) -> Tensor:
        """Kullback-Leibler divergence of the classes at each site, in nats, of pictures in [-1, 1], (B, 3, H, W)."""
        with torch.no_grad():
            wanted = self._network((true + 1) / 2).log_softmax(1)
        seen = self._network((found.clamp(-1, 1) + 1) / 2).log_softmax(1)
        apart = F.kl_div(seen, wanted, reduction="none", log_target=True).sum(1)
        return apart.mean()
