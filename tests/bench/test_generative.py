"""The generative bench: rates are kept and told, measures mean what they say, and a run leaves its files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from common.models.diffusion import vocabulary
from common.video import Picture
from tests.bench import generative
from tests.bench.generative_decoder import Decoding, load_decoder
from tests.bench.generative_delay import lateness
from tests.bench.generative_measures import Judge
from tests.bench.generative_peers import Peers, Setting, settings
from tests.bench.generative_report import load, merged, report
from tests.bench.generative_run import Row
from tests.bench.generative_sets import TAIL, Clip, Wanted, evaluation, fitted, there_and_back
from tests.bench.generative_wire import Known, Link, Sent, Shown, frame_of

WANTED = Wanted(side=192, frames=3, seconds=2.5, clips=1)
ROW = Row("a", "b", "9x9", 10, 2, "ours, 1 step", "", 1.9, 20, 0.8, 0.5, 30, 0.4, "matte", 3, 0, None, 0.1, 3)


@pytest.fixture(scope="module")
def clip() -> Clip:
    return next(evaluation("tabletop", Path(), WANTED))


def test_clips_go_to_and_fro_and_have_sizes_that_fit() -> None:
    assert [there_and_back(i, 3) for i in range(7)] == [0, 1, 2, 1, 0, 1, 2]
    assert [there_and_back(i, 1) for i in range(2)] == [0, 0]
    assert str(fitted(480, 360, 256)) == "352x256" and str(fitted(480, 360, 352)) == "480x352"


def test_rates_are_kept_and_both_parts_arrive(clip: Clip) -> None:
    source = Known(clip.maps())
    both = Link(clip, source, 7.0, 0.5).run()
    assert both.texture_kbps > 0 and both.contour_kbps > 0 and both.kbps <= 7.0
    last = both.frames[-1]
    assert len(both.frames) == 3 and last.texture is not None and last.labels is not None
    exact = source.map(frame_of(clip, len(clip.pictures) - TAIL - 1))
    assert exact is not None and (last.labels == exact.labels).mean() > 0.9
    alone = Link(clip, source, 7.0, 0.0).run()
    assert alone.contour_kbps == 0 and both.texture_kbps < alone.texture_kbps <= 7.0
    assert alone.frames[-1].labels is None


def test_decoder_uses_what_it_is_told(clip: Clip) -> None:
    maps, frame = clip.maps(), frame_of(clip, 3)
    found, trust = maps.map(frame), np.full((12, 12), 0.5, np.float32)
    assert found is not None
    decoder = load_decoder(None, "cpu")
    sent = Sent(maps.legend, frames=[Shown(frame.picture, trust, found.labels, trust)] * 2)
    shown, seconds = decoder.shown(sent, Decoding(strength=0.3))
    again, _ = decoder.shown(sent, Decoding(strength=0.3))
    noise, _ = decoder.shown(sent, Decoding(strength=0.3, restoration=False))
    assert seconds > 0 and len(shown) == 2 and shown[0].shape == clip.pictures[0].shape
    assert (shown[0] == again[0]).all() and np.abs(shown[0].astype(int) - noise[0]).mean() > 1
    whole = decoder.inputs(sent.frames[0], maps.legend, Decoding(lambda_c=0.2))
    assert whole.control is not None and whole.texture is not None and whole.texture_trust is not None
    assert whole.control.shape[1] == vocabulary.CLASSES and bool((whole.control.sum(1) == 1).all())
    assert whole.lambda_c == 0.2 and float(whole.texture_trust.mean()) == 0.5
    bare = decoder.inputs(sent.frames[0], maps.legend, Decoding(control=False, restoration=False))
    assert bare.control is None and bare.texture is None


@pytest.mark.parametrize("codec", ["libx265", "libsvtav1"])
def test_peers_keep_the_rate_and_are_kept(clip: Clip, codec: str, tmp_path: Path) -> None:
    peers = Peers(clip.pictures, clip.fps, tmp_path)
    tried = list(settings(codec, clip.pictures, clip.fps, 7.0))
    setting = next(one for one in tried if one.step == 4)
    found = peers.best(setting, 7.0)
    assert found is not None and 3.5 < found.kbps <= 7.0 and len(found.shown) == len(clip.pictures)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = Peers(clip.pictures, clip.fps, tmp_path).best(setting, 7.0)
    assert again is not None and again.kbps == found.kbps
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert peers.best(Setting(codec, setting.shrink, 1), 0.3) is None
    for live in found.live:
        soon, late = peers.best(live, 7.0, 1.6), peers.best(live, 7.0, 3.0)
        assert soon is not None and late is not None and soon.kbps <= late.kbps <= 7.0
        assert peers.best(live, 7.0, 0.1) is None  # two pictures are .4 s apart


def test_a_picture_is_late_by_what_comes_before_it() -> None:
    one_kbit = 125
    assert lateness([(one_kbit, 0), (one_kbit, 1)], [0, 1], 1.0, 1.0) == 1.0
    assert (
        lateness([(3 * one_kbit, 0), (one_kbit, 1)], [0, 1], 1.0, 1.0) == 3.0
    )  # the first waits for all of it
    assert (
        lateness([(one_kbit, 0), (one_kbit, 2), (one_kbit, 1)], [0, 1, 2], 1.0, 1.0) == 3.0
    )  # 1 waits for 2
    assert (
        lateness([(one_kbit, 0), (one_kbit, 1)], [0, 4], 1.0, 1.0) == 4.0
    )  # frames 1 to 3 are mixed of both


def test_measures(clip: Clip) -> None:
    rng = np.random.default_rng(1)
    moving = [np.ascontiguousarray(np.roll(scene(), 2 * i, axis=1)) for i in range(3)]
    judge = Judge(replace(clip, pictures=[*moving, *moving[:1] * TAIL], since=0))
    assert judge.warping(moving) < 3 < judge.warping([moving[0], moving[2], moving[1]])
    noise = [noisy(one, rng) for one in moving]
    assert judge.warping(moving) + 5 < judge.warping(noise)
    labels = [np.repeat(np.array([[0, 1]], np.uint8), 4, 1)] * 3
    judge.__dict__["truth"] = labels
    assert judge.miou(labels) == 1.0 and judge.miou([np.zeros_like(one) for one in labels]) == 0.25
    judge.__dict__["truth"] = [np.zeros_like(one) for one in labels]
    assert judge.miou(labels) is None


def scene() -> Picture:
    luma = np.random.default_rng(3).integers(30, 220, (24, 24)).astype(np.uint8)
    large = cv2.resize(luma, (192, 192), interpolation=cv2.INTER_CUBIC)
    return np.vstack((large, np.full((96, 192), 128, np.uint8)))


def noisy(picture: Picture, rng: np.random.Generator) -> Picture:
    return np.clip(picture + rng.normal(0, 12, picture.shape), 16, 235).astype(np.uint8)


def test_rows_replace_those_of_their_kind(tmp_path: Path) -> None:
    rows = merged([ROW, replace(ROW, kbps=7)], [replace(ROW, psnr=21, wire_kbps=2.5)])
    assert [(row.kbps, row.psnr) for row in rows] == [(2, 21), (7, 20)]
    text = report(rows)
    assert (
        "| 2 | ours, 1 step | 2.50 **(over)** | 21.00 |" in text
        and "| 7 | ours, 1 step | 1.90 | 20.00 |" in text
    )
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(SystemExit, match="no rows of this bench"):
        load(tmp_path / "x.json")


def test_a_quick_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--quick", "--sets", "tabletop", "--threads", "1", "--cache", str(tmp_path / "cache")]
    assert generative.main([*options, str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "generative.json").read_text())["rows"]
    names = {row["contestant"] for row in rows}
    assert {
        "source",
        "autoencoder alone",
        "texture (structure)",
        "ours, 1 step",
        "lambda_C = 0, half",
    } <= names
    assert all(row["wire_kbps"] <= row["kbps"] for row in rows)
    assert (tmp_path / "strip-tabletop-00000-192x192.jpg").stat().st_size > 10_000
    assert "| 14 | ours, 1 step (1 step) |" in (tmp_path / "generative.md").read_text()
    assert "to go]" in capsys.readouterr().out


NO_WEIGHTS = ["--weights", "/no"]
"""So that nothing runs, whatever else is taken."""


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--sets", "moon", "--weights", "toy"], "--sets: must be of"),
        (["--training", *NO_WEIGHTS], "--training: give a DIR"),
        (["--variants", "speed=1", *NO_WEIGHTS], "--variants: must be strength=X"),
        (["--variants", "strength=full", *NO_WEIGHTS], "--variants: 'full' is no number"),
        (
            ["--variants", "strength=0", *NO_WEIGHTS],
            "--variants: strength must be above 0 and at most 1 (got 0)",
        ),
        (["--strength", "0", *NO_WEIGHTS], "--strength: strength must be above 0 and at most 1 (got 0)"),
        (["--strength", "1.5", *NO_WEIGHTS], "--strength: strength must be above 0 and at most 1 (got 1.5)"),
        (NO_WEIGHTS, "--weights /no"),
    ],
)
def test_wrong_options_are_told(wrong: list[str], told: str) -> None:
    with pytest.raises(SystemExit) as refused:
        generative.main(wrong)
    assert str(refused.value).startswith(told)
