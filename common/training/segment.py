"""Train a segmenter: python -m common.training.segment --config FILE --data CAMVID --out FOLDER

Pictures and label maps lie in CAMVID/train and CAMVID/trainannot under the same names. Seeded and resumable: the same
command goes on from the last checkpoint. The weights that are kept are a running average of those that are trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from threading import Event

import av
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from common.models.segmenter import Segmenter, SegmenterConfig
from common.training.loop import CHECKPOINT, LoopConfig, LoopRun, arguments, begin, loop

Image = NDArray[np.uint8]


class SegmentConfig(LoopConfig):
    """Everything that makes a run repeatable."""

    crop: tuple[int, int]
    """Height and width, multiples of 16."""
    scales: tuple[float, float]
    ignore: int
    """The label that says nothing."""
    balance: float = 0.4
    model: SegmenterConfig


class Pairs:
    """Pictures and their label maps, in memory, and random crops of them."""

    def __init__(self, folder: Path, part: str) -> None:
        """Raises FileNotFoundError where there are none."""
        names = sorted(path for path in (folder / part).iterdir() if path.suffix in (".jpg", ".png"))
        if not names:
            raise FileNotFoundError(f"{folder / part}: no pictures")
        self.pictures = [_read(path) for path in names]
        self.labels = [
            np.asarray(cv2.imread(str(folder / f"{part}annot" / f"{path.stem}.png"), cv2.IMREAD_UNCHANGED))
            for path in names
        ]

    def __len__(self) -> int:
        return len(self.pictures)

    def crop(self, config: SegmentConfig, rng: np.random.Generator) -> tuple[Image, Image]:
        """One picture at another size, place, light and hand."""
        which = int(rng.integers(len(self)))
        picture, label = self.pictures[which], self.labels[which]
        scale = math.exp(rng.uniform(*np.log(config.scales)))
        size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
        smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        picture = np.asarray(cv2.resize(picture, size, interpolation=smooth), np.uint8)
        label = np.asarray(cv2.resize(label, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        high, wide = config.crop
        pad = max(0, high - size[1]), max(0, wide - size[0])
        picture = np.pad(picture, ((0, pad[0]), (0, pad[1]), (0, 0)), mode="reflect")
        label = np.pad(label, ((0, pad[0]), (0, pad[1])), constant_values=config.ignore)
        top, left = (int(rng.integers(n - m + 1)) for n, m in zip(label.shape, config.crop, strict=True))
        picture, label = (
            picture[top : top + high, left : left + wide],
            label[top : top + high, left : left + wide],
        )
        if rng.random() < 0.5:
            picture, label = picture[:, ::-1], label[:, ::-1]
        return _light(picture, rng), np.ascontiguousarray(label)

    def batch(self, config: SegmentConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Pictures (B, 3, H, W) from 0 to 1 and labels (B, H, W)."""
        pairs = [self.crop(config, rng) for _ in range(config.batch)]
        pictures = np.stack([picture for picture, _ in pairs]).transpose(0, 3, 1, 2)
        labels = np.stack([label for _, label in pairs]).astype(np.int64)
        return torch.from_numpy(pictures.astype(np.float32) / 255), torch.from_numpy(labels)


def _read(path: Path) -> Image:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return np.asarray(frame.to_ndarray(format="rgb24"))


def _light(picture: Image, rng: np.random.Generator) -> Image:
    """Brightness, contrast, colour; now and then coarse coding, which the segmenter meets in earnest."""
    gain = rng.uniform(0.7, 1.4) * rng.uniform(0.92, 1.08, 3)
    out = np.clip((picture.astype(np.float32) - 110) * gain + 110 + rng.uniform(-25, 25), 0, 255).astype(
        np.uint8
    )
    if rng.random() < 0.3:
        _, coded = cv2.imencode(".jpg", out[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(8, 50))])
        out = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1]
    return out


def weights(labels: list[Image], config: SegmentConfig) -> Tensor:
    """How much an error of each class counts; 1 in the mean over the pixels."""
    counts = sum(np.bincount(label.ravel(), minlength=256)[: config.model.classes] for label in labels)
    share = np.asarray(counts) / np.sum(counts)
    weight = np.maximum(share, 1e-4) ** -config.balance
    return torch.tensor(weight / (weight * share).sum(), dtype=torch.float32)


def scores_loss(scores: Tensor, labels: Tensor, weight: Tensor, ignore: int) -> Tensor:
    """Cross-entropy at full size; the half that is hardest counts."""
    large = F.interpolate(scores.float(), size=labels.shape[1:], mode="bilinear", align_corners=False)
    loss = F.cross_entropy(large, labels, weight, ignore_index=ignore, reduction="none").flatten()
    loss = loss[(labels != ignore).flatten()]
    hardest: Tensor = loss.topk(max(1, loss.numel() // 2)).values.mean()
    return hardest


class Run(LoopRun):
    """A run of the segmenter."""

    def __init__(self, config: SegmentConfig) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        super().__init__(Segmenter(config.model), config)

    def advance(self, pictures: Tensor, labels: Tensor, weight: Tensor) -> float:
        """One optimiser step; the loss."""
        with torch.autocast("cpu", torch.bfloat16):
            scores = self.model(pictures.to(memory_format=torch.channels_last))
        return self.descend(scores_loss(scores, labels, weight, self.config.ignore))


Scores = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(1, 3, H, W), 0 to 1 -> (1, N, H / 4, W / 4)."""


def miou(scores: Scores, pairs: Pairs, classes: int) -> tuple[float, list[float]]:
    """Mean intersection over union of the classes, over all pixels of all pictures, and that of each class."""
    confusion = np.zeros((classes, classes), np.int64)
    for picture, label in zip(pairs.pictures, pairs.labels, strict=True):
        high, wide = (16 * (side // 16) for side in label.shape)
        top = (label.shape[0] - high) // 2
        part = (picture[top : top + high, :wide].transpose(2, 0, 1)[None] / 255).astype(np.float32)
        large = F.interpolate(torch.from_numpy(scores(part)), scale_factor=4.0, mode="bilinear")
        found, true = large[0].argmax(0).numpy(), label[top : top + high, :wide]
        known = true < classes
        pair = classes * true[known].astype(np.int64) + found[known]
        confusion += np.bincount(pair, minlength=classes**2).reshape(classes, classes)
    both = np.diag(confusion)
    each = both / np.maximum(confusion.sum(0) + confusion.sum(1) - both, 1)
    return float(each.mean()), [float(value) for value in each]


def main() -> None:
    """Command line of the training."""
    args = arguments(__doc__, "folder with train, trainannot, val, valannot").parse_args()
    config, stop = begin(args, SegmentConfig)
    run = Run(config)
    run.resume(args.out / CHECKPOINT)
    train(run, Pairs(args.data, "train"), args.out, 60 * args.checkpoint_minutes, stop)


def train(run: Run, pairs: Pairs, out: Path, save_every: float, stop: Event) -> None:
    """To the last step or until `stop`; a line of progress with ETA each 50 steps."""
    weight = weights(pairs.labels, run.config)
    loop(run, lambda rng: run.advance(*pairs.batch(run.config, rng), weight), out, save_every, stop)


if __name__ == "__main__":
    main()
