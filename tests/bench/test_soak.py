from __future__ import annotations

import pytest

from tests.bench import soak
from tests.bench.soak import Sample
from tests.demo.scrape import Figures
from tests.e2e.daemons import RX


def life(seconds: int, memory: float = 0.0, files: float = 0.0) -> list[Sample]:
    """A process that grows by so many MB and files a minute after a start in which it grows anyway."""
    settled = soak.SETTLE_SECONDS
    return [
        Sample(
            float(at),
            100.0 + min(at, settled) / 4 + memory * max(0.0, at - settled) / 60,
            20 + int(files * at / 60),
            7,
            0.3 * at,
        )
        for at in range(0, seconds + 1, 5)
    ]


def test_growth_while_settling_is_allowed() -> None:
    found = soak.change(life(600))
    assert found is not None
    assert found.complaints() == []
    assert found.memory_mb == (130.0, 130.0)


def test_growth_afterwards_is_told() -> None:
    found = soak.change(life(600, memory=2.0, files=1.0))
    assert found is not None
    assert found.complaints() == [
        "memory grew from 130.4 to 145.5 MB",
        "open files grew from 22 to 29",
    ]


@pytest.mark.parametrize("samples", [[], life(150)])
def test_a_short_life_is_not_judged(samples: list[Sample]) -> None:
    assert soak.change(samples) is None


def test_rows_line_up() -> None:
    assert soak.cpu_percent(life(600)) == pytest.approx(30.0)
    assert len(soak.row("receiver", life(600))) == soak.HEADER.index("   (after")
    assert soak.row("receiver", life(60)).endswith("too short to judge")


def test_memory_is_told_by_minute() -> None:
    assert soak.memory_by_minute(life(190)) == "100.0 115.0 130.0 130.0"


def test_repeated_pictures_do_not_count() -> None:
    first, last = (
        Figures.parse(f"{RX}frames_shown_total {shown}\n{RX}frames_repeated_total {repeated}\n")
        for shown, repeated in ((10, 2), (310, 12))
    )
    assert soak.fps_shown(first, last, 20.0) == pytest.approx(14.5)
