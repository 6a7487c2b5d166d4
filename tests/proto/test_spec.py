"""proto/README.md is the spec: its vectors are recomputed here, its tables compared with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import proto
from proto import crypto, interleaver, reassembler, session, wire
from proto.crypto import Opener, Sealer
from proto.packet import Segment
from proto.streams import STREAMS

SPEC = (Path(proto.__file__).parent / "README.md").read_text(encoding="utf-8")


def vectors(name: str) -> Any:
    found = re.search(rf"```json {name}\n(.*?)```", SPEC, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def table(header: str) -> list[list[str]]:
    """The rows of the table that begins with this header."""
    body = SPEC.split(header + "\n", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()[1:]]


def test_sealing_vectors() -> None:
    given = vectors("sealing")
    psk, session_id = bytes.fromhex(given["psk"]), bytes.fromhex(given["session"])
    assert crypto.derive_key(psk, session_id).hex() == given["key"]
    sealer, opener = Sealer(psk, session_id), Opener(psk)
    for counter, packet in enumerate(given["packets"]):
        fields = {name: packet[name] for name in ("stream", "unit", "index", "count", "timestamp")}
        segment = Segment(**fields, payload=bytes.fromhex(packet["payload"]))
        assert bytes(segment).hex() == packet["body"]
        assert sealer.seal(segment.stream, bytes(segment)).hex() == packet["datagram"]
        opened = opener.open(bytes.fromhex(packet["datagram"]))
        assert (opened.session, opened.counter) == (session_id, counter)
        assert Segment.parse(opened.stream, opened.body) == segment


def test_interleaving_vectors() -> None:
    given = vectors("interleaving")
    for value, mixed in given["mix64"].items():
        assert f"{interleaver.mix64(int(value)):016x}" == mixed
    for seed, numbers in given["random64"].items():
        assert [f"{int(n):016x}" for n in interleaver.random64(int(seed), len(numbers))] == numbers
    for case in given["segment_map"]:
        owner = interleaver.segment_map(case["count"], case["segments"], case["seed"])
        assert owner.tolist() == case["map"]


def test_the_field_table_adds_up_to_the_overhead() -> None:
    sizes = {row[0]: row[1] for row in table("| field | bytes | meaning |")}
    assert sizes.pop("V") == "2 bits"
    assert sizes.pop("stream") == "6 bits"
    assert sizes.pop("payload") == "n"
    assert 1 + sum(map(int, sizes.values())) == wire.OVERHEAD_BYTES
    assert f"overhead is {wire.OVERHEAD_BYTES} bytes a packet" in SPEC
    assert f"it is {wire.OVERHEAD_BYTES + wire.IP_UDP_BYTES}." in SPEC


def test_the_reason_table_is_complete() -> None:
    assert {row[0] for row in table("| reason | meaning |")} == set(wire.Reason)


def test_the_stream_table_is_the_codes() -> None:
    rows = {(int(row[0]), row[1], row[2]) for row in table("| id | name | delivery class |")}
    assert rows == {(spec.id, spec.name, spec.delivery.value) for spec in STREAMS.values()}


def test_every_module_is_in_the_module_table() -> None:
    listed = set(re.findall(r"`(\w+\.py)`", SPEC.split("## 1.")[0]))
    assert listed == {path.name for path in Path(proto.__file__).parent.glob("*.py")} - {"__init__.py"}


def test_the_limits_in_the_text_are_the_codes() -> None:
    flat = " ".join(SPEC.split())
    for text in [
        f"version, {wire.VERSION} |",
        f"at most {wire.MAX_DATAGRAM} bytes of UDP payload by default",
        f"more than {wire.DATAGRAM_LIMIT} bytes",
        f"may be set to {wire.OVERHEAD_BYTES + 1} .. {wire.DATAGRAM_LIMIT}",
        f"modulo 2^16 ({wire.TIMESTAMP_SPAN:.3f} s)",
        f"(PSK) is at least {crypto.MIN_KEY_BYTES} bytes",
        f"for each of the {crypto.REPLAY_WINDOW} packets",
        f"more than {crypto.REPLAY_WINDOW - 1} behind the highest",
        f"The {crypto.REMEMBERED_SESSIONS} sessions used last",
        f"at most {reassembler.MAX_UNITS} open units",
        f"usable for {reassembler.SILENCE_SECONDS:.0f} s",
        f"at most {reassembler.LATE_SPAN} units back",
        f"state for at most {session.MAX_SESSIONS} sessions",
        f"silent for {session.TAKEOVER_SECONDS:.0f} s and another",
        f"silent for {session.FORGET_SECONDS:.0f} s is forgotten",
        f"(1 .. {interleaver.MAX_SEGMENTS}) segments",
    ]:
        assert text in flat, text
    assert crypto.MAX_PACKETS == 2**32 - 1
    assert interleaver.MAX_POSITIONS == 2**20
