"""Where a test of torch runs: on the CPU and, where there is one, on a CUDA device; the same code on both."""

from __future__ import annotations

import pytest
import torch

GPU = (
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
)
DEVICES = ("cpu", pytest.param("cuda", marks=GPU))
