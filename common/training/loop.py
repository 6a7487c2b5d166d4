"""What the trainings of the segmenter and of the mattes share: settings, checkpoints, averaged weights, the loop."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TypeVar

import numpy as np
import torch
import yaml
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

log = logging.getLogger("training")

CHECKPOINT = "checkpoint.pt"


class LoopConfig(BaseModel):
    """What makes a run repeatable. Refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 1
    steps: int
    batch: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 5e-4
    warm_up_steps: int = 300
    average: float = 0.998
    """Share of the kept weights that stays at each step."""


Config = TypeVar("Config", bound=LoopConfig)


class LoopRun:
    """Network, running average, optimiser and step of a run, as saved in a checkpoint."""

    def __init__(self, network: nn.Module, config: LoopConfig) -> None:
        self.settings, self.step = config, 0
        self.model = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
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

    def descend(self, loss: Tensor) -> float:
        """One optimiser step down this loss, which it gives back."""
        config = self.settings
        done = self.step / config.steps
        rate = config.learning_rate * min(1.0, (self.step + 1) / config.warm_up_steps) * (1 - done) ** 0.9
        for group in self.optimiser.param_groups:
            group["lr"] = rate
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


def loop(
    run: LoopRun, advance: Callable[[np.random.Generator], float], out: Path, save_every: float, stop: Event
) -> None:
    """`advance`, which takes one step, to the last step or until `stop`; a line of progress with ETA each 50 steps."""
    config = run.settings
    rng = np.random.default_rng((config.seed, run.step))
    begun = saved = time.monotonic()
    first, losses = run.step, list[float]()
    while run.step < config.steps and not stop.is_set():
        losses.append(advance(rng))
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
            run.save(out / CHECKPOINT)
            saved = now
    run.save(out / CHECKPOINT)
    log.info("stopped at step %d of %d", run.step, config.steps)


def arguments(description: str | None, data: str) -> argparse.ArgumentParser:
    """The flags of a training; `data` tells what lies there."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True, help="YAML file, see common/training/configs")
    parser.add_argument("--data", type=Path, required=True, help=data)
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint and the log")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--checkpoint-minutes", type=float, default=4.0, help="minutes between checkpoints")
    return parser


def begin(args: argparse.Namespace, kind: type[Config]) -> tuple[Config, Event]:
    """Logging, threads and the folder; the settings, and the event that SIGINT and SIGTERM set."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return kind.model_validate(yaml.safe_load(args.config.read_text())), stop
