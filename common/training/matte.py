"""Train the matte network: python -m common.training.matte --config FILE --data DATA --out FOLDER

DATA holds train (clips) and davis-masks (folders of object masks); --tabletop names a folder of tabletop videos, which
may still be growing. Seeded and resumable: the same command goes on from the last checkpoint.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from common.models.matting import Matting
from common.models.segmenter import SegmenterConfig
from common.training.loop import CHECKPOINT, LoopConfig, LoopRun, arguments, begin, loop
from common.training.matte_data import Maker, clips_of, mask_sequences


class MatteConfig(LoopConfig):
    """Everything that makes a run repeatable."""

    crop: tuple[int, int]
    """Height and width, multiples of 16."""
    overlap: float = 0.5
    """How much the loss of the overlap counts beside that of each site."""
    model: SegmenterConfig


def matte_loss(scores: Tensor, moving: Tensor, overlap: float) -> Tensor:
    """Binary cross-entropy of the sites that are known, and 1 - the soft intersection over union of all that move."""
    known = (moving >= 0).float()
    wanted = moving.clamp(min=0.0)
    scores = scores.float()
    each = F.binary_cross_entropy_with_logits(scores, wanted, reduction="none") * known
    found = torch.sigmoid(scores) * known
    both = (found * wanted).sum()
    either = found.sum() + (wanted * known).sum() - both
    return each.sum() / known.sum().clamp(min=1.0) + overlap * (1 - (both + 1) / (either + 1))


class Run(LoopRun):
    """A run of the matte network."""

    def __init__(self, config: MatteConfig) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        super().__init__(Matting(config.model), config)

    def advance(self, picture: Tensor, earlier: Tensor, moving: Tensor) -> float:
        """One optimiser step; the loss."""
        with torch.autocast("cpu", torch.bfloat16):
            scores = self.model(picture.to(memory_format=torch.channels_last), earlier)
        return self.descend(matte_loss(scores, moving, self.config.overlap))


def main() -> None:
    """Command line of the training."""
    parser = arguments(__doc__, "folder with train and davis-masks")
    parser.add_argument("--tabletop", type=Path, help="folder of tabletop videos (common.training.tabletop)")
    parser.add_argument("--cache", type=Path, help="where decoded clips are kept (default: OUT/cache)")
    args = parser.parse_args()
    config, stop = begin(args, MatteConfig)
    run = Run(config)
    run.resume(args.out / CHECKPOINT)
    clips = clips_of(args.data / "train", args.cache or args.out / "cache", held_out=False)
    maker = Maker(clips, mask_sequences(args.data / "davis-masks", 0), args.tabletop, config.crop)
    loop(
        run,
        lambda rng: run.advance(*maker.batch(config.batch, rng)),
        args.out,
        60 * args.checkpoint_minutes,
        stop,
    )


if __name__ == "__main__":
    main()
