"""The layer tests: causal, streaming equals full, reset forgets, masks respected, contexts as in coding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from common.codec.context import group_sizes
from common.codec.entropy import element_contexts as coded_contexts
from common.models.blocks import pack_planes, unpack_planes
from common.models.entropy import element_contexts
from common.models.resilient import Decoder, Encoder, Quantiser, Recovery, RecoveryState, ResilientConfig

TINY = ResilientConfig(latent=24, width8=16, width16=24, width_recovery=24, hidden=8, width4=8)
H = W = 4


@pytest.fixture
def recovery() -> Recovery:
    torch.manual_seed(0)
    network = Recovery(TINY)
    for head in (network.guess, network.refine):  # trained heads are not zero
        torch.nn.init.normal_(head.weight, std=0.1)
    return network.eval()


def sequence(units: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    masks = (torch.rand(units, 1, 1, H, W) < 0.6).float()
    return torch.randn(units, 1, TINY.latent, H, W) * masks, masks


def run(network: Recovery, latents: torch.Tensor, masks: torch.Tensor, resets: list[float]) -> torch.Tensor:
    last, hidden = RecoveryState.init(TINY, 1, H, W)
    step, quality, out = torch.full((1, TINY.latent), 0.2), torch.tensor([0.5]), []
    with torch.inference_mode():
        for latent, mask, reset in zip(latents, masks, resets, strict=True):
            last, hidden = network(latent, mask, step, quality, torch.tensor([reset]), last, hidden)
            out.append(last)
    return torch.stack(out)


def test_recovery_is_causal(recovery: Recovery) -> None:
    latents, masks = sequence(6)
    changed = latents.clone()
    changed[4:] += 1.0
    a, b = run(recovery, latents, masks, [0.0] * 6), run(recovery, changed, masks, [0.0] * 6)
    assert torch.equal(a[:4], b[:4])
    assert not torch.equal(a[4:], b[4:])


def test_streaming_equals_full(recovery: Recovery) -> None:
    """Two sequences in one batch and unit by unit give what each gives alone."""
    latents, masks = sequence(5)
    alone = run(recovery, latents, masks, [0.0] * 5)
    last, hidden = RecoveryState.init(TINY, 2, H, W)
    with torch.inference_mode():
        for i in range(5):
            pair, pair_mask = (
                torch.cat((latents[i], latents[i].flip(2))),
                torch.cat((masks[i], masks[i].flip(2))),
            )
            steps, ones = torch.full((2, TINY.latent), 0.2), torch.ones(2)
            last, hidden = recovery(pair, pair_mask, steps, 0.5 * ones, 0 * ones, last, hidden)
            torch.testing.assert_close(last[:1], alone[i], atol=1e-5, rtol=1e-5)


def test_reset_forgets(recovery: Recovery) -> None:
    latents, masks = sequence(6)
    restarted = run(recovery, latents, masks, [0, 0, 0, 1, 0, 0])
    fresh = run(recovery, latents[3:], masks[3:], [0.0] * 3)
    carried = run(recovery, latents, masks, [0.0] * 6)
    assert torch.equal(restarted[3:], fresh)
    assert not torch.equal(restarted[3:], carried[3:])


def test_received_elements_move_at_most_half_a_step(recovery: Recovery) -> None:
    latents, masks = sequence(4)
    filled = run(recovery, latents, masks, [0.0] * 4)
    assert ((filled - latents) * masks).abs().max() <= 0.5 * 0.2 + 1e-6


def test_encoder_and_decoder_shapes() -> None:
    luma, chroma, quality = torch.zeros(2, 4, 48, 64), torch.zeros(2, 4, 2, 24, 32), torch.tensor([0.0, 1.0])
    with torch.inference_mode():
        latent = Encoder(TINY)(luma, chroma, quality)
        out_luma, out_chroma = Decoder(TINY)(latent, torch.ones(2, 1, 3, 4), quality)
    assert latent.shape == (2, TINY.latent, 3, 4)
    assert out_luma.shape == luma.shape
    assert out_chroma.shape == chroma.shape


def test_packing_is_undone_by_unpacking() -> None:
    luma, chroma = torch.randn(1, 3, 32, 48), torch.randn(1, 3, 2, 16, 24)
    back_luma, back_chroma = unpack_planes(pack_planes(luma, chroma), 3, 8)
    assert torch.equal(back_luma, luma)
    assert torch.equal(back_chroma, chroma)


def test_steps_shrink_with_quality() -> None:
    steps = Quantiser(TINY.latent)(torch.linspace(0, 1, 8))
    assert (steps[1:] < steps[:-1]).all()


def test_training_and_coding_share_their_contexts() -> None:
    rng = np.random.default_rng(2)
    elements = np.rint(rng.laplace(0, 2, (TINY.latent, H * W))).astype(np.int32)
    trained = element_contexts(torch.from_numpy(elements.reshape(1, TINY.latent, H, W)).float())
    assert np.array_equal(trained.reshape(TINY.latent, -1).numpy(), coded_contexts(elements))
    assert sum(group_sizes(TINY.latent)) == TINY.latent
