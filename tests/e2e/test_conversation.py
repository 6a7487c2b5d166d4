"""Both daemons talking to each other: keys, reports, restarts, another address, one way, many receivers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.measure import fresh
from tests.e2e.daemons import RX, Bench, daemons

pytestmark = pytest.mark.timeout(90)

LOSSY = ("--loss", "0.3", "--delay-ms", "20", "--seed", "5")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with daemons(tmp_path) as bench:
        yield bench


def two_way(bench: Bench) -> None:
    bench.wait("keys agreed", lambda: bench.sender_figure("two_way") == 1)


def reports_above(bench: Bench, count: float) -> None:
    bench.wait("reports", lambda: bench.sender_figure("reports_total") > count)


@pytest.mark.parametrize("mode", ["auto", "two-way"])
def test_keys_and_reports_at_loss_and_after_the_sender_has_moved(bench: Bench, mode: str) -> None:
    bench.receiver("--session.mode", mode)
    _, port = bench.relay(*LOSSY)
    bench.sender(port, None, "--session.mode", mode)
    two_way(bench)
    reports_above(bench, 3)
    bench.wait_shown(15)
    assert 0.0 < bench.sender_figure("rtt_seconds") < 1.0
    assert bench.ask_relay(roam=True) == {"ok": True}
    told, seen = bench.sender_figure("reports_total"), len(bench.shown())
    reports_above(bench, told + 2)
    bench.wait_shown(seen + 20)
    assert len(fresh(bench.shown()[seen:])) >= 12
    assert bench.sender_figure("two_way") == 1
    assert bench.figures().get(RX + "takeovers_total") == 1
    assert bench.figures().get(RX + "packets_dropped_total", reason="forged") == 0
    if mode == "two-way":
        assert bench.sender_figure("handshakes_total") == 1


@pytest.mark.parametrize(("mode", "lossy"), [("auto", False), ("two-way", True)])
def test_a_restarted_receiver_shows_pictures_within_three_seconds(
    bench: Bench, mode: str, lossy: bool
) -> None:
    """Without the relay the sender's socket meets the refusals of a host on which nobody listens."""
    first = bench.receiver("--session.mode", mode)
    port = bench.relay(*LOSSY)[1] if lossy else None
    bench.sender(port, None, "--session.mode", mode)
    two_way(bench)
    reports_above(bench, 1)
    assert bench.stop(first) == 0
    handshakes = bench.sender_figure("handshakes_total")
    bench.shown_log.unlink(missing_ok=True)
    second = bench.receiver("--session.mode", mode)
    bench.wait("the new receiver to listen", lambda: "event=listening" in second.log.read_text())
    listening = time.time()
    bench.wait_shown(1)
    assert bench.shown()[0].shown_at - listening < 3.0
    bench.wait("keys agreed again", lambda: bench.sender_figure("handshakes_total") > handshakes)
    told = bench.sender_figure("reports_total")
    reports_above(bench, told + 1)
    assert bench.sender_figure("two_way") == 1


@pytest.mark.parametrize(("sender", "receiver"), [("auto", "one-way"), ("one-way", "auto")])
def test_one_way_at_either_end_not_a_datagram_goes_back(bench: Bench, sender: str, receiver: str) -> None:
    bench.receiver("--session.mode", receiver)
    _, port = bench.relay(*LOSSY)
    bench.sender(port, None, "--session.mode", sender)
    bench.wait_shown(30)
    stats = bench.ask_relay(get="stats")
    assert stats["forward"]["received"] > 10
    assert stats["back"]["received"] == 0
    assert bench.sender_figure("two_way") == 0
    assert bench.sender_figure("reports_total") == 0


def test_two_receivers_of_a_group_show_the_same(bench: Bench, tmp_path: Path) -> None:
    bench.host = "239.195.7.9"
    (tmp_path / "other").mkdir()
    with daemons(tmp_path / "other") as other:
        other.key, other.host, other.udp_port = bench.key, bench.host, bench.udp_port
        receivers = [each.receiver("--interface", "lo") for each in (bench, other)]
        sender = bench.sender(None, None, "--multicast.interface", "lo")
        for each in (bench, other):
            each.wait_shown(15)
        assert bench.sender_figure("two_way") == 0
        assert bench.stop(sender) == 0
        counts = [each.figures().get(RX + "packets_total") for each in (bench, other)]
        assert counts[0] == counts[1] > 5
        assert [each.stop(child) for each, child in zip((bench, other), receivers, strict=True)] == [0, 0]
