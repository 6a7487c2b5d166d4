"""The receiver's settings."""

from __future__ import annotations

import pytest

from common.config import ConfigError
from receiver.config import configure
from receiver.delay import AUTOMATIC, DelayBounds

KEY = ("--key-file", "link.key")


def test_defaults() -> None:
    config = configure(KEY)
    assert config.play == ("web",)
    assert (str(config.listen), str(config.web.listen)) == (":5004", "127.0.0.1:8080")
    assert config.playout.delay_ms == "auto" and config.signal.lost_after == 2.0


def test_sinks_repeat_and_delay_is_a_number_or_auto() -> None:
    config = configure(
        [*KEY, "--play", "window", "--play", "a.mkv", "--play", "-", "--playout.delay-ms", "250"]
    )
    assert config.play == ("window", "a.mkv", "-")
    assert config.playout.delay_ms == 250.0
    assert configure([*KEY, "--playout.delay-ms", "auto"]).playout.delay_ms == "auto"


def test_the_bounds_of_the_playout_delay() -> None:
    def bounds(*flags: str) -> DelayBounds:
        return configure([*KEY, *flags]).playout.bounds

    assert bounds() == AUTOMATIC
    assert bounds("--playout.delay-ms", "250") == DelayBounds(0.25, 0.25)
    assert bounds("--playout.max-delay-ms", "600") == DelayBounds(0.0, 0.6)
    assert bounds("--playout.delay-ms", "250", "--playout.max-delay-ms", "250") == DelayBounds(0.25, 0.25)


def test_a_lost_signal_is_marked_unless_told_otherwise() -> None:
    assert configure(KEY).signal.mark
    assert not configure([*KEY, "--signal.mark", "false"]).signal.mark


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--play", "out.avi"], "play"),
        (["--play", "web", "--play", "web"], "twice"),
        (["--playout.delay-ms", "4000"], "playout.delay_ms"),
        (["--playout.delay-ms", "-1"], "playout.delay_ms"),
        (["--playout.delay-ms", "soon"], "playout.delay_ms"),
        (["--playout.max-delay-ms", "3001"], "playout.max_delay_ms"),
        (
            ["--playout.delay-ms", "500", "--playout.max-delay-ms", "400"],
            r"delay_ms \(500\) .* max_delay_ms \(400\)",
        ),
        (["--listen", "5004"], "listen"),
        (["--signal.lost-after", "0"], "signal.lost_after"),
        (["--web.max-viewers", "0"], "web.max_viewers"),
    ],
)
def test_errors_name_the_setting(flags: list[str], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        configure([*KEY, *flags])


def test_the_key_file_is_required() -> None:
    with pytest.raises(ConfigError, match="key_file"):
        configure([])


def test_help_mentions_clocks_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        configure(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "ffplay" in text and "clocks of both hosts" in text


@pytest.mark.parametrize(
    "sink",
    [
        "rtsp://u:p@host:8554/cam",
        "srt://host:8890?streamid=publish:cam",
        "whips://host/w",
        "v4l2:/dev/video10",
    ],
)
def test_media_servers_and_loopback_cameras_are_sinks(sink: str) -> None:
    assert configure([*KEY, "--play", sink, "--play", "web"]).play == (sink, "web")
    assert configure(KEY).push.kbps == 1000


@pytest.mark.parametrize(
    "sink",
    [
        "rtsp://u:p4ss@host",
        "rtmp://u:p4ss@host/x",
        "rtps://u:p4ss@host/x.mp4",
        "v4l2:",
        "srt://h:9?passphrase=p4ss",
    ],
)
def test_errors_about_sinks_keep_passwords(sink: str) -> None:
    with pytest.raises(ConfigError, match="play") as refused:
        configure([*KEY, "--play", sink])
    assert "p4ss" not in str(refused.value)
