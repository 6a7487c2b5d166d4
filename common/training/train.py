"""Train the `resilient` codec: python -m common.training.train --config FILE --data FOLDER --out FOLDER

Seeded and resumable: a run that was stopped goes on from its last checkpoint when the same command is given again.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import torch
from safetensors.torch import load_file

from common.training import config as configs
from common.training.channel import ErasureChannel
from common.training.config import Stage, TrainConfig
from common.training.data import Planes, SequenceSampler, load_clips
from common.training.step import ResilientModel, StepResult, packets_a_unit, training_step

log = logging.getLogger("train")


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine down to the final rate."""
    if step < config.warm_up_steps:
        return config.learning_rate * (step + 1) / config.warm_up_steps
    done = (step - config.warm_up_steps) / max(1, config.steps - config.warm_up_steps)
    span = config.learning_rate - config.final_learning_rate
    return config.final_learning_rate + span * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def stage_at(config: TrainConfig, step: int) -> Stage:
    """The stage that a step belongs to."""
    done = step / config.steps
    return next((s for s in config.stages if done < s.until), config.stages[-1])


class Run:
    """Model, optimiser and random streams of one training run, as saved in a checkpoint."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device, self.step = config, device, 0
        self.model = ResilientModel(config).to(device)
        self._cutter = ThreadPoolExecutor(1)
        self._ahead: Future[tuple[Planes, Planes]] | None = None
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=config.learning_rate, weight_decay=1e-4, fused=True
        )

    def save(self, path: Path) -> None:
        """Atomic: a run killed while saving keeps its previous checkpoint."""
        partial = path.with_suffix(".partial")
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        torch.save(state, partial)
        partial.replace(path)

    def resume(self, path: Path) -> None:
        """Load a checkpoint if there is one."""
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        log.info("resumed at step %d", self.step)

    def start_from(self, weights: Path) -> None:
        """Begin with what another model of this kind learnt: of each tensor as much as fits, from the corner."""
        known = load_file(weights)
        for name, mine in self.model.state_dict().items():
            if name in known and mine.dim() == known[name].dim():
                corner = tuple(slice(min(a, b)) for a, b in zip(mine.shape, known[name].shape, strict=True))
                mine[corner] = known[name][corner].to(mine)
        log.info("started from %s", weights)

    def advance(self, sampler: SequenceSampler, channel: ErasureChannel) -> StepResult:
        """One optimiser step."""
        config, stage = self.config, stage_at(self.config, self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(config, self.step)
        length = stage.units * config.model.frames
        arrays = self._ahead.result() if self._ahead else sampler.batch(stage.batch, length)
        after = stage_at(config, self.step + 1)  # the next batch is cut while this one trains
        self._ahead = self._cutter.submit(sampler.batch, after.batch, after.units * config.model.frames)
        luma, chroma = (torch.from_numpy(x).to(self.device) for x in arrays)
        side = config.crop // 16
        quality = torch.rand(stage.batch, device=self.device)
        packets = packets_a_unit(quality).double().cpu().numpy()
        masks, rates = (
            x.to(self.device) for x in channel.masks(packets, stage.units, side, side, stage.clean_share)
        )
        result = training_step(self.model, config, luma, chroma, masks, rates, quality)
        self.optimiser.zero_grad(set_to_none=True)
        result.loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.gradient_clip)
        if torch.isfinite(norm):
            self.optimiser.step()
        self.step += 1
        return result


def main() -> None:
    """Command line of the training."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True, help="YAML file, see common/training/configs")
    parser.add_argument("--data", type=Path, required=True, help="folder of training clips (.mp4)")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the log")
    parser.add_argument("--cache", type=Path, help="folder for decoded clips (default: OUT/cache)")
    parser.add_argument(
        "--start", type=Path, help="weights.safetensors of a model to start from, not from chance"
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu or cuda"
    )
    parser.add_argument("--checkpoint-minutes", type=float, default=4.0, help="minutes between checkpoints")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    torch.set_default_device(args.device)
    config = configs.load(args.config)
    args.out.mkdir(parents=True, exist_ok=True)
    run = Run(config, torch.device(args.device))
    if args.start and not (args.out / "checkpoint.pt").exists():
        run.start_from(args.start)
    run.resume(args.out / "checkpoint.pt")
    seed = config.seed * 1_000_003 + run.step  # a resumed run goes on with fresh, still repeatable, samples
    sampler = SequenceSampler(
        load_clips(args.data, args.cache or args.out / "cache"), config.crop, config.fps, config.caps, seed
    )
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    channel = ErasureChannel(seed + 1, config.loss_max)
    train(run, sampler, channel, args.out, 60 * args.checkpoint_minutes, stop)


def train(
    run: Run, sampler: SequenceSampler, channel: ErasureChannel, out: Path, save_every: float, stop: Event
) -> None:
    """Run to the last step or until `stop`; a line of progress with ETA each 100 steps, a checkpoint each
    `save_every` seconds."""
    torch.manual_seed(run.config.seed + run.step)
    begun = saved = time.monotonic()
    first, window = run.step, []
    while run.step < run.config.steps:
        window.append(run.advance(sampler, channel))
        now = time.monotonic()
        if run.step % 100 == 0:
            left = (now - begun) / (run.step - first) * (run.config.steps - run.step)
            row = {
                "step": run.step,
                "loss": round(float(np.mean([float(r.loss.detach()) for r in window])), 4),
                "bpp": round(float(np.mean([r.bits_per_pixel for r in window])), 4),
                "psnr_clean": _mean([r.psnr_clean for r in window]),
                "psnr_damaged": _mean([r.psnr_damaged for r in window]),
                "minutes_left": round(left / 60, 1),
            }
            log.info(json.dumps(row))
            with (out / "log.jsonl").open("a") as lines:
                lines.write(json.dumps(row) + "\n")
            window = []
        if now - saved > save_every or run.step == run.config.steps or stop.is_set():
            run.save(out / "checkpoint.pt")
            saved = now
        if stop.is_set():
            log.info("stopped at step %d; the same command goes on from here", run.step)
            return


def _mean(values: list[float]) -> float | None:
    """Mean of the defined values, None where a stage has none (nothing damaged, say)."""
    defined = [v for v in values if not math.isnan(v)]
    return round(float(np.mean(defined)), 2) if defined else None


if __name__ == "__main__":
    main()
