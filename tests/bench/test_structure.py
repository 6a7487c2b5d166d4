"""The structure bench on drawn maps: every row is made, and the table and the plots with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.codec.contour.protect_rule import Protection
from common.codec.contour.syntax import CONTEXTS
from tests.bench import structure_peers, structure_tables
from tests.bench.structure import adaptive_row, main
from tests.bench.structure_figure6 import paper_row
from tests.bench.structure_loss import KNOWS, Code, Trial, cost, loss_row, lossy, within
from tests.bench.structure_rate import HIGHEST, LOWEST
from tests.bench.structure_report import read, write, written
from tests.bench.structure_run import PART_COST, Encodings, Mode
from tests.bench.structure_sets import DATA, MapSet, Sequence, camvid, folder, lasting, sequences_of
from tests.common.codec.contour.drawn import CLASSES, scenes


@pytest.fixture
def maps() -> MapSet:
    return MapSet("drawn", sequences_of({"one": scenes(12)}), CLASSES, None, 10.0)


def test_ours_costs_less_than_the_papers_method(maps: MapSet) -> None:
    adaptive = adaptive_row(maps, 0.85)
    rows = [paper_row(maps, 256, period, 6.0) for period in (1, 4)]
    assert [row.method for row in rows] == ["polygons", "paper"]
    assert rows[0].bpp > rows[1].bpp > adaptive.bpp
    assert adaptive.miou > 0.8
    assert 8 * PART_COST * 3 / maps.pixels == pytest.approx((adaptive.wire_bpp or 0) - adaptive.bpp)


def test_quick_run_writes_tables_and_plots_and_keeps_other_sets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--quick", "--sets", "tabletop", str(tmp_path)])
    assert "to go] tabletop" in capsys.readouterr().out
    assert (tmp_path / "tabletop.png").stat().st_size > 10_000
    rows = read(tmp_path / "structure.json")
    methods = {row.method for row in rows}
    assert {"jxl lossless", "png lossless", "webp lossless", "packets", "rate", "loss, told"} < methods
    text = written(rows)
    assert text == (tmp_path / "structure.md").read_text()
    assert "| tabletop | told | 1 | 0.3 |" in text
    both = write([replace(row, set="other") for row in rows], tmp_path)
    assert {row.set for row in both} == {"tabletop", "other"}


def test_a_set_lasts_by_going_to_and_fro() -> None:
    maps = [np.full((2, 2), k, np.uint8) for k in range(3)]
    ids = [one.astype(np.uint16) for one in maps]
    given = MapSet("drawn", [Sequence(name, maps, ids) for name in "abc"], 3, None, 10.0)
    long = lasting(given, 0.7, 15)
    assert [one.name for one in long.sequences] == ["a", "b"]
    for one in long.sequences:
        assert one.instances is not None
        assert (
            [int(m[0, 0]) for m in one.maps] == [int(m[0, 0]) for m in one.instances] == [0, 1, 2, 1, 0, 1, 2]
        )
    assert len(lasting(given, 0.7, 1).sequences) == 1
    assert [len(one.maps) for one in lasting(given, 0.1, 15).sequences] == [3, 3, 3]


def test_wrong_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--sets"):
        main(["--sets", "cityscapes", str(tmp_path)])


def test_parity_brings_units_back(maps: MapSet) -> None:
    coded = Encodings(maps).get(Mode(0.85, 3))
    clean = lossy(maps, coded, Code(0.0, 0.9, 2.0), 0.0, 1)
    bare, covered = (lossy(maps, coded, Code(parity, 0.9, 2.0), 0.4, 1) for parity in (0.0, 3.0))
    assert clean.miou == coded.row.miou
    assert bare.miou < covered.miou <= clean.miou
    assert cost(maps, coded, Code(3.0, 0.9, 2.0)) == covered.wire
    assert clean.wire == pytest.approx(maps.pixels * (coded.row.wire_bpp or 0) / 8)


def test_what_comes_after_its_time_is_not_shown(maps: MapSet) -> None:
    coded = Encodings(maps).get(Mode(0.85, 4))
    assert lossy(maps, coded, Code(0.0, 0.4, 0.3), 0.0, 1).miou < 0.5 * coded.row.miou


def test_reports_bring_back_what_was_lost() -> None:
    long = MapSet("drawn", sequences_of({"one": scenes(40)}), CLASSES, None, 10.0)
    coded = Encodings(long).get(Mode(0.85, 2, refresh=64))
    seeds = range(4)
    silent, told = (
        sum(lossy(long, coded, Code(0.0, 0.2, 1.0), 0.3, seed, told).miou for seed in seeds)
        for told in (False, True)
    )
    assert told > silent


@pytest.mark.parametrize("knows", KNOWS)
def test_trials_spend_the_rate_and_no_more(knows: str) -> None:
    made = Encodings(MapSet("drawn", sequences_of({"one": scenes(60)}), CLASSES, None, 10.0))
    base = made.get(Mode()).row
    row = loss_row(made, Trial(knows, 1.0, 0.3, 2))
    assert row.wire_bpp is not None and base.wire_bpp is not None
    assert row.parameters["floor"] > LOWEST  # a floor that low is where the rate is given up
    assert row.wire_bpp <= 1.5 * base.wire_bpp
    assert row.parameters["floor"] == HIGHEST or row.wire_bpp > 1.3 * base.wire_bpp


def test_parity_is_given_up_before_the_rate_is(maps: MapSet) -> None:
    made = Encodings(maps)
    wanted = Protection(0.5, 4, 0.4, 0.5, 5.0, 0.0)
    rate = 1.3 * cost(maps, made.get(Mode(LOWEST, 4)), Code(0.0, 0.4, 1.0)) / (maps.frames / maps.fps)
    coded, code = within(made, wanted, 1.0, rate, 0.0)
    assert 0 <= code.overhead < 5.0
    assert cost(maps, coded, code) <= rate * maps.frames / maps.fps


def test_lossless_peers_cost_more(maps: MapSet) -> None:
    sequence = maps.sequences[0].maps
    ours = adaptive_row(maps, 0.85).bpp * maps.pixels / 8
    assert min(structure_peers.lossless(name, sequence) for name in ("png", "webp", "jxl")) > 3 * ours


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
    text = structure_tables.written([tally, tally])
    found = json.loads(text)
    assert len(found) == 2 and all(len(one[name]) == CONTEXTS for one in found for name in ("zeros", "ages"))
    assert sum(map(sum, tally.seen)) > 500


@pytest.mark.skipif(not (DATA / "camvid").is_dir(), reason="needs ../shared/data")
def test_camvid_costs_less_than_the_papers_method() -> None:
    found = camvid(most=8)
    assert found.classes == 11
    ours, papers = adaptive_row(found, 0.85), paper_row(found, 256, 1, 6)
    assert ours.miou > 0.8
    assert ours.bpp < 0.4 * papers.bpp
