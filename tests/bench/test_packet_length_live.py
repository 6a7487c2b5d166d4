"""The sender as a whole on a link with symbol errors and on links without: a minute and a half of each."""

from __future__ import annotations

import pytest

from tests.bench.packet_length_live import LINKS, LONG, play, rows, table

LINK = {link.key: link for link in LINKS}


def test_on_a_link_with_symbol_errors_shorter_packets_bring_more() -> None:
    own, usual = (play(LINK["ser"], 1, 90.0, adapt) for adapt in (True, False))
    assert usual.limit == LONG
    assert own.limit <= 500 and own.changed is not None and own.changed < 45
    assert own.kbps > 1.25 * usual.kbps
    assert own.shown > usual.shown + 0.03


@pytest.mark.parametrize("key", ["random", "shallow-loss"])
def test_on_other_links_packets_stay_long(key: str) -> None:
    own = play(LINK[key], 1, 90.0, True)
    assert own.lowest == LONG and own.limit == LONG


def test_table() -> None:
    [row] = rows([1], 80.0, ["weak"])
    assert row.passed == 1
    assert "| never |" in table([row]) and "| 1/1 |" in table([row])
