"""Stage `autoencoder`: pictures to latents at an eighth of their size, and back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from diffusers import AutoencoderTiny
from diffusers.models.autoencoders.vae import AutoencoderTinyBlock
from torch import Tensor, nn

from common.training.diffusion.config import AutoencoderConfig, DataConfig
from common.training.diffusion.corpus import Source
from common.training.diffusion.losses import dissimilarity, gradient_loss, psnr
from common.training.diffusion.runner import Turn
from common.training.diffusion.samples import Sampler, varied

BRANCH = 0.2  # what a residual branch weighs at the start


def create(config: AutoencoderConfig, scale: float = 1.0) -> AutoencoderTiny:
    """A network of chance weights, drawn so that training starts quickly (it has no normalisation); latents are the
    encoder's output times `scale`."""
    network = AutoencoderTiny(
        encoder_block_out_channels=(config.width,) * len(config.encoder_blocks),
        decoder_block_out_channels=(config.width,) * len(config.decoder_blocks),
        num_encoder_blocks=config.encoder_blocks,
        num_decoder_blocks=config.decoder_blocks,
        latent_channels=config.latent_channels,
        scaling_factor=scale,
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, AutoencoderTinyBlock):
            module.conv[-1].weight.data.mul_(BRANCH)
    return network


def tensor(pictures: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Tensor:
    """(..., H, W, 3) bytes -> (..., 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pictures, -1, -3))).float() / 127.5 - 1.0


class AutoencoderTask:
    """Trains both halves together."""

    def __init__(
        self,
        network: AutoencoderTiny,
        config: AutoencoderConfig,
        data: DataConfig,
        sources: list[Source],
        device: str,
    ) -> None:
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.config, self.device = config, device
        self.sampler = Sampler(sources, data.shares, data.caps, data.crop)
        self.count = config.batch_cuda if device.startswith("cuda") else config.batch

    @property
    def groups(self) -> dict[str, dict[str, nn.Parameter]]:
        """All of it."""
        return {"loss": dict(self.network.named_parameters())}

    def batch(self, rng: np.random.Generator) -> Tensor:
        """(B, 3, S, S)."""
        return tensor(
            np.stack([varied(self.sampler.draw(rng), rng, self.config.zoom) for _ in range(self.count)])
        )

    def turns(self, batch: Tensor, noise: torch.Generator) -> Iterator[Turn]:
        """One: the pictures through both halves."""
        c = self.config
        true = batch.to(self.device).to(memory_format=torch.channels_last)
        with torch.autocast(true.device.type, torch.bfloat16, enabled=c.bf16):
            latents = self.network.encoder(true)
            blur = torch.randn(latents.shape, generator=noise, device=self.device)
            found = self.network.decoder(latents + c.noise * blur)
        found, latents = found.float(), latents.float()
        spread = latents.transpose(0, 1).flatten(1)
        regular = spread.mean(1).square().mean() + (spread.std(1) - 1).square().mean()
        unlike = dissimilarity(found, true)
        loss = (found - true).abs().mean() + c.gradient * gradient_loss(found, true)
        loss = loss + c.haarpsi * unlike + c.latent * regular
        with torch.no_grad():
            figures = {
                "psnr": float(psnr(found, true).mean()),
                "haarpsi": 1 - float(unlike),
                "deviation": float(spread.std()),
            }
        yield Turn("loss", loss, figures)
