from __future__ import annotations

from typing import Any

import pytest

from tests.bench.link.draws import Direction
from tests.bench.link.impairments import Impairments, fields_of, settings_of
from tests.bench.link.model import Link

EVERYTHING = Impairments(
    loss=0.2, burst=3.0, delay_s=0.02, jitter_s=0.02, reorder=0.1, duplicate=0.1, corrupt=0.1, symbol_errors=1e-4,
    damaged="deliver", rate_kbps=900.0, outages=((1.0, 0.3),),
)  # fmt: skip


def run(link: Link, packets: int = 3000) -> list[list[tuple[float, bytes]]]:
    return [link.transfer(n.to_bytes(2) * 50, n * 0.001) for n in range(packets)]


def test_a_run_repeats_itself_and_each_direction_is_its_own() -> None:
    first = run(Link(EVERYTHING, 4))
    assert run(Link(EVERYTHING, 4)) == first
    assert run(Link(EVERYTHING, 5)) != first
    assert run(Link(EVERYTHING, 4, Direction.BACK)) != first


def test_counts_add_up() -> None:
    link = Link(EVERYTHING, 9)
    deliveries = [copy for copies in run(link) for copy in copies]
    counts = link.counts
    assert counts.forwarded == len(deliveries)
    gone = counts.lost + counts.damaged + counts.outage + counts.overflow
    assert counts.received == 3000 == counts.forwarded - counts.duplicated + gone
    assert min(counts.lost, counts.damaged, counts.outage, counts.overflow) > 0
    assert min(counts.duplicated, counts.corrupted, counts.reordered) > 0
    assert counts.wire_bytes == 3000 * 128
    assert counts.wire_bytes_out == counts.forwarded * 128
    told = counts.told()
    assert told["loss_observed"] == pytest.approx(gone / 3000, abs=1e-4)
    assert told["lost"] == counts.lost


def test_delay_jitter_and_order() -> None:
    link = Link(Impairments(delay_s=0.05, jitter_s=0.03), 3)
    sent = [n * 0.1 for n in range(2000)]
    times = [link.transfer(b"abc", now)[0][0] for now in sent]
    late = [at - now for at, now in zip(times, sent, strict=True)]
    assert all(0.05 - 1e-9 <= delay <= 0.08 + 1e-9 for delay in late)
    assert sum(late) / len(late) == pytest.approx(0.065, abs=0.001)
    close = Link(Impairments(delay_s=0.05, jitter_s=0.03), 3)
    times = [close.transfer(b"abc", n * 0.001)[0][0] for n in range(500)]
    assert times == sorted(times)


def test_reordered_packets_are_overtaken() -> None:
    link = Link(Impairments(reorder=0.1, reorder_s=0.0205), 3)
    times = [link.transfer(b"abc", n * 0.001)[0][0] for n in range(5000)]
    waited = [at - n * 0.001 for n, at in enumerate(times)]
    late = [n for n, wait in enumerate(waited) if wait > 0.001]
    assert len(late) == link.counts.reordered
    assert len(late) / 5000 == pytest.approx(0.1, abs=0.02)
    assert all(waited[n] == pytest.approx(0.0205) for n in late)
    overtaken = sum(times[n] < times[late[0]] for n in range(late[0] + 1, late[0] + 30))
    assert 10 <= overtaken <= 20  # of the twenty that follow, but for those that wait too


def test_duplicates_and_corruption_reach_their_share() -> None:
    link = Link(Impairments(duplicate=0.25, corrupt=0.1), 2)
    copies = run(link, 8000)
    assert sum(len(found) == 2 for found in copies) / 8000 == pytest.approx(0.25, abs=0.015)
    changed = sum(found[0][1] != n.to_bytes(2) * 50 for n, found in enumerate(copies))
    assert changed == link.counts.corrupted
    assert changed / 8000 == pytest.approx(0.1, abs=0.012)


def test_corruption_flips_exactly_one_bit_anywhere() -> None:
    link = Link(Impairments(corrupt=1.0), 5)
    places = set()
    for n in range(400):
        [(_, got)] = link.transfer(bytes(5), n * 0.001)
        assert sum(byte.bit_count() for byte in got) == 1
        places.add(int.from_bytes(got))
    assert len(places) == 40
    assert link.transfer(b"", 1.0) == [(1.0, b"")]


def test_outages_count_from_the_first_packet_or_the_start() -> None:
    link = Link(Impairments(outages=((1.0, 0.5),)), 1)
    got = [n for n in range(20) if link.transfer(b"x", 100.0 + n * 0.125)]
    assert got == [*range(8), *range(12, 20)]
    assert link.counts.outage == 4
    early = Link(Impairments(outages=((1.0, 0.5),)), 1)
    early.start(99.0)
    assert early.transfer(b"x", 100.25) == []


