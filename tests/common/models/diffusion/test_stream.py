"""Streaming: equal to the windowed batch, and one stream's events do not touch the others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from common.models.diffusion.clip import sample_clip
from common.models.diffusion.config import ConfigError
from common.models.diffusion.graphs import Use
from common.models.diffusion.stream import Streamer, StreamInputs
from tests.common.models.diffusion.toy import SIZE, clip, run, toy_model
from tests.devices import DEVICES

MODEL = toy_model(refiner=())


def streamer(steps: int = 2, strength: float = 1.0, **settings: object) -> Streamer:
    model = toy_model(**{"refiner": (), **settings}) if settings else MODEL
    return Streamer(model, SIZE, SIZE, steps, strength)


@pytest.mark.parametrize(
    ("steps", "strength", "sampler", "prediction", "degraded"),
    [
        (1, 1.0, "lcm", "epsilon", "zero"),
        (2, 0.5, "lcm", "v_prediction", "zero"),
        (4, 1.0, "lcm", "v_prediction", "zero"),
        (4, 0.6, "ddim", "sample", "same"),
    ],
)
def test_stream_equals_windowed_batch(
    steps: int, strength: float, sampler: str, prediction: str, degraded: str
) -> None:
    model = toy_model(refiner=(), sampler=sampler, prediction=prediction, degraded_timestep=degraded)
    stream = Streamer(model, SIZE, SIZE, steps, strength)
    textures, maps = clip(8, batch=2)
    state = stream.init_state(2)
    got = torch.stack(run(stream, state, textures, maps), 1)
    with torch.no_grad():
        latents = model.encode(textures.flatten(0, 1)).reshape(2, 8, 4, 4, 4)
        want = sample_clip(
            model, model.schedule.plan(steps, strength), state.noise, 8, control=maps, degraded=latents
        )
        pictures = model.decode(want.flatten(0, 1)).clamp(-1, 1).reshape(got.shape)
    assert pictures.std() > 0.05
    torch.testing.assert_close(state.latent, want[:, -1], rtol=1e-4, atol=1e-4 * float(want.abs().max()))
    torch.testing.assert_close(got, pictures, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_cached_equals_recomputed(device: str) -> None:
    """Each frame again from the whole past, with nothing cached."""
    textures, maps = (tensor.to(device) for tensor in clip(6))
    model = toy_model(refiner=()).to(device)
    near = {"cpu": 1e-5, "cuda": 1e-3}[device]
    stream = Streamer(model, SIZE, SIZE, 2, 1.0)
    state = stream.init_state(1)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False), torch.no_grad():
        for k, picture in enumerate(run(stream, state, textures, maps)):
            fresh = stream.init_state(1)
            again = run(stream, fresh, textures[:, : k + 1], maps[:, : k + 1])[-1]
            torch.testing.assert_close(again, picture, rtol=0, atol=near)
            latents = model.encode(textures[0, : k + 1])[None]
            whole = sample_clip(
                model, model.schedule.plan(2), state.noise, k + 1, control=maps[:, : k + 1], degraded=latents
            )
            torch.testing.assert_close(model.decode(whole[:, -1]).clamp(-1, 1), picture, rtol=0, atol=near)


def test_past_matters_as_far_as_the_window_reaches() -> None:
    textures, maps = clip(3)
    stream = streamer()
    alone = run(stream, stream.init_state(1), textures[:, 2:], maps[:, 2:])[0]
    after = run(stream, stream.init_state(1), textures, maps)[2]
    assert (alone - after).abs().max() > 1e-3
    off = StreamInputs(textures[:, 2], maps[:, 2], lambda_t=0.0)
    state = stream.init_state(1)
    run(stream, state, textures[:, :2], maps[:, :2], lambda_t=0.0)
    without, _ = stream.step(off, state)
    unaware, _ = stream.step(off, stream.init_state(1))
    torch.testing.assert_close(without, unaware)


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts operations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.operations += 1
        return func(*args, **(kwargs or {}))


def test_reset_of_one_stream_leaves_the_others() -> None:
    textures, maps = clip(6, batch=3)
    stream = streamer()
    plain = run(stream, stream.init_state(3), textures, maps)
    state = stream.init_state(3)
    run(stream, state, textures[:, :4], maps[:, :4])
    reset = torch.tensor([False, True, False])
    for ring in state.caches[0]:
        ring[1] = float("nan")  # a broken past must not survive the reset
    state.latent[1] = float("nan")
    after, _ = stream.step(StreamInputs(textures[:, 4], maps[:, 4], reset=reset), state)
    torch.testing.assert_close(after[[0, 2]], plain[4][[0, 2]], rtol=0, atol=1e-6)
    assert (after[1] - plain[4][1]).abs().max() > 1e-3
    born = stream.init_state(1, seeds=[1])
    first, _ = stream.step(StreamInputs(textures[1:2, 4], maps[1:2, 4]), born)
    torch.testing.assert_close(after[1:2], first, rtol=0, atol=1e-5)
    following, _ = stream.step(StreamInputs(textures[:, 5], maps[:, 5]), state)
    second, _ = stream.step(StreamInputs(textures[1:2, 5], maps[1:2, 5]), born)
    torch.testing.assert_close(following[1:2], second, rtol=0, atol=1e-5)


def test_a_stream_depends_on_its_seed_and_not_on_its_place() -> None:
    textures, maps = clip(5, batch=3)
    stream = streamer()
    order = [2, 0, 1]
    seeds = [11, 12, 13]
    straight = run(stream, stream.init_state(3, seeds), textures, maps)
    turned = run(stream, stream.init_state(3, [seeds[i] for i in order]), textures[order], maps[order])
    again = run(stream, stream.init_state(3, seeds), textures, maps)
    other = run(stream, stream.init_state(3, [14, 15, 16]), textures, maps)
    for a, b, c, d in zip(straight, turned, again, other, strict=True):
        assert torch.equal(a, c)
        torch.testing.assert_close(a[order], b, rtol=0, atol=1e-5)
        assert (a - d).abs().max() > 1e-3


def test_a_still_scene_does_not_flicker() -> None:
    textures, maps = clip(1)
    still = textures.expand(-1, 6, -1, -1, -1), maps.expand(-1, 6, -1, -1, -1)
    stream = streamer()
    pictures = run(stream, stream.init_state(1), *still, lambda_t=0.0)
    assert all(torch.equal(picture, pictures[0]) for picture in pictures)


@pytest.mark.parametrize(("part", "weight"), [("control", "lambda_c"), ("restoration", "lambda_r")])
def test_weight_zero_is_leaving_the_adapter_out(part: str, weight: str) -> None:
    """Live, from one frame to the next, and for one stream of a batch alone."""
    textures, maps = clip(4, batch=2)
    stream = streamer(refiner=(8, 16))
    on, zero, out = stream.init_state(2), stream.init_state(2), stream.init_state(2)
    lambdas = {weight: torch.tensor([0.0, 0.4])}
    for k in range(4):
        inputs = StreamInputs(textures[:, k], maps[:, k])
        with_it, _ = stream.step(inputs, on)
        quiet, _ = stream.step(StreamInputs(textures[:, k], maps[:, k], **lambdas), zero)
        without, _ = stream.step(inputs, out, use=Use(**{part: False}))
        torch.testing.assert_close(quiet[0], without[0], rtol=0, atol=1e-6)
        assert (quiet[1] - without[1]).abs().max() > 1e-3
        assert (with_it[0] - quiet[0]).abs().max() > 1e-3


def test_an_adapter_left_out_costs_nothing() -> None:
    textures, maps = clip(1)
    stream = streamer()
    costs = {}
    for use in (Use(), Use(control=False), Use(restoration=False), Use(temporal=False)):
        with Counter() as counter:
            stream.step(StreamInputs(textures[:, 0], maps[:, 0]), stream.init_state(1), use=use)
        costs[use] = counter.operations
    assert all(costs[use] < 0.9 * costs[Use()] for use in costs if use != Use()), costs
    with Counter() as counter:
        stream.step(StreamInputs(), stream.init_state(1))
    assert counter.operations < min(costs[Use(control=False)], costs[Use(restoration=False)])


def test_steps_switch_from_frame_to_frame() -> None:
    """Frames of 2 and 1 steps between those of 4: rings of steps left out have holes, nothing else changes."""
    textures, maps = clip(6)
    stream = streamer(steps=4)
    assert list(stream.plans) == [1, 2, 4]
    assert stream.plans[2][0].tolist() == stream.plans[4][0][::2].tolist()  # the same timesteps share rings
    state = stream.init_state(1)
    for k, steps in enumerate((4, 2, 1, 4)):
        stream.step(StreamInputs(textures[:, k], maps[:, k]), state, steps=steps)
    assert state.slot.tolist() == [1]
    assert state.valid[:, 0].tolist() == [
        [True] * 3,
        [True, False, False],
        [True, True, False],
        [True, False, False],
    ]
    with pytest.raises(ConfigError, match="1, 2, 4"):
        stream.step(StreamInputs(textures[:, 0], maps[:, 0]), state, steps=3)


def test_where_the_map_is_missing_it_has_no_influence() -> None:
    textures, maps = clip(1)
    other = maps.roll(1, 2)
    stream = streamer()
    trust = torch.zeros(1, 1, 2, 2)

    def shown(control: Tensor, trust: Tensor) -> Tensor:
        inputs = StreamInputs(textures[:, 0], control[:, 0], control_trust=trust, lambda_c=30.0)
        return stream.step(inputs, stream.init_state(1))[0]

    torch.testing.assert_close(shown(maps, trust), shown(other, trust), rtol=0, atol=1e-6)
    none, _ = stream.step(StreamInputs(textures[:, 0]), stream.init_state(1))
    torch.testing.assert_close(shown(maps, trust), none, rtol=0, atol=1e-6)
    assert (shown(maps, trust + 1) - shown(other, trust + 1)).abs().max() > 1e-4
    half = trust.clone()
    half[..., 0] = 1
    assert (shown(maps, half) - none).abs().max() > 1e-4


def test_where_the_texture_is_missing_the_past_takes_its_place() -> None:
    textures, maps = clip(2)
    stream = streamer(strength=0.3, steps=1)
    nothing = torch.zeros(1, 1, 4, 4)

    def second(texture: Tensor | None, trust: Tensor | None, seen: int) -> Tensor:
        state = stream.init_state(1)
        stream.step(StreamInputs(textures[:, seen], maps[:, 0]), state, use=Use(temporal=False))
        inputs = StreamInputs(texture, maps[:, 1], texture_trust=trust)
        return stream.step(inputs, state, use=Use(temporal=False))[0]

    lost = second(textures[:, 1], nothing, 0)
    torch.testing.assert_close(
        lost, second(textures[:, 1] * 0.1, nothing, 0)
    )  # what is not trusted is not seen
    torch.testing.assert_close(lost, second(None, None, 0), rtol=0, atol=1e-6)
    assert (lost - second(textures[:, 1], nothing, 1)).abs().max() > 1e-3  # it shows what was there before


def test_wrong_sizes_and_seeds_are_refused() -> None:
    with pytest.raises(ConfigError, match="multiples of 16"):
        Streamer(MODEL, 40, 32)
    with pytest.raises(ConfigError, match="strength"):
        Streamer(MODEL, 32, 32, steps=4, strength=0.05)
    for strength in (0.0, -0.1, 1.01, float("nan")):
        with pytest.raises(ValueError, match=r"strength .* must lie in \(0, 1\]"):
            Streamer(MODEL, 32, 32, steps=1, strength=strength)
    with pytest.raises(ValueError, match="1 seeds for 2"):
        streamer().init_state(2, seeds=[1])


def test_the_weights_say_how_a_stream_starts() -> None:
    stream = Streamer(toy_model(strength=0.5), SIZE, SIZE, steps=1)
    assert torch.equal(stream.plans[1][2], stream.model.schedule.plan(1, 0.5).start)
