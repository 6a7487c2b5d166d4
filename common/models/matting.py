"""The matte network: a picture and two earlier ones in, where things move (a person, a car, a dog) out.

The earlier pictures are moved first so that the standing part of the scene lies where it lies now
(common.maps.align), so what differs is what moves by itself. They are the whole state, of a fixed shape; a reset puts
the present luma in their place, which says that nothing is known to move.

Shapes: B batch, H x W samples (multiples of 16).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from common.models.segmenter import Segmenter, SegmenterConfig

EARLIER = 2
"""Earlier pictures that it is given."""
CONTRAST = 2.0  # a change of luma counts for so much more than colour does


def matting_config() -> SegmenterConfig:
    """The sizes of the shipped network."""
    return SegmenterConfig(
        classes=1,
        inputs=3 + EARLIER,
        stem=16,
        widths=(32, 64, 128),
        dilations=((1, 1), (1, 2), (1, 4), (1, 8), (1, 8)),
    )


class Matting(nn.Module):
    """Pictures -> one score a site: above 0 it moves."""

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        self.body = Segmenter(config)

    def forward(self, picture: Tensor, earlier: Tensor) -> Tensor:
        """picture (B, 3, H, W), red green blue, and earlier (B, EARLIER, H, W), luma, the youngest first, 0 to 1 ->
        (B, 1, H / 4, W / 4)."""
        red, green, blue = picture[:, :1], picture[:, 1:2], picture[:, 2:]
        change = (0.299 * red + 0.587 * green + 0.114 * blue - earlier) * CONTRAST + 0.45
        scores: Tensor = self.body(torch.cat((picture, change), 1))
        return scores
