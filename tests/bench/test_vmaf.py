from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from common.video import Picture, from_planes, planes
from sender.capture.synthetic import SyntheticScene
from tests.bench import vmaf as module
from tests.bench.vmaf import VmafError, ffmpeg, vmaf


@pytest.fixture(scope="module")
def sent() -> list[Picture]:
    scene = SyntheticScene(256, 256, 15)
    return [scene.picture(index) for index in range(6)]


@pytest.fixture
def no_ffmpeg_known() -> Iterator[None]:
    ffmpeg.cache_clear()
    yield
    ffmpeg.cache_clear()


def blurred(pictures: list[Picture], side: int) -> list[Picture]:
    return [from_planes(uniform_filter(luma, side), *chroma) for luma, *chroma in map(planes, pictures)]


def test_equal_pictures_score_high(sent: list[Picture]) -> None:
    assert 95 < vmaf(sent, sent) <= 100


def test_worse_is_lower_and_repeatable(sent: list[Picture]) -> None:
    scores = [vmaf(sent, blurred(sent, side)) for side in (1, 3, 5, 9)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 30
    assert vmaf(sent, blurred(sent, 5)) == scores[2]


def test_sent_is_the_reference(sent: list[Picture]) -> None:
    soft = blurred(sent, 5)
    assert vmaf(sent, soft) < vmaf(soft, sent)


def test_every_picture_counts(sent: list[Picture]) -> None:
    shown = [*sent[:-1], blurred(sent[-1:], 9)[0]]
    assert vmaf(sent, sent) - 25 < vmaf(sent, shown) < vmaf(sent, sent) - 5


def test_views_and_oblong_pictures() -> None:
    scene = SyntheticScene(192, 64, 15)
    wide = [scene.picture(index) for index in range(3)]
    assert 95 < vmaf([np.asfortranarray(picture) for picture in wide], wide) <= 100


def test_what_cannot_be_compared_is_refused(sent: list[Picture]) -> None:
    with pytest.raises(ValueError, match="6 pictures sent and 5 shown"):
        vmaf(sent, sent[:-1])
    with pytest.raises(ValueError, match="0 pictures"):
        vmaf([], [])
    with pytest.raises(ValueError, match="one size"):
        vmaf(sent, [picture[:-3] for picture in sent])
    with pytest.raises(ValueError, match="I420"):
        vmaf([np.zeros((5, 5), np.uint8)], [np.zeros((5, 5), np.uint8)])


def test_failure_of_ffmpeg_is_told() -> None:
    tiny = [np.zeros((12, 8), np.uint8)]
    with pytest.raises(VmafError, match="exit code"):
        vmaf(tiny, tiny)


def test_incomplete_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VmafError, match="no log"):
        module._mean(tmp_path / "none", 1)
    log = tmp_path / "log"
    log.write_text('{"frames": [{"metrics": {"vmaf": 50.0}}, {"metrics": {"vmaf": 60.0}}]}')
    assert module._mean(log, 2) == 55
    with pytest.raises(VmafError, match="2 of 3"):
        module._mean(log, 3)
    log.write_text('{"frames": [{"metrics": {}}]}')
    with pytest.raises(VmafError, match="no log"):
        module._mean(log, 1)


@pytest.mark.usefixtures("no_ffmpeg_known")
def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(VmafError, match="imageio-ffmpeg"):
        ffmpeg()


@pytest.mark.usefixtures("no_ffmpeg_known")
def test_without_libvmaf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    other = tmp_path / "ffmpeg"
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(other))
    with pytest.raises(VmafError, match="FFmpeg that runs"):
        ffmpeg()
    other.write_text("#!/bin/sh\necho ' ... scale  V->V  Scale the input video'\n")
    other.chmod(0o755)
    with pytest.raises(VmafError, match=r"libvmaf.*IMAGEIO_FFMPEG_EXE"):
        ffmpeg()
