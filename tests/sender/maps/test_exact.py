"""Exact maps lie on the pictures of the rendered sources, frame by frame."""

from __future__ import annotations

import threading
from itertools import islice

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from common.maps.base import LabelMap, MapSource
from common.tabletop.files import shipped
from common.values import Size
from common.video import Frame
from sender.capture import create_source
from sender.capture.base import CaptureOptions
from sender.capture.generated import SyntheticSource
from sender.capture.synthetic import SyntheticScene
from sender.maps.create import create_map_source
from sender.maps.fit import fit


def _of(maps: MapSource, index: int) -> LabelMap:
    found = maps.map(Frame(np.zeros((1, 1), np.uint8), 0.0, index))
    assert found is not None and found.instances is not None
    return found


@pytest.mark.parametrize("fps", [10.0, 15.0, 4.0])
def test_tabletop_maps_are_those_of_the_frame_on_show(fps: float) -> None:
    size, clip = Size(128, 96), shipped()[5]
    maps = create_map_source("source", create_source("tabletop:5", CaptureOptions(size, fps)), size, fps)
    classes, instances = list(clip.classes()), list(clip.instances())
    for index in (0, 1, 7, 52, 1000):
        number = int(index / fps * 10 + 1e-6) % len(classes)
        found = _of(maps, index)
        assert (found.labels == fit(classes[number], size)).all()
        assert found.instances is not None and (found.instances == fit(instances[number], size)).all()
    assert maps.legend.classes[int(found.labels.max())] in clip.legend().values() or found.labels.max() == 0
    maps.reset()
    maps.close()


def test_tabletop_maps_stay_on_the_pictures_over_the_loop() -> None:
    size, fps = Size(128, 128), 1000.0
    source = create_source("tabletop:5", CaptureOptions(size, fps))
    pictures = [luma.mean(2) for luma in source.video.pictures()]  # type: ignore[attr-defined]
    for shown in islice(source.frames(threading.Event()), 0, 200, 40):
        number = int(shown.index / fps * 10 + 1e-6) % len(pictures)
        wanted = pictures[number].reshape(128, 4, 128, 4).mean((1, 3)) * 219 / 255 + 16
        assert np.abs(shown.picture[:128] - wanted).mean() < 2.0


def test_synthetic_maps_cover_who_moves() -> None:
    size, fps = Size(256, 192), 10.0
    source = create_source("synthetic:3", CaptureOptions(size, fps))
    maps = create_map_source("auto", source, size, fps)
    assert isinstance(source, SyntheticSource)
    assert maps.map(Frame(np.zeros((1, 1), np.uint8), 0.0, 0)) is None
    source.scene = SyntheticScene(256, 192, fps, 3)
    seen: set[int] = set()
    for index in range(0, 600, 20):
        found = _of(maps, index)
        assert found.labels.shape == (192, 256) and found.instances is not None
        assert ((found.labels > 0) == (found.instances > 0)).all()
        for number in np.unique(found.instances[found.instances > 0]):
            assert len(np.unique(found.labels[found.instances == number])) == 1
        seen |= set(np.unique(found.labels).tolist())
    assert {0, 1, 2, 3} <= seen


def test_synthetic_maps_lie_where_the_actors_are_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = SyntheticScene(256, 192, 10.0, 3)
    checked = 0
    for index in range(0, 400, 40):
        labels, shown = scene.maps(index)
        with_actors = _colours(scene, index)
        monkeypatch.setattr(scene, "_actors", [])
        without = _colours(scene, index)
        monkeypatch.undo()
        changed = np.abs(with_actors - without).max(2) > 30
        covered = labels > 0
        if covered.sum() > 500:
            checked += 1
            assert (changed & ~covered).sum() < 0.25 * covered.sum()  # shadows, soft edges
            assert (changed & covered).sum() > 0.6 * covered.sum()
        assert shown.dtype == np.uint16
    assert checked >= 3


def _colours(scene: SyntheticScene, index: int) -> NDArray[np.int64]:
    return np.asarray(cv2.cvtColor(scene.picture(index), cv2.COLOR_YUV2RGB_I420)).astype(np.int64)
