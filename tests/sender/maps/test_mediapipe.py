"""MediaPipe's segmenters, with a stand-in for the package."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from common.maps.base import MapSource
from common.service import EX_NOINPUT, EX_UNAVAILABLE, ServiceError
from sender.capture import create_source
from sender.capture.base import CaptureOptions
from sender.maps.create import create_map_source
from tests.sender.maps.maps import FPS, SIZE, frame


class Package:
    """What of MediaPipe is used; gives `masks` for every picture."""

    def __init__(self, labels: list[str], masks: list[np.ndarray[Any, Any]]) -> None:
        self.labels, self.masks = labels, masks
        self.stamps: list[int] = []
        self.shapes: list[tuple[int, ...]] = []
        self.closed = False
        self.ImageFormat = SimpleNamespace(SRGB="srgb")
        vision = SimpleNamespace(
            ImageSegmenterOptions=SimpleNamespace,
            RunningMode=SimpleNamespace(VIDEO="video"),
            ImageSegmenter=SimpleNamespace(create_from_options=self.create),
        )
        self.tasks = SimpleNamespace(BaseOptions=SimpleNamespace, vision=vision)

    def create(self, options: Any) -> Package:
        assert options.running_mode == "video" and options.output_confidence_masks
        if Path(options.base_options.model_asset_path).read_bytes() != b"model":
            raise RuntimeError("not a flatbuffer")
        return self

    def Image(self, image_format: str, data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        assert image_format == "srgb"
        self.shapes.append(data.shape)
        return data

    def segment_for_video(self, image: object, stamp: int) -> Any:
        if self.stamps and stamp <= self.stamps[-1]:
            raise ValueError("Input timestamp must be monotonically increasing.")
        self.stamps.append(stamp)
        return SimpleNamespace(
            confidence_masks=[SimpleNamespace(numpy_view=lambda m=m: m) for m in self.masks]
        )

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"model")
    return f"mediapipe:{path}"


def _make(spec: str) -> MapSource:
    source = create_source("clip.mp4", CaptureOptions(SIZE, FPS))
    return create_map_source(spec, source, SIZE, FPS)


def _one_hot(labels: np.ndarray[Any, Any], count: int) -> list[np.ndarray[Any, Any]]:
    return [(labels == number).astype(np.float32) for number in range(count)]


def test_the_likeliest_class_of_each_pixel(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.random.default_rng(1).integers(0, 3, (SIZE.height, SIZE.width))
    package = Package(["background", "hair", "skin"], _one_hot(labels, 3))
    monkeypatch.setitem(sys.modules, "mediapipe", package)
    maps = _make(model)
    assert maps.legend.classes == ("background", "hair", "skin") and maps.legend.name == "mediapipe"
    for index in (0, 1, 1, 0):  # a clock that stands still, or is set back
        found = maps.map(frame(index))
        assert found is not None and (found.labels == labels).all() and found.labels.dtype == np.uint8
    assert package.shapes == [(SIZE.height, SIZE.width, 3)] * 4 and package.stamps == sorted(
        set(package.stamps)
    )
    maps.close()
    assert package.closed


def test_a_selfie_model_tells_the_person(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    confidence = np.zeros((SIZE.height, SIZE.width, 1), np.float32)
    confidence[10:20, 10:20] = 0.9
    monkeypatch.setitem(sys.modules, "mediapipe", Package([], [confidence]))
    maps = _make(model)
    found = maps.map(frame(0))
    assert maps.legend.classes == ("background", "person")
    assert found is not None and found.labels.sum() == 100 and found.labels[15, 15] == 1


def test_errors_name_the_fix(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(ServiceError, match="pip install mediapipe") as caught:
        _make(model)
    assert caught.value.exit_code == EX_UNAVAILABLE
    package = Package([], [])
    monkeypatch.setitem(sys.modules, "mediapipe", package)
    for spec in ("mediapipe:", f"mediapipe:{tmp_path}/none.tflite"):
        with pytest.raises(ServiceError, match=r"no model file .*--maps mediapipe:MODEL") as caught:
            _make(spec)
        assert caught.value.exit_code == EX_NOINPUT
    with pytest.raises(ValueError, match="gave no masks"):
        _make(model).map(frame(0))
    package.stamps.clear()
    package.masks = _one_hot(np.zeros((4, 4)), 5)
    with pytest.raises(ValueError, match="5 masks, and the model names 2 classes"):
        _make(model).map(frame(0))
    (tmp_path / "model.tflite").write_bytes(b"other")
    with pytest.raises(ServiceError, match=r"MediaPipe refuses .*model\.tflite: not a flatbuffer"):
        _make(model)
