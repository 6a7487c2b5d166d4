"""Readings of /metrics: what they hold, what two of them tell, and that nonsense is one clear error."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.stats.scrape import Scrape, StatsError, quantile, rate, read_exposition
from tests.common.stats.expositions import exposition, reading

P = "semcast_receiver_"


def test_figures_are_read_by_name_and_label() -> None:
    scrape = reading(7)
    assert scrape.get(P + "packets_total") == 70
    assert scrape.get(P + "packets_dropped_total") == 7  # the sum
    assert scrape.get(P + "packets_dropped_total", reason="late") == 7
    assert scrape.by(P + "packets_dropped_total", "reason") == {"late": 7, "forged": 0}
    assert scrape.which(P + "signal_state", "state") == "live"
    assert math.isnan(scrape.get("nothing")) and scrape.which("nothing", "state") is None


def test_two_readings_tell_rates_unless_the_counter_began_anew() -> None:
    assert rate(reading(9), reading(5), P + "packets_total") == 10.0
    assert math.isnan(rate(reading(5), reading(9), P + "packets_total"))
    assert math.isnan(rate(reading(5), reading(5), P + "packets_total"))
    assert math.isnan(rate(reading(9), reading(5), "nothing"))


def test_quantiles_are_of_the_time_between() -> None:
    name = P + "stage_seconds"
    assert quantile(0.25, reading(8), reading(4), name, stage="decode") == pytest.approx(0.005)
    assert quantile(0.75, reading(8), None, name, stage="decode") == pytest.approx(0.03)
    assert math.isnan(quantile(0.5, reading(8), reading(8), name, stage="decode"))
    assert math.isnan(quantile(0.5, reading(8), None, name, stage="none"))


def test_a_quantile_above_the_last_bucket_is_its_bound() -> None:
    text = 'h_bucket{le="1.0"} 1\nh_bucket{le="+Inf"} 10\nh_sum 50\nh_count 10\n'
    assert quantile(0.9, read_exposition(text, 0.0), None, "h") == 1.0


@pytest.mark.parametrize("text", ['a{b="c} 1\n', "a{b\n", "a one\n", "# TYPE a b c\n# TYPE a counter\na{\n"])
def test_what_is_no_exposition_is_one_error(text: str) -> None:
    with pytest.raises(StatsError, match="Prometheus"):
        read_exposition(text, 0.0)


def test_too_many_figures_are_refused() -> None:
    with pytest.raises(StatsError, match="more than"):
        read_exposition("".join(f"a{n} 1\n" for n in range(20_001)), 0.0)


lines = st.sampled_from(exposition(3).splitlines())


@given(st.one_of(st.text(), st.lists(st.one_of(lines, st.text(max_size=20))).map("\n".join)), st.data())
def test_anything_is_read_or_refused(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    for part in (text, text[:cut]):
        try:
            scrape = read_exposition(part, 1.0)
        except StatsError:
            continue
        before = Scrape(0.0)
        for name, _ in scrape.samples:
            base = name.removesuffix("_bucket")
            assert isinstance(rate(scrape, before, name), float)
            assert isinstance(quantile(0.5, scrape, before, base), float)
