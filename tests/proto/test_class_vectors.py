"""The vectors of the delivery classes in proto/README.md are recomputed here, its limits compared with the code."""

from __future__ import annotations

import pytest
import zfec

from proto import carousel, protection, recover, reliable, rtt
from proto.packet import Segment
from proto.protected import PIECE_COST, Protector, pack
from proto.protection import Losses, Policy
from proto.recover import Recover
from proto.reliable_packet import MAX_MESSAGE_BYTES, SPAN, Acknowledgement, Announcement, Messages
from proto.wire import TICK_SECONDS
from tests.proto.test_spec import SPEC, vectors

STREAM = 3


def test_the_protected_window() -> None:
    given = vectors("protected")
    start = given["timestamp"] * TICK_SECONDS
    units = [(start + unit["offset"] * TICK_SECONDS, bytes.fromhex(unit["data"])) for unit in given["units"]]
    overhead = given["count"] / given["needed"] - 1.0
    policy = Policy(Losses(0.9), max_overhead=overhead, window_s=1.0)
    sender, sent = Protector(STREAM, 40, policy), list[Segment]()
    for timestamp, data in units:
        sent += sender.push(data, timestamp, 0.0, 0.0).source
    sent += sender.flush()
    assert [(s.index, s.count, s.payload.hex()) for s in sent] == [
        (s["index"], s["count"], s["payload"]) for s in given["segments"]
    ]
    receiver = Recover(1.0)
    out = [unit for segment in sent[-given["needed"] :] for unit in receiver.push(segment, 0.0)]
    assert [(pytest.approx(unit.timestamp), unit.data) for unit in out] == units


def test_parity_is_that_of_zfec_over_padded_source() -> None:
    given = vectors("protected")
    payloads = [bytes.fromhex(segment["payload"]) for segment in given["segments"]]
    source, parity = payloads[: given["needed"]], payloads[given["needed"] :]
    size = 2 + max(map(len, source))
    symbols = zfec.Encoder(given["needed"], 256).encode(
        [pack(payload, size) for payload in source], range(given["needed"], given["count"])
    )
    assert parity == [bytes([127 + given["needed"]]) + bytes(symbol) for symbol in symbols]


def test_the_choices_of_parity() -> None:
    for case in vectors("parity"):
        losses = Losses(case["rate"], case["burst"], case["spacing"])
        choice = Policy(losses, case["target"], case["max_overhead"]).choose(case["needed"])
        assert choice.count == case["count"]
        assert choice.failure == pytest.approx(case["failure"], rel=1e-5)


def test_reliable_payloads() -> None:
    given = vectors("reliable")
    item = given["messages"]
    contents = tuple((ahead, bytes.fromhex(data)) for ahead, data in item["contents"])
    assert bytes(Messages(item["base"], item["stamp"], contents)).hex() == item["payload"]
    item = given["acknowledgement"]
    answer = Acknowledgement(item["expected"], int(item["bits"], 16), item["stamp"], item["held"])
    assert bytes(answer).hex() == item["payload"]
    item = given["announcement"]
    announcement = Announcement(item["key"], item["version"], bytes.fromhex(item["content"]))
    assert bytes(announcement).hex() == item["payload"]


def test_the_limits_in_the_text_are_the_codes() -> None:
    flat = " ".join(SPEC.split())
    for text in [
        f"({PIECE_COST} bytes of it are not the unit's)",
        f"within the first {protection.MAX_SOURCE} symbols",
        f"(at most {protection.MAX_WINDOW_SECONDS:g} s) after the window's timestamp",
        f"At most {recover.MAX_WINDOWS} windows are open",
        f"small messages, {MAX_MESSAGE_BYTES} bytes at most",
        f"At most {SPAN} ids from the oldest",
        f"up to {reliable.BUNDLE_BYTES} bytes of payload",
        f"{rtt.INITIAL_RTO} s before the first sample, then {rtt.MIN_RTO} .. {rtt.MAX_RTO:g} s",
        f"at least {carousel.FIRST_SECONDS} s and at most {carousel.STEADY_SECONDS:g} s later",
        f"At most {carousel.MAX_KEYS} keys stand",
        f"was not announced for {carousel.SILENCE_SECONDS:.0f} s",
    ]:
        assert text in flat, text
    assert carousel.AGE_SHARE == 1 / 4
    assert Acknowledgement.LAYOUT.size == 15
