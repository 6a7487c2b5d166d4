"""Train a segmenter: python -m common.training.segment --config FILE --data CAMVID --out FOLDER

Pictures and label maps lie in CAMVID/train and CAMVID/trainannot under the same names. Seeded and resumable: the same
command goes on from the last checkpoint. The weights that are kept are a running average of those that are trained.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import av
import cv2
import numpy as np
import torch
import torch.nn.functional as F
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from common.models.segmenter import Segmenter, SegmenterConfig

log = logging.getLogger("segment")
Image = NDArray[np.uint8]


class SegmentConfig(BaseModel):
    """Everything that makes a run repeatable. Refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 1
    steps: int
    batch: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 5e-4
    warm_up_steps: int = 300
    crop: tuple[int, int]
    """Height and width, multiples of 16."""
    scales: tuple[float, float]
    ignore: int
    """The label that says nothing."""
    balance: float = 0.4
    average: float = 0.998
    """Share of the kept weights that stays at each step."""
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


class Run:
    """Network, average, optimiser and step of a run, as saved in a checkpoint."""

    def __init__(self, config: SegmentConfig) -> None:
        torch.manual_seed(config.seed)
        self.config, self.step = config, 0
        self.model = Segmenter(config.model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.kept = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    def save(self, path: Path) -> None:
        """Atomic."""
        partial = path.with_suffix(".partial")
        state = {"step": self.step, "model": self.model.state_dict(), "kept": self.kept}
        torch.save(state | {"optimiser": self.optimiser.state_dict()}, partial)
        partial.replace(path)

    def resume(self, path: Path) -> None:
        """Load a checkpoint if there is one."""
        if path.exists():
            state = torch.load(path, map_location="cpu", weights_only=True)
            self.step, self.kept = state["step"], state["kept"]
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            log.info("resumed at step %d", self.step)

    def advance(self, pictures: Tensor, labels: Tensor, weight: Tensor) -> float:
        """One optimiser step; the loss."""
        config = self.config
        done = self.step / config.steps
        rate = config.learning_rate * min(1.0, (self.step + 1) / config.warm_up_steps) * (1 - done) ** 0.9
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            scores = self.model(pictures.to(memory_format=torch.channels_last))
        loss = scores_loss(scores, labels, weight, config.ignore)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        keep = min(config.average, (1 + self.step) / (10 + self.step))
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.kept[name].lerp_(value, 1 - keep)
            else:
                self.kept[name].copy_(value)
        return float(loss.detach())


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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True, help="YAML file, see common/training/configs")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with train, trainannot, val, valannot"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint and the log")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--checkpoint-minutes", type=float, default=4.0, help="minutes between checkpoints")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    config = SegmentConfig.model_validate(yaml.safe_load(args.config.read_text()))
    args.out.mkdir(parents=True, exist_ok=True)
    run = Run(config)
    run.resume(args.out / "checkpoint.pt")
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    train(run, Pairs(args.data, "train"), args.out, 60 * args.checkpoint_minutes, stop)


def train(run: Run, pairs: Pairs, out: Path, save_every: float, stop: Event) -> None:
    """To the last step or until `stop`; a line of progress with ETA each 50 steps."""
    config = run.config
    rng = np.random.default_rng((config.seed, run.step))
    weight = weights(pairs.labels, config)
    begun = saved = time.monotonic()
    first, losses = run.step, list[float]()
    while run.step < config.steps and not stop.is_set():
        losses.append(run.advance(*pairs.batch(config, rng), weight))
        now = time.monotonic()
        if run.step % 50 == 0:
            left = (now - begun) / (run.step - first) * (config.steps - run.step)
            row = {
                "step": run.step,
                "loss": round(float(np.mean(losses)), 4),
                "minutes_left": round(left / 60, 1),
            }
            log.info(json.dumps(row))
            with (out / "log.jsonl").open("a") as lines:
                lines.write(json.dumps(row) + "\n")
            losses = []
        if now - saved > save_every:
            run.save(out / "checkpoint.pt")
            saved = now
    run.save(out / "checkpoint.pt")
    log.info("stopped at step %d of %d", run.step, config.steps)


if __name__ == "__main__":
    main()
