"""The sender's figures of the conversation, in virtual time."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry

from common.metrics import Exporter
from proto.wire import Mode
from sender.metrics_link import export_link
from tests.bench.link.impairments import Impairments
from tests.sender.conversation import Conversation

TX = "semcast_sender_"


class Scraped:
    def __init__(self, both: Conversation) -> None:
        self.registry = CollectorRegistry()
        export_link(Exporter(self.registry, TX), both.control, lambda: both.now)

    def value(self, name: str, **labels: str) -> float:
        found = self.registry.get_sample_value(TX + name, labels)
        assert found is not None, name
        return found


def test_what_nobody_has_reported_is_nan() -> None:
    scraped = Scraped(Conversation())
    for name in (
        *("rtt_seconds", "rtt_min_seconds", "reported_loss_ratio", "reported_residual_loss_ratio"),
        *("reported_jitter_seconds", "reported_playout_delay_seconds", "report_loss_ratio"),
        *("reported_delay_gradient_ratio", "rate_capacity_bytes_per_second"),
    ):
        assert math.isnan(scraped.value(name)), name
    assert scraped.value("feedback_alive") == 0
    assert scraped.value("reported_state", state="playing") == 0


def test_what_the_receiver_tells() -> None:
    both = Conversation(link=Impairments(loss=0.3, delay_s=0.04))
    scraped = Scraped(both)
    both.advance(15.0)
    assert scraped.value("two_way") == scraped.value("feedback_alive") == 1
    assert scraped.value("handshakes_total") == 1
    assert scraped.value("reports_total") > 10
    assert scraped.value("reports_refused_total", reason="malformed") == 0
    assert scraped.value("rtt_seconds") == pytest.approx(0.08, abs=0.02)
    assert 0 < scraped.value("rtt_min_seconds") <= scraped.value("rtt_seconds")
    assert scraped.value("reported_loss_ratio") == pytest.approx(0.3, abs=0.1)
    assert scraped.value("reported_jitter_seconds") >= 0
    assert scraped.value("rate_target_bytes_per_second") == both.control.kbps * 125
    assert scraped.value("rate_limit_bytes_per_second") == 7500
    assert scraped.value("queue_seconds") < 0.1
    assert scraped.value("session_mode", mode=str(Mode.AUTO)) == 1
    assert 2**31 < scraped.value("key_packets_remaining") < 2**32
    total = sum(
        scraped.value("rate_state", state=state)
        for state in ("fixed", "growing", "holding", "draining", "testing", "fallback")
    )
    assert total == 1
