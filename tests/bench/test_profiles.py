"""The comparison of the profiles: its table, and that a job gives a cell for each loss."""

from __future__ import annotations

from pathlib import Path

from common.values import Size
from tests.bench import profiles
from tests.bench.profiles import Cell, Job, cells, table
from tests.bench.test_loss_sweep import scene, write


def cell(profile: str, clip: str, psnr: float) -> Cell:
    return Cell(profile, clip, 60.0, 0.1, "100", psnr, 0.9, 0.0, 1.0)


def test_table_compares_what_both_have() -> None:
    rows = [cell("resilient", "a", 30.0), cell("classic", "a", 31.5), cell("resilient", "b", 20.0)]
    (line,) = table(rows).splitlines()[2:]
    assert line.startswith("| 60 | 0.1 | 30.00 | 31.50 | +1.50 |") and "| 1/1 |" in line


def test_a_job_gives_a_cell_for_each_loss(tmp_path: Path) -> None:
    clip = write(tmp_path / "scene.mkv", scene(profiles.SETTLED + 8))
    job = Job("classic", clip, 120.0, (0.0, 0.2), Size(176, 176), profiles.SETTLED + 8, 100.0)
    good, bad = cells(job)
    assert (good.loss, bad.loss) == (0.0, 0.2)
    assert good.psnr >= bad.psnr > 10 and 0 < good.wire <= 1.03
