"""Profile `generative` with toy weights: a real sender and relay, the receiver in this process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from common.models.diffusion import vocabulary
from common.models.diffusion.loading import save
from receiver.app import App
from receiver.generative.decoder import State
from tests.common.models.diffusion.toy import toy_model
from tests.e2e.daemons import daemons
from tests.e2e.test_structure import receiving
from tests.waiting import until

SENT = ("--source", "tabletop:1", "--fps", "5", "--size", "64x64", "--rate-kbps", "10")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "toy"
    save(toy_model(control_channels=vocabulary.CLASSES), folder)
    return folder


def metric(app: App, name: str, **labels: str) -> float:
    found = app.registry.get_sample_value(f"semcast_receiver_{name}", labels)
    assert found is not None
    return found


async def test_a_sender_that_asks_for_it_gets_generated_pictures_through_loss(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = torch.get_num_threads()
    with daemons(tmp_path) as bench:
        flags = (
            "--decode.weights",
            str(weights),
            "--decode.generative-threads",
            "1",
            "--decode.runtime",
            "torch",
        )
        async with receiving(bench, *flags) as (app, shown):
            _, port = bench.relay("--loss", "0.2", "--seed", "5")
            assert app.status()["generative"] == "off"  # nothing is loaded before it is asked for
            bench.sender(port, None, *SENT, "--profile", "generative")
            await until(lambda: app.generative.shown["generated"] >= 5, 90)
            assert app.player.profile == "structure" and app.generative.state is State.READY
            told = app.status()
            assert str(told["decoder"]).startswith("generative, ") and "CPU fallback" in str(told["decoder"])
            assert "GENERATIVE" in str(told["decoder_short"]) and told["generative_device"] == "cpu"
            assert metric(app, "generative_frames_total", made="generated") >= 5
            assert metric(app, "generative_state", state="ready") == 1
            assert metric(app, "generative_memory_bytes") > 1e5
            assert shown[-1].picture.shape == (96, 64)
            # It breaks down: the plain pictures go on.
            network = app.generative.network
            assert network is not None
            monkeypatch.setattr(network, "generate", _broken)
            await until(lambda: app.generative.state is State.FAILED, 60)
            count = len(shown)
            await until(lambda: len(shown) > count + 5, 60)
            assert "broken" in str(app.status()["decoder"]) and app.generative.failures == 1
    torch.set_num_threads(threads)


def _broken(*arguments: object) -> None:
    raise RuntimeError("broken")


async def test_without_the_sender_asking_or_weights_pictures_are_plain(tmp_path: Path) -> None:
    with daemons(tmp_path) as bench:
        async with receiving(bench, "--decode.weights", os.devnull) as (app, shown):
            sender = bench.sender(bench.udp_port, None, *SENT, "--profile", "structure")
            await until(lambda: len(shown) >= 3, 60)
            assert app.generative.state is State.OFF and app.status()["decoder"] == "texture, enlarged"
            bench.stop(sender)
            bench.sender(bench.udp_port, None, *SENT, "--profile", "generative")
            await until(lambda: app.generative.state is State.MISSING, 60)
            assert "no weights" in str(app.status()["decoder"])
