"""The loop that all stages share: turns of optimisation, a running average, checkpoints, progress.

A step draws its sample and its noise from nothing but the seed, the stage and the number of the step, so that a run
that was stopped and goes on gives what an unbroken one gives.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from common.training.diffusion.config import StageConfig

log = logging.getLogger("diffusion")

CHECKPOINT = "checkpoint.pt"
EVERY = 50  # steps between two lines of progress


@dataclass(frozen=True, slots=True)
class Turn:
    """One update: of the group of parameters that `loss` trains, with what was measured beside it."""

    group: str
    loss: Tensor
    figures: dict[str, float]


class Task(Protocol):
    """What a stage trains, and how a step of it goes."""

    @property
    def groups(self) -> dict[str, dict[str, nn.Parameter]]:
        """Parameters by name, in groups that are updated in turns; the first group's average is kept."""
        ...

    def batch(self, rng: np.random.Generator) -> Any:
        """The sample of a step; runs ahead in a thread."""
        ...

    def turns(self, batch: Any, noise: torch.Generator) -> Iterator[Turn]:
        """The updates of a step, in order; each is made before the next is asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """When a stage ends: after its steps, or after `seconds` where they are given, checkpoints counted in."""

    steps: int
    seconds: float | None = None


class Run:
    """Optimisers, average and place of one stage, as saved in a checkpoint."""

    def __init__(
        self, task: Task, config: StageConfig, limits: Limits, key: tuple[int, int], device: str
    ) -> None:
        self.task, self.config, self.limits, self.key = task, config, limits, key
        self.device = torch.device(device)
        self.step, self.seconds, self.done = 0, 0.0, False
        self.groups = task.groups
        self.optimisers = {
            name: torch.optim.AdamW(group.values(), lr=config.learning_rate, weight_decay=config.weight_decay)
            for name, group in self.groups.items()
        }
        self.kept_group = next(iter(self.groups))
        self.kept = {name: value.detach().clone() for name, value in self.groups[self.kept_group].items()}

    @property
    def progress(self) -> float:
        """0 at the start, 1 at the end."""
        if self.limits.seconds is not None:
            return min(1.0, self.seconds / self.limits.seconds)
        return min(1.0, self.step / max(1, self.limits.steps))

    def learning_rate(self) -> float:
        """Linear warm-up, then a cosine down to the final rate."""
        c = self.config
        span = c.learning_rate - c.final_learning_rate
        rate = c.final_learning_rate + span * 0.5 * (1 + math.cos(math.pi * self.progress))
        return rate * min(1.0, (self.step + 1) / max(1, c.warm_up_steps))

    def draw(self, step: int) -> Any:
        """The sample of a step."""
        return self.task.batch(np.random.default_rng((*self.key, step)))

    def advance(self, batch: Any) -> dict[str, float]:
        """One step: all its turns."""
        noise = torch.Generator(self.device)
        noise.manual_seed(hash((*self.key, self.step)) & 0x7FFFFFFF)
        rate, figures = self.learning_rate(), dict[str, float]()
        for turn in self.task.turns(batch, noise):
            optimiser, group = self.optimisers[turn.group], self.groups[turn.group]
            for settings in optimiser.param_groups:
                settings["lr"] = rate
            values = list(group.values())
            gradients = torch.autograd.grad(turn.loss, values, allow_unused=True)
            for value, gradient in zip(values, gradients, strict=True):
                value.grad = gradient
            norm = nn.utils.clip_grad_norm_(values, self.config.gradient_clip)
            if torch.isfinite(norm):
                optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            figures |= {turn.group: float(turn.loss.detach()), **turn.figures}
        self.step += 1
        keep = min(self.config.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for name, value in self.groups[self.kept_group].items():
                self.kept[name].lerp_(value, 1 - keep)
        return figures

    def save(self, folder: Path) -> None:
        """Atomic: a run killed while saving keeps its previous checkpoint."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "done": self.done,
            "kept": self.kept,
            "groups": {
                name: {n: v.detach() for n, v in group.items()} for name, group in self.groups.items()
            },
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
        }
        partial = folder / "checkpoint.partial"
        torch.save(state, partial)
        partial.replace(folder / CHECKPOINT)

    def resume(self, folder: Path) -> None:
        """Load a checkpoint if there is one."""
        if not (folder / CHECKPOINT).exists():
            return
        state = torch.load(folder / CHECKPOINT, map_location=self.device, weights_only=True)
        self.step, self.seconds, self.done = state["step"], state["seconds"], state["done"]
        self.kept = state["kept"]
        with torch.no_grad():
            for name, group in self.groups.items():
                for key, value in group.items():
                    value.copy_(state["groups"][name][key])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        log.info("resumed at step %d", self.step)


def kept(folder: Path, device: str = "cpu") -> dict[str, Tensor] | None:
    """The averaged weights of a stage's checkpoint; None where there is none."""
    if not (folder / CHECKPOINT).exists():
        return None
    state: dict[str, Any] = torch.load(folder / CHECKPOINT, map_location=device, weights_only=True)
    weights: dict[str, Tensor] = state["kept"]
    return weights


def train(run: Run, folder: Path, stop: Event, save_every: float = 180.0, ahead: int = 0) -> bool:
    """To the end or until `stop`, from where `folder` left off; whether it is at the end. `ahead`: samples that are
    drawn by a thread before they are needed."""
    folder.mkdir(parents=True, exist_ok=True)
    run.resume(folder)
    if run.done and run.progress >= 1.0:
        log.info("was finished at step %d", run.step)
        return True
    begun, saved, before = time.monotonic(), time.monotonic(), run.seconds
    pool, queue = ThreadPoolExecutor(1), list[Future[Any]]()
    window: list[dict[str, float]] = []
    first = run.step
    while run.progress < 1.0 and not stop.is_set():
        queue += [pool.submit(run.draw, run.step + len(queue) + k) for k in range(ahead + 1 - len(queue))]
        window.append(run.advance(queue.pop(0).result()))
        now = time.monotonic()
        run.seconds = before + now - begun
        if run.step % EVERY == 0:
            _report(run, folder, window, (now - begun) / (run.step - first))
            window = []
        if now - saved > save_every:
            run.save(folder)
            saved = now
    pool.shutdown(cancel_futures=True)
    run.done = run.progress >= 1.0
    run.save(folder)
    log.info(
        "%s at step %d", "finished" if run.done else "stopped; the same command goes on from here,", run.step
    )
    return run.done


def _report(run: Run, folder: Path, window: list[dict[str, float]], pace: float) -> None:
    limits = run.limits
    left = limits.seconds - run.seconds if limits.seconds is not None else pace * (limits.steps - run.step)
    names = {name: None for figures in window for name in figures}
    means = {name: round(float(np.mean([f[name] for f in window if name in f])), 4) for name in names}
    row = {"step": run.step, **means, "seconds_a_step": round(pace, 3), "minutes_left": round(left / 60, 1)}
    log.info(json.dumps(row))
    with (folder / "log.jsonl").open("a") as lines:
        lines.write(json.dumps(row) + "\n")
