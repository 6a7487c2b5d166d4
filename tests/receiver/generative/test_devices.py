"""The diffusion decoder on the CPU and on a GPU, by the same code: it opens, shows, and keeps to its memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from common.metrics_process import gpu_memory
from common.models.diffusion import vocabulary
from common.models.diffusion.loading import save
from receiver.contours.store import MapStore
from receiver.generative.decoder import GenerativeDecoder, State
from receiver.generative.figures import generative_status
from receiver.generative.network import Network, Options
from tests.common.models.diffusion.toy import toy_model
from tests.devices import DEVICES
from tests.receiver.generative.test_network import SIZE, TRUST, a_map
from tests.receiver.link import scene

BOUND_MB = 2048
RUNTIMES = {"cpu": "torch", "cuda": "cudagraphs"}
MORE = {"cpu": 0, "cuda": 4}  # of 255: a GPU computes in half precision


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save(toy_model(control_channels=vocabulary.CLASSES, strength=0.3), tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def own_memory() -> Iterator[None]:
    """What other tests hold of the GPU must not count, and the bound of this one not outlive it."""
    threads = torch.get_num_threads()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    yield
    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(1.0)


def network(weights: Path, device: str) -> Network:
    settings = Options(weights, device, side=64, gpu_memory_mb=BOUND_MB, runtime=RUNTIMES[device])
    return Network(settings)


def at_most(device: str) -> int:
    """Bytes that have been taken at the worst moment."""
    return torch.cuda.max_memory_reserved() if device == "cuda" else 0


@pytest.mark.parametrize("device", DEVICES)
def test_the_first_picture_and_those_after_are_those_of_the_reference(device: str, weights: Path) -> None:
    played, reference = network(weights, device), network(weights, "cpu")
    assert played.device == device
    for number, steps in enumerate((4, 4, 2, 1, 0, 4)):
        texture = scene(number, *SIZE)
        made, want = (
            one.generate(texture, TRUST, a_map(1), number == 0, steps) for one in (played, reference)
        )
        assert made.shape == texture.shape and made.dtype == np.uint8 and made.std() > 1
        assert np.abs(made.astype(int) - want.astype(int)).max() <= MORE[device]
    assert played.runtime == RUNTIMES[device]
    weigh = sum(tensor.nbytes for tensor in played.model.state_dict().values())
    assert weigh < played.memory <= BOUND_MB << 20 and at_most(device) <= BOUND_MB << 20
    played.close()


@pytest.mark.parametrize("device", DEVICES)
def test_what_it_takes_is_told(device: str, weights: Path) -> None:
    played = network(weights, device)
    decoder = GenerativeDecoder(lambda: played, MapStore(), live=False)
    decoder.network, decoder.state = played, State.READY
    played.warm(4)
    told = generative_status(decoder, "structure")
    assert told["generative_memory_mb"] == round(played.memory / 2**20)
    assert (told["generative_device"], told["generative_runtime"]) == (device, RUNTIMES[device])
    if device == "cuda":  # torch's part of it
        assert 0 < gpu_memory()["reserved"] <= played.memory
    played.close()


@pytest.mark.parametrize("device", DEVICES[1:])
def test_more_than_its_bound_it_does_not_get(device: str, weights: Path) -> None:
    played = network(weights, device)
    played.warm(4)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        torch.empty(BOUND_MB << 20, dtype=torch.uint8, device=device)
    assert played.generate(scene(1, *SIZE), TRUST, a_map(1), True, 4).std() > 1
    played.close()
