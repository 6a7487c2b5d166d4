"""Train the `resilient` codec's network: python -m common.training.train --config FILE --views FOLDER --out FOLDER

The folder of views is made first, with python -m common.training.views. Seeded and resumable: a run that was stopped
goes on from its last checkpoint when the same command is given again.
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

from common.models.fusion import Fusion
from common.training import config as configs
from common.training.config import TrainConfig
from common.training.export import NAME
from common.training.sequences import Batch, Sequences
from common.training.step import StepResult, training_step

log = logging.getLogger("train")


def learning_rate(config: TrainConfig, step: int) -> float:
    """Linear warm-up, then a cosine down to the final rate."""
    if step < config.warm_up_steps:
        return config.learning_rate * (step + 1) / config.warm_up_steps
    done = (step - config.warm_up_steps) / max(1, config.steps - config.warm_up_steps)
    span = config.learning_rate - config.final_learning_rate
    return config.final_learning_rate + span * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


class Run:
    """Model, optimiser and random streams of one training run, as saved in a checkpoint."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.device, self.step = config, device, 0
        self.model = Fusion(config.model).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._reader = ThreadPoolExecutor(1)
        self._ahead: Future[Batch] | None = None
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
        known = {name.removeprefix(f"{NAME}."): tensor for name, tensor in load_file(weights).items()}
        for name, mine in self.model.state_dict().items():
            if name in known and mine.dim() == known[name].dim():
                corner = tuple(slice(min(a, b)) for a, b in zip(mine.shape, known[name].shape, strict=True))
                mine[corner] = known[name][corner].to(mine)
        log.info("started from %s", weights)

    def advance(self, sequences: Sequences) -> StepResult:
        """One optimiser step."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.config, self.step)
        batch = self._ahead.result() if self._ahead else sequences.batch(self.config.batch)
        self._ahead = self._reader.submit(sequences.batch, self.config.batch)  # while this one trains
        result = training_step(self.model, self.config, batch)
        self.optimiser.zero_grad(set_to_none=True)
        result.loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
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
    parser.add_argument("--views", type=Path, required=True, help="folder that common.training.views made")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the log")
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
    sequences = Sequences(args.views, config.clean_share, config.loss_max, seed)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    train(run, sequences, args.out, 60 * args.checkpoint_minutes, stop)


def train(run: Run, sequences: Sequences, out: Path, save_every: float, stop: Event) -> None:
    """Run to the last step or until `stop`; a line of progress with ETA each 100 steps, a checkpoint each
    `save_every` seconds."""
    torch.manual_seed(run.config.seed + run.step)
    begun = saved = time.monotonic()
    first, window = run.step, []
    while run.step < run.config.steps:
        window.append(run.advance(sequences))
        now = time.monotonic()
        if run.step % 100 == 0:
            left = (now - begun) / (run.step - first) * (run.config.steps - run.step)
            row = {
                "step": run.step,
                "loss": round(float(np.mean([float(r.loss.detach()) for r in window])), 4),
                "psnr": _mean([r.psnr for r in window]),
                "gain": _mean([r.gain for r in window]),
                "gain_lost": _mean([r.gain_lost for r in window]),
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
