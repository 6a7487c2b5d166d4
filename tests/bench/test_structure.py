"""The structure bench on drawn maps: every row is made, and the table and the plots with it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.bench import structure_peers, structure_tables
from tests.bench.structure import adaptive_row, loss_row, paper_row, table
from tests.bench.structure_plots import draw
from tests.bench.structure_sets import DATA, MapSet, camvid, folder, sequences_of
from tests.common.codec.contour.drawn import CLASSES, scenes


@pytest.fixture
def maps() -> MapSet:
    return MapSet("drawn", sequences_of({"one": scenes(12)}), CLASSES, None, 10.0)


def test_rows_table_and_plots(maps: MapSet, tmp_path: Path) -> None:
    adaptive = adaptive_row(maps, 0.85)
    rows = [paper_row(maps, 256, period, 6.0) for period in (1, 4)] + [adaptive]
    unit = 1.5 * (adaptive.wire_bpp or 0) * maps.pixels / 8 / 3
    rows += [loss_row(maps, loss, unit, 0.85, 1) for loss in (0.0, 0.5)]
    assert rows[0].bpp > rows[1].bpp > adaptive.bpp
    assert adaptive.miou > 0.8
    assert rows[3].miou >= rows[4].miou
    assert (rows[4].wire_bpp or 0) * maps.pixels / 8 <= unit * 3 + 3 * unit
    assert len(table(rows).splitlines()) == 2 + len(rows)
    (figure,) = draw(rows, tmp_path)
    assert figure.stat().st_size > 10_000


def test_lossless_peers_cost_more(maps: MapSet) -> None:
    sequence = maps.sequences[0].maps
    ours = adaptive_row(maps, 0.85).bpp * maps.pixels / 8
    assert min(structure_peers.lossless(name, sequence) or 0 for name in ("png", "webp")) > 3 * ours


@pytest.mark.parametrize("name", sorted(structure_peers.CODECS))
def test_videos_of_colours_come_back_as_classes(maps: MapSet, name: str) -> None:
    truth = maps.sequences[0].maps[:4]
    size, shown = structure_peers.lossy(name, truth, CLASSES, 10.0, structure_peers.QUALITIES[name][0])
    assert size > 0
    assert np.mean([np.mean(a == b) for a, b in zip(truth, shown, strict=True)]) > 0.95


def test_a_folder_of_maps_is_a_set(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number, labels in enumerate(scenes(2)):
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), labels)
    found = folder(tmp_path)
    assert [one.name for one in found.sequences] == ["a", "b"]
    assert (found.classes, found.void, found.frames) == (CLASSES, None, 4)
    with pytest.raises(SystemExit, match="no PNGs"):
        folder(tmp_path / "a" / "none")


def test_tables_are_written_as_they_are_read() -> None:
    tally = structure_tables.train([MapSet("drawn", sequences_of({"one": scenes(4)}), CLASSES, None, 10.0)])
    text = structure_tables.written(tally)
    assert text.count("[") == text.count("]") == 2
    assert sum(map(sum, tally.seen)) > 500


@pytest.mark.skipif(not (DATA / "camvid").is_dir(), reason="needs ../shared/data")
def test_camvid_costs_less_than_the_papers_method() -> None:
    found = camvid(most=8)
    assert found.classes == 11
    ours, papers = adaptive_row(found, 0.85), paper_row(found, 256, 1, 6)
    assert ours.miou > 0.8
    assert ours.bpp < 0.4 * papers.bpp
