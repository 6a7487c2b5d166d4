"""Configurations and schedules."""

from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.models.diffusion.config import PRESETS, ConfigError, DiffusionConfig
from common.models.diffusion.model import build
from common.models.diffusion.schedule import Schedule


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_survive_json(name: str) -> None:
    text = PRESETS[name].to_json()
    again = DiffusionConfig.from_json(text)
    assert again.to_json() == text
    assert (again.downscale, again.levels) == (8, len(again.unet.get("block_out_channels", (0,) * 4)))


def test_compact_is_compact() -> None:
    model = build(PRESETS["compact"])
    count = {
        name: sum(p.numel() for p in getattr(model, name).parameters())
        for name in ("vae", "unet", "control", "restoration", "temporal")
    }
    assert 8e6 < count["unet"] < 14e6
    assert sum(count.values()) * 2 < 60e6  # bytes in fp16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prediction": "x0"}, "prediction"),
        ({"window": 0}, "window"),
        ({"window": 32}, "window"),
        ({"clip_frames": 33}, "clip_frames"),
        ({"steps": 51}, "steps"),
        ({"vae": {"latent_channels": 9}}, "latent_channels"),
        ({"control_widths": (4, 4)}, "control_widths"),
        ({"motion": {"block_out_channels": (1,)}}, "block_out_channels"),
        ({"vae_kind": "big"}, "vae_kind"),
        ({"sizes": "big", "unheard": 1}, "unheard"),
    ],
)
def test_contradictions_are_named(change: dict[str, object], message: str) -> None:
    values = {**json.loads(PRESETS["toy"].to_json()), **change}
    with pytest.raises(ConfigError, match=message):
        DiffusionConfig.from_json(json.dumps(values))


@settings(max_examples=50)
@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c))
)
def test_any_json_is_read_or_refused(value: object) -> None:
    with pytest.raises(ConfigError):
        DiffusionConfig.from_json(json.dumps(value))


@given(
    st.sampled_from(sorted(json.loads(PRESETS["toy"].to_json()))),
    st.none()
    | st.integers()
    | st.text()
    | st.lists(st.integers())
    | st.dictionaries(st.text(), st.integers()),
)
def test_any_value_of_a_key_is_read_or_refused(key: str, value: object) -> None:
    text = json.dumps({**json.loads(PRESETS["toy"].to_json()), key: value})
    try:
        DiffusionConfig.from_json(text)
    except ConfigError:
        return


@given(st.text())
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        DiffusionConfig.from_json(text)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_target_recovers_latent_and_noise(prediction: str) -> None:
    schedule = Schedule(PRESETS["toy"].with_(prediction=prediction))
    clean, noise = torch.randn(2, 2, 3, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    t = torch.tensor([[1, 400, 900], [250, 600, 30]])
    x, output = schedule.add_noise(clean, noise, t), schedule.target(clean, noise, t)
    torch.testing.assert_close(schedule.predict_x0(output, x, t), clean, rtol=0, atol=1e-4)
    torch.testing.assert_close(schedule.predict_noise(output, x, t), noise, rtol=0, atol=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("sampler", ["lcm", "ddim"])
def test_a_perfect_network_is_led_to_the_latent(prediction: str, sampler: str) -> None:
    """With outputs that know the latent, every plan ends at it."""
    schedule = Schedule(PRESETS["toy"].with_(prediction=prediction, sampler=sampler))
    clean, noise = torch.randn(2, 1, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    for steps, strength in ((1, 1.0), (2, 1.0), (4, 0.5)):
        plan = schedule.plan(steps, strength)
        x = schedule.add_noise(clean, noise, plan.timesteps[:1])
        for t, (k0, k1, k2) in zip(plan.timesteps, plan.coefficients.tolist(), strict=True):
            own = (x - schedule.alphas[t].sqrt() * clean) / (1 - schedule.alphas[t]).sqrt()
            x = k0 * x + k1 * schedule.target(clean, own, t[None]) + k2 * noise
        torch.testing.assert_close(x, clean, rtol=0, atol=1e-3)


def test_lcm_steps_are_diffusers() -> None:
    schedule = Schedule(PRESETS["toy"])
    x, output = torch.randn(2, 1, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    plan = schedule.plan(4)
    schedule.scheduler.set_timesteps(4)
    k0, k1, _ = plan.coefficients[3].tolist()
    schedule.scheduler.set_begin_index(3)
    want = schedule.scheduler.step(output, int(plan.timesteps[3]), x).prev_sample
    torch.testing.assert_close(k0 * x + k1 * output, want, rtol=1e-4, atol=1e-4)
