"""From the settings to the generative decoder, and what is said where it cannot be had."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from common.config import ConfigError
from common.service import ServiceError
from receiver.config import ReceiverConfig, configure
from receiver.contours.store import MapStore
from receiver.generative.create import create, prepare
from receiver.generative.decoder import GenerativeDecoder, State
from receiver.generative.missing import missing


def settings(*flags: str) -> ReceiverConfig:
    return configure(["--key-file", "x", *flags])


def made(config: ReceiverConfig, wished: bool) -> GenerativeDecoder:
    return create(config.decode, MapStore(), lambda: wished, lambda: 0.0, True)


def test_auto_follows_the_sender_and_off_does_not(tmp_path: Path) -> None:
    empty = ("--decode.weights", str(tmp_path))
    auto, off = settings(*empty), settings(*empty, "--generative", "off")
    assert not made(auto, False).wanted("structure")
    asked = made(auto, True)
    assert not asked.wanted("structure") and asked.state is State.MISSING
    assert str(tmp_path) in asked.reason and "decode.weights" in asked.reason
    refused = made(off, True)
    assert not refused.wanted("structure") and refused.state is State.OFF
    prepare(auto.decode, made(auto, True))  # auto never ends the receiver


def test_on_without_weights_ends_at_the_start(tmp_path: Path) -> None:
    config = settings("--generative", "on", "--decode.weights", str(tmp_path))
    with pytest.raises(ServiceError, match=r"decode\.generative: no weights"):
        prepare(config.decode, made(config, False))


def test_without_torch_the_commands_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    reason = missing(None)
    assert reason is not None and "pip install torch==2.13.0" in reason and "semcast[generative]" in reason


def test_a_folder_of_either_layout_is_there(tmp_path: Path) -> None:
    assert missing(tmp_path) is not None
    (tmp_path / "unet").mkdir()
    assert missing(tmp_path) is None
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "manifest.json").write_text("{}")
    assert missing(tmp_path / "ours") is None


@pytest.mark.parametrize(
    "flags",
    [
        ("--decode.side", "8"),
        ("--decode.generative-threads", "0"),
        ("--decode.steps", "3"),
        ("--decode.strength", "0"),
        ("--decode.strength", "1.1"),
    ],
)
def test_settings_out_of_range_are_refused(flags: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError):
        settings(*flags)


def test_steps_are_read() -> None:
    assert settings("--decode.steps", "2").decode.steps == 2 and settings().decode.steps == 4


def test_threads_are_bounded() -> None:
    assert settings("--decode.generative-threads", "3").decode.torch_threads == 3
    assert 1 <= settings().decode.torch_threads <= 8


def test_nothing_of_torch_is_loaded_unless_it_is_used() -> None:
    code = (
        "import sys, receiver.app, receiver.generative.create, receiver.generative.decoder\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'diffusers', 'cv2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
