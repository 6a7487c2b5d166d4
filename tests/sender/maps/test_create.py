"""Which maps a text names, and what is said where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.config import ConfigError
from common.maps.base import MapSource
from common.maps.networks import MatteMaps, StreetMaps
from common.service import EX_NOINPUT, ServiceError
from common.values import Size
from sender.capture import create_source
from sender.capture.base import CaptureOptions
from sender.config import load_config
from sender.maps.create import create_map_source
from sender.maps.exact import SyntheticMaps, TabletopMaps
from sender.maps.files import SequenceMaps, VideoMaps
from tests.sender.maps.maps import numbered, write_png, write_video

SIZE = Size(64, 64)


def _make(
    spec: str, source: str = "clip.mp4", legend: str | None = None, fps: float | None = None
) -> MapSource:
    made = create_source(source, CaptureOptions(SIZE, 10.0))
    return create_map_source(spec, made, SIZE, 10.0, legend, fps)


@pytest.mark.parametrize(
    ("spec", "source", "kind"),
    [
        ("auto", "tabletop:5", TabletopMaps),
        ("auto", "synthetic", SyntheticMaps),
        ("auto", "/dev/video0", MatteMaps),
        ("auto", "clip.mp4", MatteMaps),
        ("source", "synthetic:3", SyntheticMaps),
        ("matte", "tabletop:5", MatteMaps),
        ("street", "rtsp://camera/1", StreetMaps),
    ],
)
def test_texts(spec: str, source: str, kind: type[object]) -> None:
    maps = _make(spec, source)
    assert isinstance(maps, kind) and maps.legend.classes
    maps.reset()
    maps.close()


def test_files(tmp_path: Path) -> None:
    write_png(tmp_path / "000001.png", numbered(1))
    video = write_video(tmp_path / "maps.mkv", [numbered(1)], 10)
    assert isinstance(_make(f"{tmp_path}/%06d.png", fps=5.0), SequenceMaps)
    maps = _make(str(video), legend="tabletop")
    assert isinstance(maps, VideoMaps) and maps.legend.name == "tabletop"
    maps.close()
    with pytest.raises(ConfigError, match=r"maps\.fps: is for sequences"):
        _make(str(video), fps=5.0)


def test_errors_name_the_fix() -> None:
    with pytest.raises(ConfigError, match=r"maps\.source: clip\.mp4 has no maps of its own.*--maps matte"):
        _make("source")
    with pytest.raises(
        ConfigError, match=r"maps\.legend: is for maps from files, and maps\.source is street"
    ):
        _make("street", legend="street")
    with pytest.raises(ConfigError, match=r"maps\.fps: is for maps from files"):
        _make("auto", fps=3.0)
    with pytest.raises(ServiceError, match="cannot read mate: no such file; --maps takes auto") as caught:
        _make("mate")
    assert caught.value.exit_code == EX_NOINPUT


def test_settings() -> None:
    needed = ["--to", "192.0.2.7:5004", "--key-file", "k"]
    assert load_config(needed).maps.model_dump() == {"source": "auto", "legend": None, "fps": None}
    given = load_config([*needed, "--maps", "m/%06d.png", "--maps.legend", "street", "--maps.fps", "5"]).maps
    assert (given.source, given.legend, given.fps) == ("m/%06d.png", "street", 5.0)
    with pytest.raises(ConfigError, match=r"maps\.fps: must be > 0"):
        load_config([*needed, "--maps.fps", "0"])
