"""Maps of classes in the demo's results: read from the log, compared with the exact ones, drawn."""

from __future__ import annotations

import dataclasses
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from common.tabletop.files import PICTURES, shipped
from common.values import Size
from common.video import Resizer, blank, planes
from receiver.framelog import FrameLog
from tests.demo.logs import read_shown
from tests.demo.maps import MapMeasure, confusion, exact_maps, has_maps
from tests.demo.settings import DemoError, Settings
from tests.demo.side_by_side import BAR, GAP, SideBySide
from tests.receiver.play.mapped import LEGEND, tabletop
from tests.receiver.play.pictures import shown
from tests.receiver.play.test_maps import a_map


def test_the_profile_brings_its_own_defaults() -> None:
    settings = Settings.of({"PROFILE": "structure"})
    assert (settings.source, settings.size, settings.fps) == ("tabletop", Size(512, 512), 10.0)
    assert (settings.rate_kbps, settings.loss) == (14.0, 0.3)
    own = Settings.of({"PROFILE": "structure", "SOURCE": "synthetic", "SIZE": "480x352", "RATE_KBPS": "2"})
    assert (own.source, own.size, own.rate_kbps) == ("synthetic", Size(480, 352), 2.0)
    with pytest.raises(DemoError, match="RATE_KBPS: must be at least 8"):
        Settings.of({"RATE_KBPS": "2"})


def test_the_log_tells_every_map_once(tmp_path: Path) -> None:
    log = FrameLog(tmp_path / "log")
    first, second = a_map(age=0.1), a_map(side=20)
    for number, found in enumerate((None, first, dataclasses.replace(first, age_s=0.2), None, second)):
        log.write(dataclasses.replace(shown(number), map=found))
    log.close()
    assert (tmp_path / "log").read_text().count('"labels"') == 2
    lines = read_shown(tmp_path / "log")
    assert [line.classes is None for line in lines] == [True, False, False, True, False]
    maps = [line.classes.shown() for line in lines if line.classes is not None]
    assert [one.age_s for one in maps] == [0.1, 0.2, 0.0]
    for one, true in zip(maps, (first, first, second), strict=True):
        assert np.array_equal(one.labels, true.labels) and np.array_equal(one.trust, true.trust)
        assert one.legend == true.legend
    assert has_maps([line.classes for line in lines]) and not has_maps([None])


def test_exact_maps_are_found_by_what_was_sent() -> None:
    size, video = Size(96, 64), shipped()[1]
    exact = exact_maps("tabletop:1", size)
    assert exact is not None and exact_maps("synthetic", size) is None and exact_maps(None, size) is None
    labels = list(video.classes())
    with av.open(str(video.folder / PICTURES)) as container:
        pictures = [Resizer(96, 64).convert(frame) for frame in islice(container.decode(video=0), 0, None, 8)]
    for number, picture in enumerate(pictures):
        found = exact.of(picture)
        assert found is not None and found.shape == (64, 96)
        side = len(labels[0])
        cut = labels[8 * number][side // 6 : side - side // 6]  # 3:2 of the square
        assert abs(np.mean(found != 0) - np.mean(cut != 0)) < 0.01
    assert exact.of(blank(96, 64, 255)) is None


def test_counts_and_shares_of_the_maps_on_show(tmp_path: Path) -> None:
    truth = np.array([[0, 0, 1, 255]], np.uint8)
    counts = confusion(truth, np.array([[0, 1, 1, 1]], np.uint8), 2)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert confusion(truth, np.array([[255, 0, 1, 0]], np.uint8), 2)[0].tolist() == [1, 0, 1]
    assert MapMeasure().summary() is None
    log, measured = FrameLog(tmp_path / "log"), MapMeasure()
    true = shipped()[0].classes()
    items = list(islice(tabletop(loss=0.0), 16))
    for item in items:
        log.write(item)
    log.close()
    for line in read_shown(tmp_path / "log"):
        assert line.classes is not None
        measured.add(line.classes, line.classes.shown(), next(true))
    measured.add(None, None, None)
    told = measured.summary()
    assert told is not None and told["shown"] == pytest.approx(16 / 17, abs=1e-3)
    assert told["miou"] > 0.7 and told["held_over"] == told["lost"] == 0.0
    assert told["age_ms"]["p95"] == 30.0


def test_a_column_shows_the_map_and_its_classes(tmp_path: Path) -> None:
    item = next(one for one in tabletop() if one.map is not None)
    with SideBySide(tmp_path / "four.mp4", Size(512, 512), 10.0, "", maps=True) as video:
        picture = video.compose(None, item.picture, item.trust, item.map)
        without = video.compose(None, item.picture, item.trust, None)
        video.add(None, item.picture, item.trust, item.map)
    luma, plain = planes(picture)[0], planes(without)[0]
    assert luma.shape[1] == 4 * 512 + 3 * GAP
    left = 2 * (512 + GAP)
    assert (luma[BAR:-BAR, left : left + 512] != plain[BAR:-BAR, left : left + 512]).mean() > 0.5
    assert (luma[:, :left] == plain[:, :left]).all()
    assert (luma[:, left + 512 + GAP :] == plain[:, left + 512 + GAP :]).all()
    assert (luma[-BAR:, left : left + 512] != plain[-BAR:, left : left + 512]).any()
    assert item.map is not None and item.map.legend == LEGEND
