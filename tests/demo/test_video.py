from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from common.font import text_mask
from common.values import Size
from common.video import Resizer, blank, planes
from sender.capture.synthetic import SyntheticScene
from tests.bench.quality import psnr, rgb
from tests.demo import scene
from tests.demo.side_by_side import BAR, GAP, SideBySide, tinted


def test_clip_is_nearly_lossless_and_complete(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    assert scene.main([str(path), "--seconds", "1", "--fps", "12.5", "--size", "128x96"]) == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.mp4"]
    source, resizer = SyntheticScene(128, 96, 12.5, scene.SEED), Resizer(128, 96)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == pytest.approx(12.5)
        pictures = [resizer.convert(frame) for frame in container.decode(video=0)]
    assert len(pictures) == 12
    assert min(psnr(source.picture(n), picture) for n, picture in enumerate(pictures)) > 40


def test_tints_differ_by_trust() -> None:
    trust = np.array([[0, 1], [2, 9]], np.uint8)
    colours = rgb(tinted(blank(32, 32, 120), trust))
    received, recovered, imagined = colours[:, 4, 4], colours[:, 4, 20], colours[:, 20, 4]
    assert received[1] > received[0] + 50
    assert recovered[0] > recovered[2] + 50
    assert imagined[0] > imagined[1] + 50
    assert np.array_equal(colours[:, 20, 20], imagined)


def test_three_labelled_panels(tmp_path: Path) -> None:
    path = tmp_path / "three.mp4"
    sent, shown = blank(64, 64, 200), blank(64, 64, 90)
    with SideBySide(path, Size(64, 64), 10.0, "loss 50%") as video:
        picture = video.compose(sent, shown, np.zeros((4, 4), np.uint8))
        for _ in range(5):
            video.add(sent, shown, np.zeros((4, 4), np.uint8))
        video.add(None, shown, np.zeros((4, 4), np.uint8))
    luma = planes(picture)[0]
    wide = (luma.shape[1] - 2 * GAP) // 3
    assert wide == 64 * 6
    assert (luma[BAR : BAR + wide, :wide] == 200).all()
    assert (luma[BAR : BAR + wide, wide + GAP : 2 * wide + GAP] == 90).all()
    assert (luma[:BAR] > 100).any() and (luma[-BAR:] > 100).any()
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6


def test_letters_are_distinct() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:/%-+()|,="
    assert len({text_mask(letter).tobytes() for letter in letters}) == len(letters)
    assert text_mask("a b", 2).shape == (14, 36)
    assert np.array_equal(text_mask("ab€"), text_mask("AB "))


def test_what_was_generated_is_beside_its_texture(tmp_path: Path) -> None:
    sent, shown, texture = blank(64, 64, 200), blank(64, 64, 90), blank(64, 64, 60)
    trust = np.zeros((4, 4), np.uint8)
    with SideBySide(tmp_path / "four.mp4", Size(64, 64), 10.0, "", generated=True) as video:
        luma = planes(video.compose(sent, shown, trust, texture=texture))[0]
        video.add(sent, shown, trust)  # a tick without one
    panels = [luma[BAR + 99, 100 + number * (64 * 6 + GAP)] for number in range(3)]
    assert panels == [200, 60, 90]
