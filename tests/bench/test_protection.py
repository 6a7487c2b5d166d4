"""The tables of delivery classes: their rows, and that what they say of the codes holds."""

from __future__ import annotations

import pytest

from proto.protection import Losses, failures
from tests.bench import protection


def test_zfec_never_fails_from_k_symbols() -> None:
    coding, rebuilding, exact, one_more = protection.code_row(protection.zfec_coder(), 5, rounds=3, trials=30)
    assert coding > 0.0
    assert rebuilding > 0.0
    assert (exact, one_more) == (0.0, 0.0)


def test_the_simulated_link_fails_as_expected() -> None:
    losses = Losses(0.3, 4.0)
    seen = protection.simulated(losses, 4, 8, windows=4000)
    assert seen == pytest.approx(failures(4, losses)[4], abs=0.03)


def test_without_loss_a_message_takes_the_delay() -> None:
    times, sent = protection.two_way_times(0.0, 0.05, 10)
    assert times == pytest.approx([0.05] * 10)
    assert sent == 1.0
    assert protection.one_way_times(0.0, 10) == pytest.approx([0.0] * 10)


def test_loss_costs_time_but_no_message() -> None:
    times, sent = protection.two_way_times(0.8, 0.05, 30)
    assert len(times) == 30
    assert min(times) >= 0.05 - 1e-9
    assert sent > 3.0
    assert len(protection.one_way_times(0.5, 30)) >= 28


def test_the_command_prints_the_tables_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert protection.main(["delivery", "--quick"]) == 0
    text = capsys.readouterr().out
    assert "| one-way | 80% |" in text
    assert "codes" not in text
    with pytest.raises(SystemExit):
        protection.main(["nothing"])
    assert "tables: must be of codes, parity, delivery (got nothing)" in capsys.readouterr().err
