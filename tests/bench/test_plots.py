"""Plots and strips are drawn, hold what they should, and are the same each time."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from tests.bench import plots, strips
from tests.bench.plots import LEADING, draw, plot
from tests.bench.report import comparisons
from tests.bench.rows import Row, save
from tests.bench.strips import best_peer, compose, strip
from tests.bench.test_loss_sweep import Fake, one, scene, write
from tests.bench.test_report import OURS, OVER, STRONG, WEAK

PNG = b"\x89PNG"


def test_a_plot_shows_ours_best_fixed_and_oracle() -> None:
    (group,) = comparisons(OURS + WEAK + STRONG + OVER)
    figure = plot(group, "ms_ssim")
    (legend,) = figure.legends
    named = [text.get_text() for text in legend.get_texts()]
    assert named[:3] == ["resilient", "best fixed peer: x265 1/4", "oracle: best peer at each loss"]
    assert set(named[3:]) == {"x264, by code rate", "x265, by code rate"}
    (axes,) = figure.axes
    assert axes.get_ylim() == (0.0, 1.0)
    assert {text.get_text() for text in axes.texts} == {"3/4", "1/4", "1/8(!)"}


@pytest.mark.parametrize("some", [OURS, STRONG, OVER])
def test_whoever_is_there_is_drawn(some: list[Row]) -> None:
    (group,) = comparisons(some)
    assert len(plot(group, "psnr").axes[0].lines) >= 1


def test_the_same_rows_give_the_same_files(tmp_path: Path) -> None:
    rows = OURS + STRONG
    first, second = draw(rows, tmp_path / "a", ["psnr"]), draw(rows[::-1], tmp_path / "b", ["psnr"])
    assert [p.name for p in first] == ["iid-60kbps-psnr.png"]
    assert first[0].read_bytes() == second[0].read_bytes()
    assert first[0].read_bytes().startswith(PNG)


def test_the_command_line_draws_a_file_of_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "rows.json", OURS)
    assert plots.main([str(tmp_path / "rows.json"), str(tmp_path / "out"), "--measures", "vmaf"]) == 0
    assert (tmp_path / "out" / "iid-60kbps-vmaf.png").exists()
    assert plots.main([str(tmp_path / "absent.json"), str(tmp_path)]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_labels_keep_their_distance() -> None:
    assert plots._apart([0.0, 100.0]) == [0.0, 100.0]
    moved = plots._apart([10.0, 11.0, 12.0, 40.0, 41.0])
    assert moved[1] == pytest.approx(11.0)
    assert all(b - a >= LEADING - 1e-9 for a, b in itertools.pairwise(moved))


def test_a_strip_holds_the_middle_frame_at_each_loss(tmp_path: Path) -> None:
    clip = write(tmp_path / "scene.mkv", scene(16))
    made = strip(one(clip, Fake("resilient", "")))
    assert made.label == "scene\nresilient"
    assert np.array_equal(made.sent, scene(16)[8])
    assert made.cells[0].psnr == 100.0
    assert len(made.cells) == 3
    figure = compose([made, made], [0.0, 0.5, 0.9], "title")
    assert [axes.get_title() for axes in figure.axes][:2] == ["sent", "loss 0: 100.0 dB, 1.00"]


def test_the_peer_of_a_strip_is_the_best_fixed_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "rows.json", OURS + STRONG + WEAK)
    assert best_peer(tmp_path / "rows.json", 60.0) == ("x265", "1/4")
    command = ["--clips", "absent.mp4", "--out", str(tmp_path / "strip.png")]
    for more, told in (
        ([], "say which peer"),
        (["--rows", str(tmp_path / "rows.json"), "--wire-kbps", "30"], "no peer at 30"),
        (["--peer", "x265", "many"], "not a code rate"),
        (["--peer", "x265", "1/2"], "absent.mp4"),
    ):
        assert strips.main([*command, *more]) == 1
        assert told in capsys.readouterr().err