def test_an_outage_can_begin_now() -> None:
    link = Link(Impairments())
    assert link.transfer(b"x", 5.0)
    link.outage(6.0, 2.0)
    link.outage(6.5, 0.5)  # ends earlier, and changes nothing
    assert [bool(link.transfer(b"x", now)) for now in (6.0, 7.5, 7.99, 8.0)] == [False, False, False, True]


def test_a_link_can_be_changed_under_way() -> None:
    link = Link(Impairments(loss=1.0), 1)
    assert link.transfer(b"x", 0.0) == []
    link.change(loss=0.0, delay_s=0.5)
    assert link.transfer(b"x", 1.0) == [(1.5, b"x")]
    with pytest.raises(ValueError, match=r"^loss: "):
        link.change(loss=2.0, delay_s=9.0)
    link.change(delay_s=0.0)
    assert link.transfer(b"y", 1.1) == [(1.5, b"y")]  # the one that is on its way is not overtaken
    same, other = Link(Impairments(loss=0.5), 7), Link(Impairments(), 7)
    early = [same.transfer(b"x", 0.0) for _ in range(100)]
    other_early = [other.transfer(b"x", 0.0) for _ in range(100)]
    other.change(loss=0.5)
    assert early != other_early
    assert [same.transfer(b"x", 1.0) for _ in range(300)] == [other.transfer(b"x", 1.0) for _ in range(300)]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"loss": 1.5}, "loss"),
        ({"corrupt": -0.1}, "corrupt"),
        ({"symbol_errors": float("nan")}, "symbol_errors"),
        ({"symbol_bits": 0}, "symbol_bits"),
        ({"damaged": "keep"}, "damaged"),
        ({"delay_s": -1.0}, "delay_s"),
        ({"jitter_s": float("inf")}, "jitter_s"),
        ({"rate_kbps": 0.0}, "rate_kbps"),
        ({"loss": 0.9, "burst": 3.0}, "burst"),
        ({"burst": 0.5}, "burst"),
        ({"outages": ((1.0, float("nan")),)}, "outage"),
        ({"outages": ((-1.0, 2.0),)}, "outage"),
    ],
)
def test_impossible_links_name_the_setting(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: "):
        Impairments(**settings)


def test_settings_have_their_names_outside() -> None:
    settings = {"loss": 0, "delay_ms": 20, "kbps": None, "burst": 4.5, "symbol_bits": 6, "damaged": "deliver"}
    fields = fields_of(settings)
    assert fields == {
        "loss": 0.0, "delay_s": 0.02, "rate_kbps": None, "burst": 4.5, "symbol_bits": 6, "damaged": "deliver"
    }  # fmt: skip
    assert fields_of(settings_of(Impairments(**fields))) == fields | fields_of(
        settings_of(Impairments(**fields))
    )
    assert Impairments(**fields_of(settings_of(EVERYTHING)), outages=EVERYTHING.outages) == EVERYTHING


NO_NUMBERS: list[object] = ["0.5", None, True, float("nan"), 10**400, []]
WRONG: list[tuple[str, object]] = [
    *zip(["loss"] * 6, NO_NUMBERS, strict=True),
    *(("delay_ms", -1), ("delay_ms", "5"), ("burst", "x"), ("symbol_bits", 6.5), ("symbol_bits", "6")),
    *(("damaged", []), ("damaged", "keep"), ("replay", "file")),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_wrong_values_name_the_setting(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: "):
        fields_of({name: value})


def test_unknown_settings_are_told_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"^'lost' is no setting; there are loss, "):
        fields_of({"lost": 0.5})


def test_how_long_the_last_packet_waits_is_told() -> None:
    link = Link(Impairments(rate_kbps=8.0, queue_s=0.5, loss=1.0, outages=((9.0, 1.0),)))
    assert link.waited is None
    waits: list[float | None] = []
    for now in (0.0, 0.01, 0.02, 9.5):  # 0.1 s of service each, then an outage
        assert link.transfer(bytes(72), now) == []
        waits.append(link.waited)
    assert waits[:3] == pytest.approx([0.0, 0.09, 0.18])
    assert waits[3] is None
    full = Link(Impairments(rate_kbps=8.0, queue_s=0.05))
    full.transfer(bytes(72), 0.0)
    assert full.transfer(bytes(72), 0.0) == [] and full.waited is None
    free = Link(Impairments())
    free.transfer(bytes(72), 0.0)
    assert free.waited == 0.0
