"""Maps that the shipped networks find: in the frame's size, in step, and right on scenes that they were made for."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from common.codec.weights import MODELS
from common.maps import networks
from common.maps.base import LabelMap
from common.maps.networks import MOST_PIXELS, MatteMaps, StreetMaps, working_size
from common.service import ServiceError
from common.tabletop.files import shipped
from common.values import Size
from common.video import Frame, Picture
from sender.maps.fit import fit

CAMVID = Path(__file__).resolve().parents[4] / "shared" / "data" / "camvid"


def _picture(rgb: NDArray[np.uint8]) -> Picture:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420), np.uint8)


def _frame(rgb: NDArray[np.uint8], at: float) -> Frame:
    return Frame(_picture(rgb), 1e9 + at, 0)


@pytest.mark.parametrize("size", [(16, 16), (480, 352), (512, 512), (1920, 1088), (4096, 16)])
def test_networks_get_multiples_of_16_and_not_too_much(size: tuple[int, int]) -> None:
    work = working_size(Size(*size))
    assert work.width % 16 == 0 and work.height % 16 == 0 and min(work.width, work.height) >= 16
    assert work.width * work.height <= 1.15 * MOST_PIXELS
    if size[0] * size[1] <= MOST_PIXELS:
        assert (work.width, work.height) == size


@pytest.mark.parametrize("size", [Size(64, 48), Size(720, 480)])
def test_maps_are_of_the_frames_size(size: Size) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (size.height, size.width, 3)).astype(np.uint8)
    for maps in (StreetMaps(size), MatteMaps(size)):
        maps.map(_frame(picture, 0.0))
        found = maps.map(_frame(picture, 0.1))
        assert found is not None and found.labels.shape == (size.height, size.width)
        assert found.labels.dtype == np.uint8 and int(found.labels.max()) < len(maps.legend.classes)
        with pytest.raises(ValueError, match="the picture is"):
            maps.map(_frame(picture[:32, :32], 0.2))
        maps.close()


def test_mattes_begin_with_the_second_picture_and_after_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    maps, picture = MatteMaps(Size(64, 64)), np.zeros((64, 64, 3), np.uint8)
    assert maps.map(_frame(picture, 0.0)) is None
    assert maps.map(_frame(picture, 0.001)) is None  # too near to show motion
    assert maps.map(_frame(picture, 0.1)) is not None
    maps.reset()
    assert maps.map(_frame(picture, 0.2)) is None
    assert maps.map(_frame(picture, 0.3)) is not None
    assert maps.map(_frame(picture, 5.0)) is None  # after a stall
    assert maps.map(_frame(picture, 4.0)) is None  # the clock was set back
    assert maps.map(_frame(picture, 4.1)) is not None
    for number in range(500):
        maps.map(_frame(picture, 4.2 + number / 200)) if number % 50 == 0 else maps._earlier(
            np.zeros((64, 64), np.uint8), 1e9 + 4.2 + number / 200
        )
    assert len(maps._past) <= networks.MOST_KEPT


def test_mattes_find_what_moves_while_the_camera_pans() -> None:
    rng = np.random.default_rng(7)
    world = np.asarray(cv2.resize(rng.integers(0, 256, (40, 60, 3)).astype(np.uint8), (640, 320)), np.uint8)
    thing = cv2.resize(rng.integers(0, 256, (9, 9, 3)).astype(np.uint8), (70, 70))
    maps, found = MatteMaps(Size(256, 192)), None
    for step in range(4):
        view = np.ascontiguousarray(world[60:252, 100 + 3 * step : 356 + 3 * step])
        y, x = 60, 60 + 9 * step
        view[y : y + 70, x : x + 70] = thing
        found = maps.map(_frame(view, step / 10))
    assert isinstance(found, LabelMap) and found.instances is not None
    wanted = np.zeros((192, 256), bool)
    wanted[y : y + 70, x : x + 70] = True
    assert _overlap(found.labels == 1, wanted) > 0.6
    assert ((found.labels == 1) == (found.instances > 0)).all()


def test_mattes_of_a_still_scene_are_empty() -> None:
    picture = next(shipped()[1].pictures())
    picture = np.asarray(cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
    maps = MatteMaps(Size(256, 256))
    for step in range(4):
        found = maps.map(_frame(picture, step / 10))
    assert found is not None and (found.labels == 1).mean() < 0.01


def test_spots_and_holes_are_cleared() -> None:
    labels = np.zeros((100, 100), np.uint8)
    labels[20:60, 20:60], labels[30, 30], labels[80, 80] = 1, 0, 1
    wanted = np.zeros((100, 100), np.uint8)
    wanted[20:60, 20:60] = 1
    assert (networks._cleared(labels) == wanted).all()


def test_a_missing_model_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "MODELS", tmp_path)
    with pytest.raises(ServiceError, match=r"maps: .*manifest\.json"):
        StreetMaps(Size(64, 64))


@pytest.mark.parametrize("damage", [b"changed", None])
def test_a_damaged_model_is_one_clear_error(
    damage: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(MODELS / "matte", tmp_path / "matte")
    monkeypatch.setattr(networks, "MODELS", tmp_path)
    MatteMaps(Size(64, 64))
    if damage is None:
        (tmp_path / "matte" / "manifest.json").write_text('{"sha256": {}}')
    else:
        with (tmp_path / "matte" / "matting.onnx").open("ab") as graph:
            graph.write(bytes(16))  # protocol buffers still parse
    with pytest.raises(ServiceError, match=r"maps: .*(does not match|names no file)"):
        MatteMaps(Size(64, 64))


@pytest.mark.skipif(not CAMVID.exists(), reason="../shared/data is not there")
def test_streets_are_known() -> None:
    both, either = np.zeros(11), np.zeros(11)
    maps = StreetMaps(Size(480, 352))
    for path in sorted((CAMVID / "val").iterdir())[::20]:
        rgb = np.asarray(cv2.imread(str(path)), np.uint8)[4:356, :, ::-1]
        found = maps.map(_frame(np.ascontiguousarray(rgb), 0.0))
        true = np.asarray(cv2.imread(str(CAMVID / "valannot" / f"{path.stem}.png"), 0))[4:356]
        assert found is not None
        for label in range(11):
            ours, theirs = (found.labels == label) & (true < 11), true == label
            both[label] += (ours & theirs).sum()
            either[label] += (ours | theirs).sum()
    assert (both / np.maximum(either, 1)).mean() > 0.58
    assert fit(true, Size(480, 352)).shape == (352, 480)


def _overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))
