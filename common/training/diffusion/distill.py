"""Distillation of the Temporal Adapter alone: first consistency (eq. 5), then distribution matching (eq. 6).

The student sees the past W frames ("window", what streaming computes), teacher and critic whole clips. Backbone and the
other adapters are one frozen model that all three share.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from common.models.diffusion.model import DiffusionModel
from common.models.diffusion.schedule import Plan
from common.models.diffusion.temporal import TemporalAdapter
from common.training.diffusion.clips import Batch, Latents
from common.training.diffusion.config import DistillConfig, DmdConfig, LcmConfig
from common.training.diffusion.denoise import parameters, see
from common.training.diffusion.inputs import Inputs, between, gaussian, prepare
from common.training.diffusion.runner import Turn


def copy_of(adapter: TemporalAdapter, like: DiffusionModel) -> TemporalAdapter:
    """An adapter of its own with the same weights."""
    made = TemporalAdapter(like.config.motion).to(next(adapter.parameters()).device)
    made.load_state_dict(adapter.state_dict())
    return made


class Distillation:
    """What both stages share. `model.temporal` is the student, `teacher` is frozen."""

    def __init__(
        self,
        model: DiffusionModel,
        teacher: TemporalAdapter,
        config: DistillConfig,
        latents: Latents,
        strength: float,
        device: str,
    ) -> None:
        self.model, self.latents, self.device = model.to(device), latents, device
        self.teacher = teacher.to(device).requires_grad_(False)
        self.settings, self.strength = config, strength
        self.count = config.batch_cuda if device.startswith("cuda") else config.batch
        self.student = parameters(model, ("temporal",))
        self.plan = model.schedule.plan(model.config.steps, strength)

    def batch(self, rng: np.random.Generator) -> Batch:
        """Whole clips."""
        return self.latents.batch(rng, self.count)

    def output(self, inputs: Inputs, x: Tensor, t: Tensor, adapter: TemporalAdapter | None) -> Tensor:
        """Of the student (None), or of an adapter that sees whole clips."""
        conditioned = self.settings.conditioned
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.settings.bf16):
            temporal = "window" if adapter is None else "full"
            out = see(
                self.model,
                inputs,
                x,
                t,
                control=conditioned,
                texture=conditioned,
                temporal=temporal,
                adapter=adapter,
            )
        return out.float()

    def clean(self, inputs: Inputs, x: Tensor, t: Tensor, adapter: TemporalAdapter | None) -> Tensor:
        """The noise-free estimate (eq. 4)."""
        return self.model.schedule.predict_x0(self.output(inputs, x, t, adapter), x, t)


class LcmTask(Distillation):
    """Eq. 5: what the student says after a jump of the teacher's equals what the teacher says where it lands."""

    def __init__(
        self,
        model: DiffusionModel,
        teacher: TemporalAdapter,
        config: LcmConfig,
        latents: Latents,
        strength: float,
        device: str,
    ) -> None:
        super().__init__(model, teacher, config, latents, strength, device)
        self.config = config

    @property
    def groups(self) -> dict[str, dict[str, nn.Parameter]]:
        """The student's adapter."""
        return {"loss": self.student}

    def turns(self, batch: Batch, noise: torch.Generator) -> Iterator[Turn]:
        """One."""
        inputs, schedule = prepare(batch, self.latents.scale, self.device), self.model.schedule
        start, _ = between(inputs, self.config.degraded if self.config.conditioned else 0.0, noise)
        count = len(start)
        ladder = torch.cat((self.plan.timesteps, torch.zeros(1, dtype=torch.int64))).to(self.device)
        rung = torch.randint(len(ladder) - 1, (count,), generator=noise, device=self.device)
        late, early = ladder[rung], ladder[rung + 1]
        grain = gaussian(start, noise, shared=True)
        with torch.no_grad():
            x_late = schedule.add_noise(start, grain, late)
            out = self.output(inputs, x_late, late, self.teacher)
            found, guess = schedule.predict_x0(out, x_late, late), schedule.predict_noise(out, x_late, late)
            jumped = schedule.add_noise(found, guess, early)
            want = self.output(inputs, schedule.add_noise(inputs.clean, grain, early), early, self.teacher)
        loss = (self.output(inputs, jumped, early, None) - want).square().mean()
        yield Turn("loss", loss, {})


