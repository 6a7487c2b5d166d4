from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from common.config import ConfigError, leaves
from common.values import Address, Size
from proto.crypto import load_key
from sender.build import capture_options
from sender.config import ENV_PREFIX, SenderConfig, load_config

NEEDED = ["--to", "192.0.2.7:5004", "--key-file", "k"]


def test_defaults() -> None:
    config = load_config(NEEDED)
    assert config.source == "synthetic"
    assert config.to == Address("192.0.2.7", 5004)
    assert (config.size, config.fps, config.rate.kbps) == (Size(256, 256), 15.0, 60.0)
    assert (config.packet.max_bytes, config.pacing.spread) == (1200, 0.75)


def test_short_and_long_flags() -> None:
    for flags in (["--rate-kbps", "80", "--loop"], ["--rate.kbps", "80", "--capture.loop"]):
        config = load_config([*NEEDED, *flags])
        assert (config.rate.kbps, config.capture.loop) == (80, True)


def test_options_for_ffmpeg() -> None:
    config = load_config([*NEEDED, "--capture.ffmpeg", "video_size=640x480", "--capture.ffmpeg", "a=b=c"])
    assert capture_options(config).ffmpeg == (("video_size", "640x480"), ("a", "b=c"))


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--to", "host"], "to: must be HOST:PORT"),
        (["--to", ":5004"], "to: needs a host and a port above 0"),
        (["--size", "250x250"], "size: both sides must be multiples of 16"),
        (["--fps", "0"], "fps: must be >= 1 (got 0)"),
        (["--fps", "14.9"], "fps: must be a multiple of 0.25 (got 14.9)"),
        (["--rate-kbps", "1"], "rate.kbps: must be >= 2 (got 1)"),
        (["--packet.max-bytes", "1500"], "packet.max_bytes: must be <= 1472 (got 1500)"),
        (["--pacing.spread", "2"], "pacing.spread: must be <= 1 (got 2)"),
        (["--capture.ffmpeg", "x"], "capture.ffmpeg: must be NAME=VALUE, not 'x'"),
        (["--capture.pace", "slow"], "capture.pace: must be one of 'auto', 'live' or 'media' (got slow)"),
    ],
)
def test_errors_name_the_setting(flags: list[str], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([*NEEDED, *flags])
    assert str(caught.value).startswith(text)


def test_what_is_needed_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([])
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["to", "key_file"]


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMCAST_SENDER_RATE__KBPS", "33")
    assert load_config(NEEDED).rate.kbps == 33


def test_help_teaches_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load_config(["--help"])
    text = capsys.readouterr().out
    for leaf in leaves(SenderConfig):
        assert leaf.flag in text
        assert leaf.field.description
        assert leaf.variable(ENV_PREFIX).startswith("SEMCAST_SENDER_")
    assert "default 60.0 kbit/s" in " ".join(text.split())
    assert "/dev/video0" in text
    # Every example on the help page is accepted.
    for line in re.findall(r"^  sender (--source .*)$", text, re.MULTILINE):
        load_config(line.replace("'", "").split())


def test_a_new_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "semcast.key"
    with pytest.raises(SystemExit) as caught:
        load_config(["--new-key", str(path)])
    assert caught.value.code == 0
    key = load_key(path)
    assert len(key) >= 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    printed = capsys.readouterr().out
    assert str(path) in printed
    assert key.hex() not in printed
    with pytest.raises(ConfigError, match="--new-key: "):
        load_config(["--new-key", str(path)])
    assert load_key(path) == key
