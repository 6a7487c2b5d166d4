"""The layer tests: causal, streaming equals full, reset forgets, masks respected, contexts as in coding."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from inspect import signature

import numpy as np
import pytest
import torch
from torch import Tensor

from common.codec.context import group_sizes
from common.codec.entropy import element_contexts as coded_contexts
from common.models.blocks import pack_planes, unpack_planes
from common.models.entropy import BaseRateModel, RateModel, element_contexts
from common.models.graphs import GRAPHS
from common.models.resilient import (
    Decoder,
    Encoder,
    Expansion,
    Quantiser,
    Recovery,
    ResilientConfig,
    zero_state,
)

TINY = ResilientConfig(
    latent=24, base=12, context=6, width8=16, width16=24, width32=12, width_recovery=24, hidden=8, width4=8
)
H = W = 4
STEP = 0.2


@pytest.fixture
def recovery() -> Recovery:
    torch.manual_seed(0)
    network = Recovery(TINY)
    for head in (network.guess, network.hold, network.refine):  # trained heads are not zero
        torch.nn.init.normal_(head.weight, std=0.1)
    return network.eval()


@dataclass(frozen=True)
class Units:
    """What arrives of a sequence of units; every tensor (units, batch, ...). Fields as the network's inputs."""

    latent: Tensor
    step: Tensor
    mask: Tensor
    kept: Tensor
    level: Tensor
    prior: Tensor
    context: Tensor
    based: Tensor

    def at(self, unit: int) -> dict[str, Tensor]:
        return {field.name: getattr(self, field.name)[unit] for field in fields(self)}


def sequence(units: int, batch: int = 1) -> Units:
    """Elements at a third of the positions, a third kept, a third lost; every third unit without a base."""
    torch.manual_seed(1)
    fate = torch.randint(0, 3, (units, batch, 1, H, W))
    based = (torch.arange(units) % 3 != 2).float()[:, None].expand(units, batch)
    mask, kept = ((fate == value).float() * based[:, :, None, None, None] for value in (0, 1))
    has_base = based[:, :, None, None, None]
    return Units(
        latent=torch.randn(units, batch, TINY.latent, H, W) * mask,
        step=torch.full((units, batch, TINY.latent, H, W), STEP) * mask,
        mask=mask,
        kept=kept,
        level=torch.rand(units, batch, 1, H, W) * mask,
        prior=torch.randn(units, batch, TINY.latent, H, W) * has_base,
        context=torch.randn(units, batch, TINY.context, H, W) * has_base,
        based=based,
    )


def run(network: Recovery, units: Units, resets: list[float] | None = None) -> Tensor:
    """Filled latents, (units, batch, C, h, w)."""
    count, batch = units.based.shape
    last, hidden = zero_state(TINY, batch, H, W)
    out = []
    with torch.inference_mode():
        for i in range(count):
            reset = torch.full((batch,), resets[i] if resets else 0.0)
            last, hidden = network(**units.at(i), reset=reset, last=last, hidden=hidden)
            out.append(last)
    return torch.stack(out)


def later(units: Units, first: int) -> Units:
    return Units(**{field.name: getattr(units, field.name)[first:] for field in fields(units)})


def test_recovery_is_causal(recovery: Recovery) -> None:
    units = sequence(6)
    latent = units.latent.clone()
    latent[4:] += 1.0
    a, b = run(recovery, units), run(recovery, replace(units, latent=latent))
    assert torch.equal(a[:4], b[:4])
    assert not torch.equal(a[4:], b[4:])


def test_streaming_equals_full(recovery: Recovery) -> None:
    """Two sequences in one batch and unit by unit give what each gives alone."""
    pair = sequence(5, batch=2)
    together = run(recovery, pair)
    for i in range(2):
        alone = Units(**{field.name: getattr(pair, field.name)[:, i : i + 1] for field in fields(pair)})
        torch.testing.assert_close(together[:, i : i + 1], run(recovery, alone), atol=1e-5, rtol=1e-5)


def test_reset_forgets(recovery: Recovery) -> None:
    units = sequence(6)
    restarted = run(recovery, units, [0, 0, 0, 1, 0, 0])
    fresh, carried = run(recovery, later(units, 3)), run(recovery, units)
    assert torch.equal(restarted[3:], fresh)
    assert not torch.equal(restarted[3:], carried[3:])


def test_what_arrived_stays_within_a_step(recovery: Recovery) -> None:
    """Half a step to the end of the interval that the state may pull to, and half a step of sharpening."""
    units = sequence(4)
    assert ((run(recovery, units) - units.latent) * units.mask).abs().max() <= STEP + 1e-6