class DmdTask(Distillation):
    """Eq. 6: the student follows the difference of the scores; the critic learns what the student makes."""

    def __init__(
        self,
        model: DiffusionModel,
        teacher: TemporalAdapter,
        config: DmdConfig,
        latents: Latents,
        strength: float,
        device: str,
    ) -> None:
        super().__init__(model, teacher, config, latents, strength, device)
        self.config = config
        self.critic = copy_of(teacher, model).requires_grad_(True)

    @property
    def groups(self) -> dict[str, dict[str, nn.Parameter]]:
        """The student's adapter, and the critic's."""
        return {"student": self.student, "critic": dict(self.critic.named_parameters())}

    def turns(self, batch: Batch, noise: torch.Generator) -> Iterator[Turn]:
        """The student's, then the critic's."""
        inputs, schedule = prepare(batch, self.latents.scale, self.device), self.model.schedule
        made = self.generate(inputs, noise)
        t = self.between_limits(len(made), noise)
        x = schedule.add_noise(made.detach(), gaussian(made, noise), t)
        with torch.no_grad():
            real = self.clean(inputs, x, t, self.teacher)
            fake = self.clean(inputs, x, t, self.critic)
            size = (made - real).abs().mean((1, 2, 3, 4), keepdim=True).clamp(min=1e-4)
            aim = made - (fake - real) / size
            figures = {"gap": float((made - inputs.clean).square().mean())}
        loss = 0.5 * (made - aim).square().mean()
        if self.config.anchor:
            loss = loss + self.config.anchor * (made - inputs.clean).square().mean()
        yield Turn("student", loss, figures)
        made = made.detach()
        for _ in range(self.config.critic_steps):
            t, grain = self.between_limits(len(made), noise), gaussian(made, noise)
            x = schedule.add_noise(made, grain, t)
            wrong = (self.output(inputs, x, t, self.critic) - schedule.target(made, grain, t)).square().mean()
            yield Turn("critic", wrong, {})

    def between_limits(self, count: int, noise: torch.Generator) -> Tensor:
        """(B,) timesteps between t_min and t_max."""
        total = len(self.model.schedule.alphas)
        low, high = (round(part * (total - 1)) for part in (self.config.nearest, self.config.farthest))
        return torch.randint(low, high + 1, (count,), generator=noise, device=self.device)

    def generate(self, inputs: Inputs, noise: torch.Generator) -> Tensor:
        """The student's noise-free estimate after a number of its steps; gradients through the last alone."""
        plan, schedule = self.plan, self.model.schedule
        start = between(inputs, self.config.degraded, noise)[0] if self.config.conditioned else inputs.clean
        first = plan.timesteps[:1].to(self.device).expand(len(start))
        x = schedule.add_noise(start, gaussian(start, noise, shared=True), first)
        last = int(torch.randint(len(plan.timesteps), (1,), generator=noise, device=self.device))
        with torch.no_grad():
            for number in range(last):
                x = stride(plan, number, x, self.output(inputs, x, self._at(number, x), None), noise)
        return self.clean(inputs, x, self._at(last, x), None)

    def _at(self, number: int, x: Tensor) -> Tensor:
        return self.plan.timesteps[number].to(self.device).expand(len(x))


def stride(plan: Plan, number: int, x: Tensor, out: Tensor, noise: torch.Generator) -> Tensor:
    """One step of a plan."""
    kept, added, fresh = (float(value) for value in plan.coefficients[number])
    return kept * x + added * out + fresh * gaussian(x, noise, shared=True)


@torch.no_grad()
def teach(task: LcmTask, batch: Batch, steps: int, noise: torch.Generator) -> Tensor:
    """Clean latents (B, F, c, h, w) that the teacher samples for these clips, at deviation 1."""
    inputs = prepare(batch, task.latents.scale, task.device)
    strength = task.strength if task.config.conditioned and task.config.degraded else 1.0
    plan = task.model.schedule.plan(steps, strength)
    x = gaussian(inputs.clean, noise, shared=True)
    if strength < 1:
        x = task.model.schedule.add_noise(
            inputs.degraded, x, plan.timesteps[:1].to(task.device).expand(len(x))
        )
    for number, t in enumerate(plan.timesteps):
        out = task.output(inputs, x, t.to(task.device).expand(len(x)), task.teacher)
        x = stride(plan, number, x, out, noise)
    return x
