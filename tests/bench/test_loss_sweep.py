"""The loss sweep with contestants of known behaviour: rows, rates, lateness, resuming, order, errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from rich.console import Console

from common.video import Picture
from tests.bench import loss_sweep, trial
from tests.bench.contestant import Arrived, Channel, Encoded, Shown
from tests.bench.loss_sweep import UsageError, clip_files, contestants, kept_rows, run, sweep
from tests.bench.measures import Quality
from tests.bench.rows import Row, RowsError, load, save
from tests.bench.trial import Condition, Judge, Settings, Trial, TrialError, outcomes, rows_of

SIDE, FPS = 176, 15.0
SETTINGS = Settings(FPS, 500.0)
LOSSES = tuple(Condition(x, "iid", None, 0) for x in (0.0, 0.5, 0.9))


def scene(count: int, side: int = SIDE) -> list[Picture]:
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    luma = [(120 + 80 * np.sin((x + 3 * i) / 11) * np.cos(y / 7)).astype(np.uint8) for i in range(count)]
    return [np.concatenate((picture, np.full((side // 2, side), 128, np.uint8))) for picture in luma]


def write(path: Path, pictures: Sequence[Picture]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=15)
        stream.width, stream.height, stream.pix_fmt = (
            pictures[0].shape[1],
            pictures[0].shape[0] * 2 // 3,
            "yuv420p",
        )
        for picture in pictures:
            container.mux(stream.encode(VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(tmp_path / "scene.mkv", scene(18))


@dataclass(frozen=True)
class Fake:
    """Any packet brings its unit's pictures; without, the last ones stand, or grey in the second way of showing it."""

    name: str = "fake"
    code_rate: str = "1/2"
    share: float = 1.0

    def encode(self, pictures: list[Picture], fps: float, wire_kbps: float) -> Encoded:
        units = len(pictures) // 4
        size = round(self.share * wire_kbps * 125 * 4 / fps)
        return Encoded((2,) * units, (size,) * units, 4 * units, SIDE, SIDE, pictures)

    def decode(self, encoded: Encoded, arrived: list[Arrived]) -> Shown:
        assert isinstance(encoded.content, list)
        ways: Shown = [[], []]
        grey = last = np.full((SIDE * 3 // 2, SIDE), 128, np.uint8)
        for unit, came in enumerate(arrived):
            new = encoded.content[4 * unit : 4 * unit + 4]
            ways[0] += new if came.any() else [last] * 4
            ways[1] += new if came.any() else [grey] * 4
            last = ways[0][-1]
        return ways


@dataclass(frozen=True)
class Talker(Fake):
    """Shows grey until a report has come back."""

    name: str = "talker"

    def converse(
        self, pictures: list[Picture], fps: float, wire_kbps: float, channel: Channel, rtt_ms: float
    ) -> tuple[Encoded, Shown]:
        encoded, heard, arrived = self.encode(pictures, fps, wire_kbps), False, []
        for unit, packets in enumerate(encoded.unit_packets):
            came = channel(unit, packets)
            arrived.append(came & heard)
            heard = heard or channel.report(unit)
        return encoded, self.decode(encoded, arrived)


def one(clip: Path, who: Fake | None = None, conditions: tuple[Condition, ...] = LOSSES) -> Trial:
    return Trial(who or Fake(), clip, 60.0, SETTINGS, conditions)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Measures by a stand-in; how often stands in the list."""
    calls: list[int] = []

    def measure(sent: list[Picture], shown: list[Picture], fps: float) -> Quality:
        calls.append(len(shown))
        same = float(np.mean([np.array_equal(a, b) for a, b in zip(sent, shown, strict=True)]))
        return Quality(same, same, same, same, same, 1 - same, 0.0, len(shown))

    monkeypatch.setattr(trial, "measure", measure)
    return calls


def test_a_row_tells_all(clip: Path) -> None:
    good, _, bad = rows_of(one(clip))
    assert (good.contestant, good.code_rate, good.clip, good.frames) == ("fake", "1/2", "scene", 16)
    assert (good.wire_kbps_target, good.wire_kbps, good.over_rate, good.late_units) == (60.0, 60.0, False, 0)
    assert (good.channel, good.feedback, good.seed, good.fps, good.delay_ms) == (
        "iid",
        "none",
        0,
        15.0,
        500.0,
    )
    assert good.psnr == 100.0
    assert good.ms_ssim == good.haarpsi == 1.0
    assert good.frozen_share == good.longest_freeze_s == 0.0
    assert (bad.psnr, bad.vmaf) < (good.psnr, good.vmaf)
    assert list(rows_of(one(clip))) == [good, *rows_of(one(clip, conditions=LOSSES[1:]))]


def test_the_same_pictures_are_measured_once(clip: Path, quick: list[int]) -> None:
    seeds = tuple(Condition(0.0, "iid", None, seed) for seed in range(5))
    assert len(list(rows_of(one(clip, conditions=seeds)))) == 5
    assert len(quick) == 1


def test_the_way_that_looks_better_counts() -> None:
    sent = scene(4)
    near = [np.clip(p.astype(np.int16) + 3, 0, 255).astype(np.uint8) for p in sent]
    grey = [np.full_like(p, 128) for p in sent]
    judge = Judge(sent, FPS)
    assert judge.chosen([grey, near]) is near
    assert judge.chosen([near, list(near)]) is near


def test_who_cannot_keep_the_rate_is_marked_and_not_late(clip: Path, quick: list[int]) -> None:
    row = next(rows_of(one(clip, Fake(share=1.5))))
    assert (row.over_rate, row.wire_kbps, row.late_units) == (True, 90.0, 0)
    assert not next(rows_of(one(clip, Fake(share=1.02)))).over_rate


def test_a_late_unit_is_lost_without_loss(clip: Path, quick: list[int]) -> None:
    @dataclass(frozen=True)
    class Bulky(Fake):
        def encode(self, pictures: list[Picture], fps: float, wire_kbps: float) -> Encoded:
            even = Fake.encode(self, pictures, fps, wire_kbps)
            return replace(even, unit_bytes=(4000, 1000, 1500, 1500))

    row = next(rows_of(one(clip, Bulky())))
    assert (row.late_units, row.frozen_share) == (1, 0.25)


def test_feedback_reaches_who_can_use_it(clip: Path, quick: list[int]) -> None:
    with_reports = Condition(0.0, "iid", 100.0, 0)
    talker, deaf = (next(rows_of(one(clip, who, (with_reports,)))) for who in (Talker(), Fake()))
    assert talker.feedback == deaf.feedback == "100"
    assert (talker.psnr, deaf.psnr) == (0.75, 1.0)  # the first unit was sent before any report
    alone = next(rows_of(one(clip, Talker(), (Condition(0.0, "iid", None, 0),))))
    assert (alone.feedback, alone.psnr) == ("none", 1.0)


def test_everyone_meets_the_same_losses(clip: Path) -> None:
    sent = scene(16)
    shown = [[o.ways[0] for o in outcomes(one(clip, who), sent)] for who in (Fake("a"), Fake("b"))]
    assert all(np.array_equal(x, y) for x, y in zip(*shown, strict=True))


def test_rows_survive_their_file_in_one_order(clip: Path, tmp_path: Path, quick: list[int]) -> None:
    rows = [row for who in (Fake("b"), Fake("a", "1/8"), Fake("a", "3/4")) for row in rows_of(one(clip, who))]
    first, second = tmp_path / "1.json", tmp_path / "2.json"
    save(first, rows)
    save(second, rows[::-1])
    assert first.read_bytes() == second.read_bytes()
    assert [(r.contestant, r.code_rate) for r in load(first)][::3] == [
        ("a", "1/8"),
        ("a", "3/4"),
        ("b", "1/2"),
    ]
    assert set(load(first)) == set(rows)


@pytest.mark.parametrize(
    ("text", "told"), [("{", "not JSON"), ("{}", "not a list"), ('[{"a": 1}]', "has no")]
)
def test_a_file_of_something_else_is_refused(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(RowsError, match=told):
        load(path)


def quiet() -> Console:
    return Console(quiet=True)


def test_what_stands_in_the_file_is_not_made_again(clip: Path, tmp_path: Path, quick: list[int]) -> None:
    out, whole = tmp_path / "rows.json", tmp_path / "whole.json"
    trials = [one(clip, Fake("a")), one(clip, Fake("b"))]
    sweep([one(clip, Fake("a"), LOSSES[:2])], [], out, 1, quiet())
    made = len(quick)
    sweep(trials, kept_rows(out, SETTINGS, []), out, 1, quiet())
    sweep(trials, [], whole, 1, quiet())
    assert out.read_bytes() == whole.read_bytes()
    made = len(quick)
    sweep(trials, kept_rows(out, SETTINGS, []), out, 1, quiet())
    assert len(quick) == made
    assert {row.contestant for row in kept_rows(out, SETTINGS, ["a"])} == {"b"}


def test_an_interrupted_sweep_leaves_its_rows(
    clip: Path, tmp_path: Path, quick: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(self: Fake, encoded: Encoded, arrived: list[Arrived]) -> Shown:
        calls.append(encoded)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return decode(self, encoded, arrived)

    decode, calls = Fake.decode, list[Encoded]()
    monkeypatch.setattr(Fake, "decode", stopped)
    with pytest.raises(KeyboardInterrupt):
        sweep([one(clip)], [], tmp_path / "rows.json", 1, quiet())
    assert len(load(tmp_path / "rows.json")) == 2


def test_other_settings_do_not_mix(clip: Path, tmp_path: Path, quick: list[int]) -> None:
    out = tmp_path / "rows.json"
    sweep([one(clip)], [], out, 1, quiet())
    with pytest.raises(UsageError, match=r"other settings \(fps 15.0 there, 30.0 here\)"):
        kept_rows(out, Settings(30.0, 500.0), [])


def test_processes_make_the_same_rows(clip: Path) -> None:
    trials = [one(clip, Fake(name), LOSSES[::2]) for name in ("a", "b")]

    def made(jobs: int) -> list[Row]:
        return sorted((row for _, row in run(trials, jobs)), key=lambda row: row.key)

    assert made(1) == made(2)


def test_contestants_by_name() -> None:
    everyone = contestants(["resilient", "x265", "x265"], [Fraction(1), Fraction(3, 4)], 500.0)
    assert [(c.name, c.code_rate) for c in everyone] == [("resilient", ""), ("x265", "1"), ("x265", "3/4")]
    with pytest.raises(
        UsageError, match="no contestant 'h266'; there are resilient, classic, x264, x265, svtav1"
    ):
        contestants(["h266"], [Fraction(1)], 500.0)


def test_clips_are_files_and_folders(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    assert clip_files([tmp_path, clip]) == [clip]


def test_clips_that_cannot_be_measured_are_named(clip: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    cases = {
        tmp_path / "absent.mp4": "cannot be read",
        broken: "cannot be read",
        write(tmp_path / "short.mkv", scene(3)): "shorter than the 4 frames",
        write(tmp_path / "small.mkv", scene(4, 96)): "96x96 is too small",
    }
    for path, told in cases.items():
        with pytest.raises(UsageError, match=told):
            clip_files([path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no videos"):
        clip_files([tmp_path / "empty"])
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match="one name"):
        clip_files([clip, write(tmp_path / "other" / "scene.mkv", scene(4))])


def test_errors_of_a_contestant_say_whose(clip: Path) -> None:
    @dataclass(frozen=True)
    class Failing(Fake):
        def encode(self, pictures: list[Picture], fps: float, wire_kbps: float) -> Encoded:
            raise ValueError("sides must be multiples of 16")

    with pytest.raises(TrialError, match="scene, fake 1/2, 60 kbit/s: sides must"):
        list(rows_of(one(clip, Failing())))


def test_the_command_line_from_clip_to_table(
    clip: Path,
    tmp_path: Path,
    quick: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        loss_sweep, "contestants", lambda names, rates, delay: [Fake("resilient", ""), Fake("x265")]
    )
    out, plots = tmp_path / "rows.json", tmp_path / "plots"
    command = [
        "--clips",
        str(clip),
        "--wire-kbps",
        "60",
        "--loss",
        "0",
        ".9",
        "--seeds",
        "2",
        "--out",
        str(out),
    ]
    assert loss_sweep.main([*command, "--plot", str(plots)]) == 0
    assert "| x265 | 1/2 | 60.0 | 1.00 |" in capsys.readouterr().out
    assert len(load(out)) == 8
    assert sorted(p.name for p in plots.iterdir()) == [
        f"iid-60kbps-{m}.png" for m in ("ms_ssim", "psnr", "vmaf")
    ]
    before = out.read_bytes()
    assert loss_sweep.main(command) == 0
    assert out.read_bytes() == before
    assert loss_sweep.main([*command, "--fps", "30"]) == 1
    assert "other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--loss", "1.5"], "share between 0 and 1"),
        (["--code-rates", "2"], "not a code rate"),
        (["--wire-kbps", "0"], "above 0"),
        (["--feedback", "soon"], "none or a time"),
        (["--seeds", "0"], "at least 1"),
        (["--channel", "bursty"], "invalid choice"),
    ],
)
def test_wrong_options_are_explained(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        loss_sweep.main(["--clips", "a.mp4", *arguments])
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--delay-ms", "150"], "--delay-ms: a delay of 150 ms"),
        (["--contestants", "h266"], "no contestant 'h266'"),
        (["--again", "resilient", "--contestants", "x265"], "not among --contestants"),
    ],
)
def test_mistakes_end_with_one_line(
    arguments: list[str], told: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert loss_sweep.main(["--clips", str(clip), *arguments]) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