def test_the_state_pulls_only_inside_the_interval(recovery: Recovery) -> None:
    """Without sharpening, what is filled lies between the element's middle and the end of its interval."""
    torch.nn.init.zeros_(recovery.refine.weight)
    bias = recovery.refine.bias
    assert bias is not None
    torch.nn.init.constant_(bias[TINY.latent :], 20.0)  # the state is trusted wholly
    units = sequence(1)
    last, hidden = torch.randn(1, TINY.latent, H, W), torch.randn(1, TINY.hidden, H, W)
    with torch.inference_mode():
        filled, _ = recovery(**units.at(0), reset=torch.zeros(1), last=last, hidden=hidden)
    expected = last.clamp(units.latent[0] - STEP / 2, units.latent[0] + STEP / 2)
    torch.testing.assert_close(filled * units.mask[0], expected * units.mask[0])


def test_an_untrained_guess_leans_to_the_state_and_a_little_to_the_base() -> None:
    torch.manual_seed(0)
    network, units = Recovery(TINY).eval(), sequence(3)
    last, hidden = torch.randn(1, TINY.latent, H, W), torch.zeros(1, TINY.hidden, H, W)
    with torch.inference_mode():
        based, _ = network(**units.at(0), reset=torch.zeros(1), last=last, hidden=hidden)
        silent, _ = network(**units.at(2), reset=torch.zeros(1), last=last, hidden=hidden)
    torch.testing.assert_close(silent, last)  # nothing arrived, nothing changes
    lost = 1 - units.mask[0] - units.kept[0]
    lean = torch.sigmoid(torch.tensor(-1.0))
    expected = last + lean * (units.prior[0] - last)
    torch.testing.assert_close(based * lost, expected * lost)
    kept = units.kept[0].expand_as(last) > 0
    assert ((based - last).abs()[kept] < (expected - last).abs()[kept]).all()  # what is kept moves less


def test_encoder_expansion_and_decoder_shapes() -> None:
    luma, chroma, quality = torch.zeros(2, 4, 64, 96), torch.zeros(2, 4, 2, 32, 48), torch.tensor([0.0, 1.0])
    with torch.inference_mode():
        latent, base = Encoder(TINY)(luma, chroma, quality)
        prior, context = Expansion(TINY)(base)
        out_luma, out_chroma = Decoder(TINY)(
            latent, torch.zeros(2, TINY.hidden, 4, 6), torch.ones(2, 1, 4, 6), quality
        )
    assert latent.shape == prior.shape == (2, TINY.latent, 4, 6)
    assert base.shape == (2, TINY.base, 2, 3)
    assert context.shape == (2, TINY.context, 4, 6)
    assert out_luma.shape == luma.shape
    assert out_chroma.shape == chroma.shape


def test_graphs_name_the_networks_inputs_in_order() -> None:
    for spec in GRAPHS.values():
        names = tuple(signature(spec.build(TINY).forward).parameters)
        assert len(names) == len(spec.inputs)
        if spec.build is Recovery:
            assert names == spec.inputs


def test_packing_is_undone_by_unpacking() -> None:
    luma, chroma = torch.randn(1, 3, 32, 48), torch.randn(1, 3, 2, 16, 24)
    back_luma, back_chroma = unpack_planes(pack_planes(luma, chroma), 3, 8)
    assert torch.equal(back_luma, luma)
    assert torch.equal(back_chroma, chroma)


def test_steps_shrink_with_quality() -> None:
    steps = Quantiser(TINY.latent)(torch.linspace(0, 1, 8))
    assert (steps[1:] < steps[:-1]).all()
    each = Quantiser(TINY.latent)(torch.rand(2, 3, 5))
    assert each.shape == (2, 3, 5, TINY.latent)  # a quality for each position


def test_training_and_coding_share_their_contexts() -> None:
    rng = np.random.default_rng(2)
    elements = np.rint(rng.laplace(0, 2, (TINY.latent, H * W))).astype(np.int32)
    trained = element_contexts(torch.from_numpy(elements.reshape(1, TINY.latent, H, W)).float())
    assert np.array_equal(trained.reshape(TINY.latent, -1).numpy(), coded_contexts(elements))
    assert sum(group_sizes(TINY.latent)) == TINY.latent


def test_rate_models_are_distributions() -> None:
    """The probabilities of all values of an element sum to one; the rarer a value, the more bits."""
    values = torch.arange(-40.0, 41.0)[:, None, None, None]
    quality = torch.tensor([0.7]).expand(81)
    base = BaseRateModel(12)(values.expand(81, 12, 1, 1), quality)
    latent = RateModel(24)(
        values.expand(81, 24, 1, 1), torch.zeros(81, 24, 1, 1), quality[:, None, None, None]
    )
    for bits in (base, latent):
        torch.testing.assert_close((2.0**-bits).sum(0), torch.ones_like(bits[0]), atol=1e-3, rtol=0)
        assert (bits[40] < bits[41]).all()
