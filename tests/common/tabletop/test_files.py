"""The clips that are shipped, and how folders of videos are read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from common.tabletop.classes import CLASSES, NUMBERS
from common.tabletop.files import CLIPS, TabletopVideo, VideoError, shipped


def test_classes_are_numbered_in_order() -> None:
    assert [entry.number for entry in CLASSES] == list(range(len(CLASSES)))
    assert len({entry.name for entry in CLASSES}) == len({entry.colour for entry in CLASSES}) == len(CLASSES)


def test_the_shipped_set_is_small_and_varied() -> None:
    assert sum(path.stat().st_size for path in CLIPS.rglob("*")) < 8_000_000
    names = {name for video in shipped() for name in video.legend().values()}
    assert len(shipped()) >= 8
    assert len(names) >= 20
    assert "gripper" in names


@pytest.mark.parametrize("video", shipped(), ids=lambda video: video.folder.name)
def test_a_shipped_clip_is_whole(video: TabletopVideo) -> None:
    facts = json.loads((video.folder / "meta.json").read_text())
    legend = np.zeros(256, np.uint8)
    for number, name in video.legend().items():
        legend[number] = NUMBERS[name]
    seen: set[int] = set()
    count = 0
    for instances, classes in zip(video.instances(), video.classes(), strict=True):
        assert instances.shape == (facts["size"], facts["size"])
        np.testing.assert_array_equal(legend[instances], classes)
        seen |= set(np.unique(instances).tolist())
        count += 1
    assert count == facts["frames"]
    assert seen - {0} == set(video.legend())
    assert facts["licence"] == "Apache-2.0"


def test_maps_of_a_shipped_clip_agree_with_its_pictures() -> None:
    """Objects differ from the table beside them: the picture's slopes are where the map changes."""
    at_edges, elsewhere = [], []
    for video in shipped()[:4]:
        picture, instances = next(video.pictures()).astype(float).mean(axis=2), next(video.instances())
        slope = np.abs(picture[:, 2:] - picture[:, :-2])
        edge = instances[:, 2:] != instances[:, :-2]
        at_edges.append(slope[edge].mean())
        elsewhere.append(slope[~edge].mean())
    assert np.mean(at_edges) > 4 * np.mean(elsewhere)


def test_what_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    video = TabletopVideo(tmp_path)
    with pytest.raises(VideoError, match=r"rgb\.mp4: cannot be read: No such file"):
        next(video.pictures())
    with pytest.raises(VideoError, match=r"classes\.json: no legend"):
        video.legend()
    (tmp_path / "instances.mkv").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"instances\.mkv: cannot be read: Invalid data"):
        next(video.instances())
    for text in ("[]", "{}", '{"instances": 3}', '{"instances": {"a": "box"}}', "\xff"):
        (tmp_path / "classes.json").write_text(text, encoding="latin-1")
        with pytest.raises(VideoError, match=r"classes\.json: no legend"):
            video.legend()
