"""The adapters by themselves: diffusers' own results where they are neutral or joint, the masks, what is trained."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNetMotionModel
from torch import Tensor

from common.models.diffusion.config import PRESETS, ConfigError
from common.models.diffusion.model import DiffusionModel, build
from common.models.diffusion.restoration import attention, self_attentions
from common.models.diffusion.temporal import TemporalAdapter, block_mask, window_mask
from tests.common.models.diffusion.toy import awake, clip, toy_model


def latents(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(*shape, 4, 4, 4, generator=torch.Generator().manual_seed(seed))


def test_backbone_alone_is_diffusers() -> None:
    model = toy_model()
    x, t = latents(2), torch.tensor([10, 700])
    with torch.no_grad():
        want = model.unet(x, t, model.context.expand(2, -1, -1)).sample
        torch.testing.assert_close(model(x, t), want, rtol=0, atol=1e-6)


def test_control_is_diffusers_controlnet() -> None:
    model = toy_model()
    x, t, context = latents(2), torch.tensor([10, 700]), model.context.expand(2, -1, -1)
    maps = clip(1, batch=2)[1][:, 0]
    with torch.no_grad():
        down, middle = model.control(x, t, context, maps, conditioning_scale=0.4, return_dict=False)
        want = model.unet(
            x, t, context, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample
        torch.testing.assert_close(model(x, t, control=maps), want, rtol=0, atol=1e-5)
        assert (want - model(x, t)).abs().max() > 1e-3


@pytest.mark.parametrize("middle", [False, True])
def test_full_attention_is_animatediff(middle: bool) -> None:
    preset = PRESETS["toy"]
    model = awake(build(preset.with_(motion={**preset.motion, "use_motion_mid_block": middle})))
    x, t = latents(2, 5), torch.tensor([10, 700])
    with torch.no_grad():
        theirs = UNetMotionModel.from_unet2d(model.unet, model.temporal.motion)
        context = model.context.expand(2 * 5, -1, -1)
        want = theirs(x.transpose(1, 2), t, context).sample.transpose(1, 2)
        torch.testing.assert_close(model(x, t, temporal="full"), want, rtol=0, atol=1e-5)
        assert (want - model(x, t)).abs().max() > 1e-3


def test_restoration_is_equation_7() -> None:
    """One layer by hand: queries of the degraded features, keys and values of the current ones."""
    model = toy_model()
    layer, adapter = next(iter(self_attentions(model.unet))), model.restoration.typed[0]
    z, degraded = (torch.randn(2, 16, 8, generator=torch.Generator().manual_seed(k)) for k in (1, 2))
    with torch.no_grad():
        query = layer.to_q(degraded)
        weights = (query @ adapter.to_k(z).transpose(1, 2) / 8**0.5).softmax(-1)  # one head of 8
        want = (weights @ adapter.to_v(z)) @ adapter.to_out.weight.T + adapter.to_out.bias
        torch.testing.assert_close(adapter(query, z), want, rtol=0, atol=1e-5)
        plain = layer.to_out[0](attention(layer.to_q(z), layer.to_k(z), layer.to_v(z), layer.heads))
        torch.testing.assert_close(layer(z), plain)
        side = layer(z, side=lambda index, attn, own, q: 0.8 * adapter(query, own))
        torch.testing.assert_close(side, plain + 0.8 * want, rtol=0, atol=1e-5)


def test_mask_of_equation_9() -> None:
    for frames, window in ((16, 3), (7, 2), (4, 4), (5, 1)):
        mask = block_mask(frames, window)
        for i in range(1, frames + 1):
            for j in range(1, frames + 1):
                assert bool(mask[i - 1, j - 1]) == ((j - 1) // window <= (i - 1) // window)


def test_block_attention_obeys_the_mask() -> None:
    """Frame j changes frame i exactly where M_ij is 1."""
    model = toy_model()
    x, t = latents(1, 7), torch.tensor([500])
    reach = reach_of(model, x, t, "block")
    assert torch.equal(reach, block_mask(7, 3))


def test_window_attention_reaches_back_layer_by_layer_and_never_ahead() -> None:
    """One attention sees W frames back; several in a row carry what those saw."""
    x, t = latents(1, 7), torch.tensor([500])
    assert torch.equal(reach_of(toy_model(), x, t, "window"), torch.ones(7, 7).tril().bool())
    one = one_attention(toy_model())
    assert torch.equal(reach_of(one, x, t, "window"), window_mask(7, 3))


def one_attention(model: DiffusionModel) -> DiffusionModel:
    """Silence all temporal attentions but one."""
    kept = False
    with torch.no_grad():
        for module in model.temporal.modules_in_order():
            for layer in module.transformer_blocks:
                layer.attn2.to_out[0].weight.zero_()
                if kept:
                    layer.attn1.to_out[0].weight.zero_()
                kept = True
    return model


def reach_of(model: DiffusionModel, x: Tensor, t: Tensor, mode: str) -> Tensor:
    """(F, F): whether frame i of the output changes with frame j of the input."""
    frames = x.shape[1]
    reach = torch.zeros(frames, frames, dtype=torch.bool)
    with torch.no_grad():
        plain = model(x, t, temporal=mode)
        for j in range(frames):
            changed = x.clone()
            changed[:, j] += 1
            delta = (model(changed, t, temporal=mode) - plain).abs().amax((0, 2, 3, 4))
            reach[:, j] = delta > 1e-7
    return reach


def test_adapters_are_born_neutral() -> None:
    model = build(PRESETS["toy"])
    x, t = latents(1, 4), torch.tensor([300])
    _, maps = clip(4)
    with torch.no_grad():
        plain = model(x, t)
        for mode in ("full", "block", "window"):
            whole = model(x, t, control=maps, degraded=x.flip(1), temporal=mode)
            torch.testing.assert_close(whole, plain, rtol=0, atol=1e-6)


def test_each_adapter_trains_alone() -> None:
    model = toy_model().requires_grad_(False)
    x, t, (_, maps) = latents(1, 4), torch.tensor([300]), clip(4)
    student = TemporalAdapter(model.config.motion)
    for part in (model.control, model.restoration, student):
        part.requires_grad_(True)
        out = model(x, t, control=maps, degraded=x, temporal="window", adapter=student)
        out.square().mean().backward()
        assert any(p.grad is not None and p.grad.any() for p in part.parameters())
        assert all(p.grad is None for p in model.unet.parameters())
        assert all(p.grad is None for p in model.temporal.parameters())
        part.requires_grad_(False)


def test_cloned_control_is_the_encoder() -> None:
    model = build(PRESETS["toy"])
    with torch.no_grad():
        for parameter in model.unet.parameters():
            parameter.add_(0.01)
    model.clone_control()
    assert torch.equal(model.control.conv_in.weight, model.unet.conv_in.weight)
    assert not model.control.controlnet_mid_block.weight.any()


def test_same_timestep_needs_noise() -> None:
    model = toy_model(degraded_timestep="same")
    with pytest.raises(ValueError, match="degraded_noise"):
        model(latents(1), torch.tensor([5]), degraded=latents(1))


def test_adapters_of_another_family_are_refused() -> None:
    toy = build(PRESETS["toy"])
    motion = {**PRESETS["toy"].motion, "motion_layers_per_block": 2}
    with pytest.raises(ConfigError, match="another family"):
        DiffusionModel(
            toy.config,
            toy.vae,
            toy.unet,
            toy.control,
            toy.restoration,
            TemporalAdapter(motion),
            toy.context.data,
        )
    with pytest.raises(ConfigError, match="SD 1"):
        build(toy.config.with_(unet={**toy.config.unet, "down_block_types": ("AttnDownBlock2D",) * 2}))
    with pytest.raises(ConfigError, match="context"):
        DiffusionModel(
            toy.config, toy.vae, toy.unet, toy.control, toy.restoration, toy.temporal, torch.zeros(1, 1, 9)
        )
