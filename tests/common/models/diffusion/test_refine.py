"""The Refiner: neutral at the start, blind for what is not trusted, sharp where the map has an outline."""

from __future__ import annotations

import pytest
import torch

from common.models.diffusion.config import PRESETS, ConfigError
from common.models.diffusion.graphs import Use
from common.models.diffusion.model import DiffusionModel, build
from common.models.diffusion.refine import COARSE_QP, FINE_QP, LEAST_SHARE, Refiner, outlines
from common.models.diffusion.stream import ALL, Streamer, StreamInputs
from tests.common.models.diffusion.toy import SIZE, clip, toy_model


def refiner() -> Refiner:
    torch.manual_seed(2)
    made = Refiner((8, 16), 1, 5)
    with torch.no_grad():
        made.leave.weight.normal_(0, 0.1)
    return made.eval()


@torch.no_grad()
def test_it_begins_as_the_texture_where_that_is_trusted() -> None:
    textures, maps = clip(2)
    trust = torch.ones(1, 2, 4, 4)
    trust[..., 2:] = 0
    shown = Refiner((8, 16), 1, 5)(textures[:, 0], textures[:, 1], maps[:, 0], trust)
    assert torch.allclose(shown[..., :16], textures[:, 1, ..., :16], atol=1e-6)
    assert torch.equal(shown[..., 16:], textures[:, 0, ..., 16:])


@torch.no_grad()
def test_what_is_not_trusted_is_not_seen() -> None:
    textures, maps = clip(2)
    network = refiner()
    nothing, everything = torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4)
    one = network(textures[:, 0], textures[:, 1], maps[:, 0], nothing)
    other = network(textures[:, 0], textures[:, 1] * 0.3, maps[:, 1], nothing)
    assert torch.equal(one, other)
    assert not torch.allclose(one, network(textures[:, 0], textures[:, 1], maps[:, 0], everything))


@torch.no_grad()
def test_no_grid_is_drawn() -> None:
    textures, maps = clip(1)
    network, trust = Refiner((8, 16), 1, 5), torch.ones(1, 2, 4, 4)
    bias = network.leave.bias
    assert bias is not None
    bias.copy_(torch.linspace(-1, 1, 48))  # the same in each cell
    change = network(textures[:, 0], textures[:, 0], maps[:, 0], trust) - textures[:, 0]
    for channel, one in enumerate(change[0]):
        assert torch.allclose(one, bias[16 * channel :][:16].mean().expand_as(one), atol=1e-5)


def test_outlines_lie_between_classes() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[:, 3:, 5:] = 2
    found = outlines(torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).float())
    across, down = found[0]
    assert across.nonzero().tolist() == [[row, 5] for row in range(3, 8)]
    assert down.nonzero().tolist() == [[3, column] for column in range(5, 8)]
    assert set(found.flatten().tolist()) == {0.0, 1.0}


def test_a_stream_is_refined_and_what_an_adapter_must_not_see_is_not_seen() -> None:
    textures, maps = clip(2)
    model = toy_model(strength=0.5)
    plain = build(model.config.with_(refiner=()))
    plain.load_state_dict(model.state_dict(), strict=False)

    def shown(texture: int = 0, control: int = 0, use: Use = ALL, of: DiffusionModel = model) -> torch.Tensor:
        stream = Streamer(of, SIZE, SIZE, steps=1)
        given = StreamInputs(textures[:, texture], maps[:, control])
        return stream.step(given, stream.init_state(1), use=use)[0]

    assert not torch.allclose(shown(), shown(of=plain.eval()), atol=1e-3)
    for use, other in ((Use(restoration=False), (1, 0)), (Use(control=False), (0, 1))):
        assert not torch.allclose(shown(), shown(*other), atol=1e-3)
        assert not torch.allclose(shown(use=use), shown(), atol=1e-3)


def test_without_steps_the_refiner_shows_the_texture_alone_and_the_past_is_forgotten() -> None:
    textures, maps = clip(3)
    stream = Streamer(toy_model(strength=0.5), SIZE, SIZE, steps=2)

    def given(frame: int) -> StreamInputs:
        return StreamInputs(textures[:, frame], maps[:, frame])

    state = stream.init_state(1)
    stream.step(given(0), state)
    alone, _ = stream.step(given(1), state, steps=0)
    trust = torch.ones(1, 2, 4, 4)
    want = stream.graphs.refine(textures[:, 1], textures[:, 1], maps[:, 1], trust)
    assert torch.equal(alone, want)
    unseen = [
        stream.step(StreamInputs(textures[:, 1], maps[:, k]), state, steps=0, use=Use(control=False))[0]
        for k in (1, 2)
    ]
    assert torch.equal(*unseen) and not torch.allclose(unseen[0], alone, atol=1e-4)
    after, _ = stream.step(given(2), state)
    fresh, _ = stream.step(given(2), stream.init_state(1))
    assert torch.allclose(after, fresh, atol=1e-6)
    plain = Streamer(toy_model(refiner=()), SIZE, SIZE, steps=2)
    with pytest.raises(ConfigError, match="0 steps"):
        plain.step(given(0), plain.init_state(1), steps=0)


def test_the_finer_the_texture_the_less_of_it_is_changed() -> None:
    textures, maps = clip(2)
    stream = Streamer(toy_model(strength=0.5), SIZE, SIZE, steps=1)

    def shown(
        qp: float | torch.Tensor | None,
        steps: int = 0,
        use: Use = ALL,
        trust: torch.Tensor | None = None,
    ) -> torch.Tensor:
        texture, control = (torch.cat([one[:, 0]] * 2) for one in (textures, maps))
        inputs = StreamInputs(texture, control, trust, qp=qp)
        return stream.step(inputs, stream.init_state(2, [0, 0]), steps, use)[0]

    def change(picture: torch.Tensor) -> float:
        return float((picture - textures[0, 0]).abs().mean())

    most = change(shown(None)[0])
    assert most > 0
    assert torch.allclose(shown(COARSE_QP), shown(None), atol=1e-6)
    fine, half = shown(torch.tensor([0.0, (FINE_QP + COARSE_QP) / 2]))
    assert change(fine) == pytest.approx(LEAST_SHARE * most, rel=1e-3)
    assert change(half) == pytest.approx(most / 2, rel=1e-3)
    # What the decoder made takes the same course, and what must not be seen is not come back to.
    assert change(shown(0.0, 1)[0]) < 0.3 * change(shown(None, 1)[0])
    nothing = torch.zeros(2, 1, 4, 4)
    assert torch.allclose(shown(0.0, 1, trust=nothing), shown(None, 1, trust=nothing), atol=1e-6)
    unseen = Use(restoration=False)
    assert torch.allclose(shown(0.0, 1, unseen), shown(None, 1, unseen), atol=1e-6)


def test_one_width_is_refused() -> None:
    with pytest.raises(ConfigError, match="1 widths"):
        PRESETS["toy"].with_(refiner=(8,))
