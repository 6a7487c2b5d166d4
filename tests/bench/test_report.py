"""Tables, best fixed peer, oracle, and the verdicts on the targets, on made-up rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import report, targets
from tests.bench.report import comparisons, table, tables
from tests.bench.rows import Row, save
from tests.bench.targets import LOSSES, Finding, check

Curve = Callable[[float], float]


def rows(
    who: str, rate: str, curve: Curve, kbps: float = 60.0, clip: str = "akiyo_square", feedback: str = "none",
    true: float | None = None, frozen: float = 0.0,
) -> list[Row]:  # fmt: skip
    """At every loss a quality of `curve`, 0..1; PSNR and VMAF follow it."""
    return [
        Row(
            contestant=who, code_rate=rate, clip=clip, wire_kbps_target=kbps, wire_kbps=true or kbps,
            over_rate=bool(true), loss=loss, channel="iid", feedback=feedback, seed=0,
            psnr=10 + 20 * curve(loss), ms_ssim=curve(loss), ssim_db=10.0, vmaf=100 * curve(loss), haarpsi=curve(loss),
            frozen_share=frozen, longest_freeze_s=frozen, frames=88, late_units=0, fps=15.0, delay_ms=500.0,
            frames_limit=None,
        )
        for loss in LOSSES
    ]  # fmt: skip


def cliff(height: float, at: float) -> Curve:
    return lambda loss: height if loss < at else 0.2


WEAK, STRONG = rows("x265", "3/4", cliff(0.9, 0.25)), rows("x265", "1/4", cliff(0.7, 0.75))
OURS = rows("resilient", "", lambda loss: 0.9 - 0.2 * loss)
OVER = rows("x264", "1/8", cliff(0.95, 1.0), true=90.0)


def only(all_rows: list[Row]) -> report.Comparison:
    (group,) = comparisons(all_rows)
    return group


def test_the_best_fixed_peer_is_best_on_average() -> None:
    group = only(OURS + WEAK + STRONG)
    fixed = group.best_fixed("ms_ssim")
    assert fixed is not None
    assert fixed.label == "x265 1/4"
    assert fixed.mean == pytest.approx((0.7 * 6 + 0.2 * 2) / 8)


def test_the_oracle_takes_the_best_at_each_loss() -> None:
    oracle = only(OURS + WEAK + STRONG).oracle("ms_ssim")
    assert oracle is not None
    assert list(oracle.values.values()) == [0.9, 0.9, 0.9, 0.7, 0.7, 0.7, 0.2, 0.2]


def test_less_is_better_where_it_is() -> None:
    group = only(rows("x264", "1", cliff(0.5, 1), frozen=0.5) + rows("x265", "1", cliff(0.5, 1), frozen=0.1))
    for line in (group.best_fixed("frozen_share"), group.oracle("frozen_share")):
        assert line is not None
        assert line.mean == pytest.approx(0.1)


def test_who_needs_more_than_the_rate_is_marked_and_no_rival() -> None:
    text = table(only(STRONG + OVER), "ms_ssim")
    assert "| x264 | 1/8 | 90.0 (!) | 0.950 |" in text
    assert "| **best fixed peer** | x265 1/4 | 60.0 | 0.700 |" in text
    assert "(!) needed more" in text
    barely = rows("x264", "1/8", cliff(0.95, 1.0), true=61.5)
    assert "| **best fixed peer** | x264 1/8 |" in table(only(STRONG + barely), "ms_ssim")


def test_what_is_not_measured_everywhere_is_no_rival() -> None:
    second = rows("x265", "1/4", cliff(0.7, 0.75), clip="foreman_square")
    text = table(only(STRONG + second + WEAK), "ms_ssim")
    assert "| x265 | 3/4 | 60.0 (part) |" in text
    assert "| **best fixed peer** | x265 1/4 |" in text
    half = table(only(STRONG + WEAK[:2]), "ms_ssim")
    assert "| 0.900 | 0.900 | - | - | - | - | - | - | - |" in half


def test_late_units_are_told() -> None:
    late = [replace(row, late_units=11) for row in STRONG]
    assert "lost on every link: x265 1/4 50.0 %." in table(only(OURS + late), "psnr")
    assert "lost on every link" not in table(only(OURS + STRONG), "psnr")


def test_ours_stands_first_and_rates_fall() -> None:
    text = tables(WEAK + STRONG + OURS)
    assert text.count("###") == 3
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[:2] for line in lines[1:4]] == [
        ["| resilient", ""],
        ["| x265", "3/4"],
        ["| x265", "1/4"],
    ]
    assert tables([]) == "No rows."
    assert tables(WEAK + STRONG + OURS) == tables(OURS + STRONG + WEAK)


def test_rates_channels_and_feedback_have_tables_of_their_own() -> None:
    mixed = (
        OURS
        + rows("resilient", "", cliff(0.5, 1), kbps=30.0)
        + rows("resilient", "", cliff(0.5, 1), feedback="100")
    )
    assert [group.title for group in comparisons(mixed)] == [
        "30 kbit/s, iid, no feedback",
        "60 kbit/s, iid, no feedback",
        "60 kbit/s, iid, feedback after 100 ms",
    ]


def found(findings: list[Finding], target: str, about: str) -> Finding:
    (one,) = [f for f in findings if f.target == target and f.about == about]
    return one


def test_targets_are_met_or_missed_by_how_much() -> None:
    findings = check(OURS + WEAK + STRONG)
    graceful = found(findings, "1", "60 kbit/s loss 0.9 PSNR")
    assert graceful.verdict == "met"
    assert graceful.by == pytest.approx(4.4)
    ahead = found(findings, "2", "60 kbit/s MS-SSIM")
    assert ahead.verdict == "met"
    assert ahead.by == pytest.approx(0.9 - 0.2 * sum(LOSSES) / 8 - 0.575)
    assert "x265 1/4" in str(ahead)
    assert found(findings, "2", "60 kbit/s loss 0.3 MS-SSIM").by == pytest.approx(0.84 - 0.7)
    close = found(findings, "3", "60 kbit/s loss 0.1 MS-SSIM")
    assert close.verdict == "met"
    assert close.by == pytest.approx(0.02)
    assert found(findings, "5", "60 kbit/s loss 0.7 VMAF").by == pytest.approx(6.0)
    assert found(findings, "1", "120 kbit/s loss 0.9 PSNR").verdict == "not measured"
    assert found(findings, "4", "feedback").verdict == "not measured"


def test_being_equal_is_not_being_ahead_but_it_is_close() -> None:
    same = cliff(0.7, 0.75)
    findings = check(rows("resilient", "", same) + rows("x265", "1/2", same))
    assert found(findings, "2", "60 kbit/s PSNR").verdict == "missed"
    assert found(findings, "5", "60 kbit/s loss 0.9 PSNR").verdict == "missed"
    assert found(findings, "3", "60 kbit/s loss 0 PSNR").verdict == "met"


def test_a_frozen_frame_misses_the_first_target() -> None:
    findings = check(rows("resilient", "", cliff(0.9, 1), frozen=0.01))
    assert found(findings, "1", "60 kbit/s").verdict == "missed"


def test_feedback_has_to_pay_on_still_clips_and_to_harm_none() -> None:
    def ours(clip: str, quality: float, feedback: str = "none") -> list[Row]:
        return rows("resilient", "", cliff(quality, 1), clip=clip, feedback=feedback)

    alone = ours("akiyo_square", 0.5) + ours("football_square", 0.5)
    better = ours("akiyo_square", 0.6, "100") + ours("football_square", 0.49, "100")
    one = [f for f in check(alone, better) if f.target == "4" and f.about == "60 kbit/s loss 0.3 PSNR"]
    assert [f.verdict for f in one] == ["met", "missed"]
    assert [f.by for f in one] == [pytest.approx(0.5), pytest.approx(-0.2)]
    assert "football_square" in str(one[1])
    other = check(alone, better, static=["football_square"])
    assert [f.verdict for f in other if f.target == "4" and "loss 0.3" in f.about] == ["missed", "missed"]


def test_the_command_line_prints_tables_and_verdicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.json"
    save(path, OURS + WEAK + STRONG)
    assert report.main([str(path), "--measures", "haarpsi"]) == 0
    assert "60 kbit/s, iid, no feedback: HaarPSI" in capsys.readouterr().out
    code = report.main([str(path), "--check"])
    told = capsys.readouterr().out
    assert "targets: " in told
    assert code == ("0 missed" not in told.splitlines()[-2])
    assert report.main([str(tmp_path / "absent.json")]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_the_still_clips_are_of_the_public_set() -> None:
    assert all(name.endswith("_square") for name in targets.STATIC)
