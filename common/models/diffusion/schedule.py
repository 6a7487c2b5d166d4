"""Noise schedule and few-step plans. The tables are diffusers'; a step is one linear combination.

Every sampler used here moves from one timestep to the next by `k0 * x + k1 * output + k2 * noise`, so that a plan is a
table of numbers and the graph of a step has no branch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import LCMScheduler
from torch import Tensor

from common.models.diffusion.config import ConfigError, DiffusionConfig


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps of one frame: timesteps (S,) int64 falling; coefficients (S, 3) float32; start (2,): latent's, noise's."""

    timesteps: Tensor
    coefficients: Tensor
    start: Tensor


class Schedule:
    """Tables of q(x_t | x_0) (eq. 1) and what follows from them; all on the CPU, float32."""

    def __init__(self, config: DiffusionConfig) -> None:
        self.config = config
        self.scheduler = LCMScheduler(
            num_train_timesteps=config.timesteps,
            beta_start=config.beta_start,
            beta_end=config.beta_end,
            beta_schedule=config.beta_schedule,
            original_inference_steps=config.original_steps,
            prediction_type=config.prediction,
        )
        self.alphas: Tensor = self.scheduler.alphas_cumprod.float()  # (T,)

    def _levels(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Weights of the latent and of the noise at t, shaped to multiply `like`."""
        alpha = self.alphas.to(like.device)[t].reshape(*t.shape, *([1] * (like.ndim - t.ndim)))
        return alpha.sqrt().to(like.dtype), (1 - alpha).sqrt().to(like.dtype)

    def add_noise(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t of eq. 1. t: integers, (B,) or (B, F), broadcast over the rest."""
        signal, spread = self._levels(t, clean)
        return signal * clean + spread * noise

    def predict_x0(self, output: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The noise-free estimate (eq. 4) from the network's output at x_t."""
        signal, spread = self._levels(t, x)
        if self.config.prediction == "epsilon":
            return (x - spread * output) / signal
        if self.config.prediction == "v_prediction":
            return signal * x - spread * output
        return output

    def predict_noise(self, output: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The estimate of the noise from the network's output at x_t."""
        signal, spread = self._levels(t, x)
        if self.config.prediction == "epsilon":
            return output
        if self.config.prediction == "v_prediction":
            return signal * output + spread * x
        return (x - signal * output) / spread

    def target(self, clean: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What the network should put out for x_t made of `clean` and `noise`."""
        signal, spread = self._levels(t, clean)
        if self.config.prediction == "epsilon":
            return noise
        if self.config.prediction == "v_prediction":
            return signal * noise - spread * clean
        return clean

    def plan(self, steps: int, strength: float = 1.0) -> Plan:
        """Timesteps and coefficients of `steps` steps from `strength` of the way to pure noise.

        strength 1 starts from noise alone; less starts from the noised degraded latent. Raises ConfigError if so few
        timesteps are left that the steps do not fit.
        """
        if not 0 < strength <= 1:
            raise ConfigError(f"strength {strength} must lie in (0, 1]")
        try:
            self.scheduler.set_timesteps(steps, strength=strength)
        except (ValueError, ZeroDivisionError):
            raise ConfigError(
                f"{steps} steps do not fit strength {strength}; raise it or take fewer"
            ) from None
        times = [int(t) for t in self.scheduler.timesteps]
        rows = [self._row(t, after) for t, after in zip(times, [*times[1:], None], strict=True)]
        first = float(self.alphas[times[0]])
        start = (0.0, 1.0) if strength == 1 else (first**0.5, (1 - first) ** 0.5)
        return Plan(torch.tensor(times), torch.tensor(rows), torch.tensor(start))

    def _row(self, t: int, after: int | None) -> tuple[float, float, float]:
        """Coefficients of x, output and fresh noise for the step from t to `after` (None: to the clean latent)."""
        alpha = float(self.alphas[t])
        signal, spread = alpha**0.5, (1 - alpha) ** 0.5
        clean = {  # x0 = clean[0] * x + clean[1] * output
            "epsilon": (1 / signal, -spread / signal),
            "v_prediction": (signal, -spread),
            "sample": (0.0, 1.0),
        }[self.config.prediction]
        if self.config.sampler == "lcm":  # consistency function: c_skip * x + c_out * x0
            skip, out = (float(v) for v in self.scheduler.get_scalings_for_boundary_condition_discrete(t))
            clean = (skip + out * clean[0], out * clean[1])
        if after is None:
            return (*clean, 0.0)
        ahead = float(self.alphas[after])
        signal_after, spread_after = ahead**0.5, (1 - ahead) ** 0.5
        if self.config.sampler == "lcm":
            return signal_after * clean[0], signal_after * clean[1], spread_after
        # DDIM: the noise that x holds is kept: (x - signal * x0) / spread
        keep = spread_after / spread
        gain = signal_after - keep * signal
        return gain * clean[0] + keep, gain * clean[1], 0.0
