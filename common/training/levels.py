"""Which positions a training sequence sends, and how finely: random policies like those of the encoder's rate map."""

from __future__ import annotations

import torch
from torch import Tensor

PLAIN_SHARE = 0.3  # sequences that send every position of every unit equally finely


@torch.no_grad()
def random_levels(latent: Tensor, steps: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
    """Rate maps of B sequences of U units.

    latent (B, U, C, h, w), steps (B, C) and quality (B,) of the sequence -> sent (B, U, 1, h, w), 1 where elements are
    sent, and their quality (B, U, 1, h, w). What is left out has hardly changed since it was last sent; now and then a
    position has its turn and is sent more finely than the rest."""
    b, u, _, h, w = latent.shape
    turn = torch.pow(
        2.0, -torch.randint(1, 5, (b, 1, 1, 1)).float()
    )  # share of the positions whose turn it is
    finer = torch.empty(b, 1, 1, 1).uniform_(0.1, 0.7)
    threshold = torch.exp(torch.empty(b, 1, 1, 1).uniform_(-4.6, -1.2))  # squared change, in steps
    leave_out = torch.empty(b, 1, 1, 1).uniform_(0.6, 1.0)
    plain = torch.rand(b, 1, 1, 1) < PLAIN_SHARE
    nominal = quality[:, None, None, None].expand(b, 1, h, w)
    reference = latent[:, 0]
    sent, fineness = [], []
    for i in range(u):
        change = ((latent[:, i] - reference) / steps[:, :, None, None]).square().mean(1, keepdim=True)
        unchanged = (change < threshold) & (torch.rand(b, 1, h, w) < leave_out) & (i > 0)
        fine = (torch.rand(b, 1, h, w) < turn) & ~plain
        send = ~unchanged | fine | plain
        reference = torch.where(send, latent[:, i], reference)
        sent.append(send.float())
        fineness.append(torch.where(fine, (nominal + finer).clamp(max=1.0), nominal))
    return torch.stack(sent, 1), torch.stack(fineness, 1)
