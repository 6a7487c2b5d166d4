from __future__ import annotations

from pathlib import Path

import pytest

from common.values import Size
from tests.demo.settings import DemoError, Settings


def test_defaults() -> None:
    assert Settings.of({}) == Settings()
    assert Settings.of({"LOSS": "", "SOURCE": " "}) == Settings()


def test_everything_can_be_set(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.touch()
    settings = Settings.of(
        {
            "SOURCE": str(clip),
            "AUDIO": str(clip),
            "LOSS": "0.9",
            "RATE_KBPS": "40",
            "SIZE": "320x176",
            "FPS": "12.5",
            "DEMO_SECONDS": "8",
            "BURST": "20",
            "OUTAGE": "2.5",
            "DEMO_OUT": str(tmp_path / "out"),
        }
    )
    assert settings.source == settings.audio == str(clip)
    assert (settings.loss, settings.rate_kbps, settings.fps, settings.seconds) == (0.9, 40.0, 12.5, 8.0)
    assert settings.size == Size(320, 176)
    assert (settings.burst, settings.outage) == (20.0, 2.5)
    assert settings.described()["size"] == "320x176"


@pytest.mark.parametrize("audio", ["off", "synthetic", "source", "alsa:default"])
def test_sounds_that_are_no_files(audio: str) -> None:
    assert Settings.of({"AUDIO": audio}).audio == audio
    with pytest.raises(DemoError, match=r"AUDIO: there is no file nothing\.wav"):
        Settings.of({"AUDIO": "nothing.wav"})


@pytest.mark.parametrize(
    "source", ["synthetic", "synthetic:3", "tabletop:2", "/dev/video0", "rtsp://camera/1", ":0.0", "screen"]
)
def test_live_sources_are_passed_on(source: str) -> None:
    assert Settings.of({"SOURCE": source}).source == source


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LOSS", "50%"),
        ("LOSS", "1.5"),
        ("RATE_KBPS", "0"),
        ("SIZE", "250x256"),
        ("FPS", "0"),
        ("DEMO_SECONDS", "1"),
        ("BURST", "0.5"),
        ("CHANNEL", "bursty"),
        ("OUTAGE", "11"),
        ("SEED", "x"),
        ("SOURCE", "missing.mp4"),
    ],
)
def test_mistakes_name_the_variable(name: str, text: str) -> None:
    with pytest.raises(DemoError, match=rf"^{name}: "):
        Settings.of({name: text})


@pytest.mark.parametrize(
    ("variables", "burst"),
    [
        ({"CHANNEL": "iid"}, None),
        ({"CHANNEL": "gilbert"}, 6.0),
        ({"CHANNEL": "gilbert", "BURST": "3"}, 3.0),
        ({"BURST": "3"}, 3.0),
        ({"CHANNEL": "gilbert", "LOSS": "0.95"}, pytest.approx(19.0)),  # the shortest runs that there are
        ({"CHANNEL": "gilbert", "LOSS": "1"}, None),
    ],
)
def test_losses_come_in_runs_when_asked_for(variables: dict[str, str], burst: float | None) -> None:
    settings = Settings.of(variables)
    assert settings.burst == burst
    assert settings.described()["channel"] == ("iid" if burst is None else "gilbert")


def test_runs_of_independent_losses_are_a_contradiction() -> None:
    with pytest.raises(DemoError, match=r"^BURST: "):
        Settings.of({"CHANNEL": "iid", "BURST": "3"})


def test_profile_generative_is_what_structure_is_at_a_smaller_size(tmp_path: Path) -> None:
    settings = Settings.of({"PROFILE": "generative", "RATE_KBPS": "2", "WEIGHTS": str(tmp_path)})
    assert settings.generative and settings.source == "tabletop" and settings.size == Size(256, 256)
    assert settings.weights == str(tmp_path) and not Settings.of({}).generative
    with pytest.raises(DemoError, match=r"^WEIGHTS: "):
        Settings.of({"WEIGHTS": str(tmp_path / "none")})
