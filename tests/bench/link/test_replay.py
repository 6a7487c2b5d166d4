from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.link.impairments import NAMES, Impairments
from tests.bench.link.model import Link
from tests.bench.link.replay import Conditions, Opportunities, parse

TRACE = """
{"t": 0, "kbps": 800, "loss": 0}
{"t": 1, "loss": 1}
{"t": 2, "kbps": 80, "loss": 0, "delay_ms": 50}
{"t": 4, "kbps": null, "delay_ms": 0}
{"t": 5}
"""


def test_milliseconds_are_opportunities() -> None:
    trace = parse("3\n7\n7\n\n20\n")
    assert trace == Opportunities((0.003, 0.007, 0.007, 0.02), 0.02)


def test_json_says_what_holds_from_then_on() -> None:
    trace = parse(TRACE)
    assert isinstance(trace, Conditions)
    assert (trace.times, trace.period) == ((0.0, 1.0, 2.0, 4.0), 5.0)
    assert trace.fields[2] == {"loss": 0.0, "delay_s": 0.05}
    assert trace.rates is not None and trace.rates.times == (0.0, 2.0, 4.0)


def test_the_last_line_lasts_as_long_as_the_one_before_it() -> None:
    trace = parse('{"t": 0, "loss": 0}\n{"t": 4, "loss": 0.5}')
    assert isinstance(trace, Conditions)
    assert (trace.period, trace.rates, trace.has_rate) == (8.0, None, False)


@pytest.mark.parametrize("lap", [0, 1, 7])
def test_the_link_changes_as_time_goes_lap_after_lap(lap: int) -> None:
    link = Link(Impairments(replay=parse(TRACE)))
    link.start(0.0)
    took = {}
    for second in (0.5, 1.5, 2.5, 3.5, 4.5):
        now = 5 * lap + second
        deliveries = link.transfer(bytes(972), now)
        took[second] = round(deliveries[0][0] - now, 4) if deliveries else None
    assert took == {0.5: 0.01, 1.5: None, 2.5: 0.15, 3.5: 0.15, 4.5: 0.0}


def test_lines_before_the_first_packet_hold() -> None:
    link = Link(Impairments(replay=parse(TRACE)))
    link.start(0.0)
    assert link.transfer(b"x", 1.5) == []
    assert link.counts.lost == 1


def test_what_a_trace_does_not_name_can_be_changed() -> None:
    link = Link(Impairments(replay=parse('{"t": 0, "loss": 0}\n{"t": 1, "loss": 0.5}'), delay_s=0.02))
    assert link.transfer(b"x", 0.0)[0][0] == 0.02
    link.change(delay_s=0.03)
    assert link.transfer(b"x", 0.5)[0][0] == 0.53
    link.change(replay=None, loss=0.0)
    assert len(link.transfer(b"x", 1.5)) == 1


def test_a_state_that_would_be_impossible_is_refused_at_once() -> None:
    trace = parse('{"t": 0, "loss": 0}\n{"t": 1, "loss": 0.9}')
    with pytest.raises(ValueError, match=r"^burst: "):
        Link(Impairments(replay=trace, burst=3.0))
    link = Link(Impairments(replay=trace))
    with pytest.raises(ValueError, match=r"^burst: "):
        link.change(burst=3.0)
    assert link.impairments.burst is None
    with pytest.raises(ValueError, match=r"^rate_kbps: the replayed trace"):
        Link(Impairments(replay=parse(TRACE), rate_kbps=5.0))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "no line in it"),
        ("1\n-2", "line 2: must be a whole number of milliseconds"),
        ("1\n\n²", "line 3: must be a whole"),
        ("5\n3", "line 2: earlier than"),
        ("0\n0", "its last line must be above 0"),
        ('{"t": 0}\nx', "line 2: not JSON"),
        ('{"t": 0}\n[]', "line 2: not a JSON object"),
        ('{"kbps": 5}', "line 1: t: must be a number"),
        ('{"t": -1}', "line 1: t: must not be negative"),
        ('{"t": NaN}', "line 1: t: must be a number"),
        ('{"t": 2}\n{"t": 1}', "line 2: earlier than"),
        ('{"t": 2, "loss": 0}\n{"t": 2, "loss": 1}', "line 2: its t must be above"),
        ('{"t": 0, "kpbs": 5}', "line 1: 'kpbs' is no setting"),
        ('{"t": 0, "kbps": -5}', "line 1: kbps: must not be negative"),
        ('{"t": 0, "kbps": 0}', "kbps: must be above 0 somewhere"),
        ('{"t": 0, "replay": null}', "line 1: replay: not in a trace"),
        ('{"t": 0, "loss": ' + "[" * 3000 + "}", "line 1: not JSON"),
        ("7" * 5000, "line 1: must be a whole"),
        ('{"t": 0, "x": "' + 5000 * "y" + '"}', "line 1: longer than 4096"),
    ],
)
def test_mistakes_name_the_line(text: str, error: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse(text)
    assert str(raised.value).startswith(error)


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
entries = st.dictionaries(st.sampled_from(["t", *NAMES, "other"]), values, max_size=4).map(json.dumps)
numbers = st.integers(-1, 50).map(str)


@given(st.lists(entries | numbers | st.text(max_size=12), max_size=6).map("\n".join))
def test_any_text_is_a_trace_or_a_value_error(text: str) -> None:
    try:
        trace = parse(text)
    except ValueError:
        return
    assert len(trace) > 0 and trace.period > 0


@given(
    st.lists(st.tuples(st.floats(0, 9), st.none() | st.floats(0, 500)), min_size=1, max_size=6),
    st.lists(st.floats(0, 0.5), min_size=1, max_size=30),
)
def test_any_rates_keep_the_order_and_the_bound(
    lines: list[tuple[float, float | None]], gaps: list[float]
) -> None:
    text = "\n".join(
        json.dumps({"t": t, "kbps": kbps}) for t, kbps in sorted(lines, key=lambda line: line[0])
    )
    try:
        link = Link(Impairments(replay=parse(text + '\n{"t": 10}'), queue_s=0.3))
    except ValueError as error:
        assert "above 0 somewhere" in str(error)
        return
    now = 0.0
    times: list[float] = []
    for gap in gaps:
        now += gap
        arrivals = [at for at, _ in link.transfer(bytes(500), now)]  # none from a full queue
        assert all(at >= now for at in arrivals)
        times += arrivals
    assert all(later >= earlier for earlier, later in pairwise(times))
    assert link.counts.waits.longest <= 0.3 + 1e-6
