"""proto/README.md is the spec: its vectors are recomputed here, its tables compared with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import proto
from proto import (
    announce,
    crypto,
    endpoint,
    handshake,
    interleaver,
    keys,
    origins,
    reassembler,
    replay,
    responder,
    session,
    wire,
)
from proto.announce import Announcement, StreamInUse
from proto.crypto import Opener, Sealer
from proto.handshake import Identity
from proto.keys import KeySchedule
from proto.noise import Protocol, public_key
from proto.packet import Segment
from proto.streams import STREAMS, DeliveryClass
from proto.wire import Mode

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
    keys = KeySchedule(psk)
    assert keys.packet_key(session_id).hex() == given["key"]
    for number, later in given["later_sessions"].items():
        assert keys.session(session_id, int(number)).hex() == later
    sealer, opener = Sealer(psk, session_id), Opener(psk)
    for counter, packet in enumerate(given["packets"]):
        fields = {name: packet[name] for name in ("stream", "unit", "index", "count", "timestamp")}
        segment = Segment(**fields, payload=bytes.fromhex(packet["payload"]))
        assert bytes(segment).hex() == packet["body"]
        assert sealer.seal(segment.stream, bytes(segment)).hex() == packet["datagram"]
        opened = opener.open(bytes.fromhex(packet["datagram"]))
        assert (opened.session, opened.counter) == (session_id, counter)
        assert Segment.parse(opened.stream, opened.body) == segment


def test_handshake_vectors() -> None:
    given = vectors("handshake")
    keys = KeySchedule(bytes.fromhex(given["psk"]))
    assert (keys.noise_psk.hex(), keys.check_key.hex()) == (given["noise_psk"], given["check_key"])
    for case in given["handshakes"]:
        values = {name: bytes.fromhex(case[name]) for name in case if "static" in name or "ephemeral" in name}
        sender = receiver = None
        kinds = handshake.Kind.REQUEST, handshake.Kind.RESPONSE
        if values.get("sender_static"):
            a, b = values["sender_static"], values["receiver_static"]
            sender, receiver = Identity(a, (public_key(b),)), Identity(b, (public_key(a),))
            kinds = handshake.Kind.PINNED_REQUEST, handshake.Kind.PINNED_RESPONSE
        one = handshake.begin(keys, sender, True, values["sender_ephemeral"])
        two = handshake.begin(keys, receiver, False, values["receiver_ephemeral"])
        payload = handshake.REQUEST.pack(
            bytes.fromhex(case["origin"]), case["number"], case["attempt"], case["features"]
        )
        index = int(case["index"], 16)
        assert handshake.pack(keys, kinds[0], index, one.write_message(payload)).hex() == case["request"]
        request = handshake.unpack(keys, bytes.fromhex(case["request"]))
        assert two.read_message(request.message) == payload
        answer = two.write_message(handshake.RESPONSE.pack(case["features"]))
        assert handshake.pack(keys, kinds[1], index, answer).hex() == case["response"]
        one.read_message(handshake.unpack(keys, bytes.fromhex(case["response"])).message)
        for side in (one, two):
            done = handshake.finish(side, 0)
            assert [part.hex() for part in (done.session, done.forward, done.back)] == [
                case["session"],
                case["forward"],
                case["back"],
            ]


def test_announcement_vector() -> None:
    given = vectors("announcement")
    streams = tuple(
        StreamInUse(
            one["id"], DeliveryClass(one["class"]), one["profile"], one["data_packets"], one["block_packets"]
        )
        for one in given["streams"]
    )
    announcement = Announcement(
        bytes.fromhex(given["origin"]),
        given["number"],
        given["time"],
        Mode(given["mode"]),
        streams,
        given["name"],
    )
    assert bytes(announcement).hex() == given["message"]
    assert Announcement.parse(bytes.fromhex(given["message"])) == announcement


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
    rows = set(map(tuple, table("| id | name | delivery class | direction | packets carry |")))
    assert rows == {
        (
            str(spec.id),
            spec.name,
            spec.delivery.value,
            spec.direction.value,
            "segments" if spec.segmented else "messages",
        )
        for spec in STREAMS.values()
    }


def test_the_mode_table_is_the_codes() -> None:
    assert {row[0] for row in table("| mode | sender | receiver |")} == set(Mode)


def test_every_module_is_in_the_module_table() -> None:
    listed = set(re.findall(r"`(\w+\.py)`", SPEC.split("## 1.")[0]))
    assert listed == {path.name for path in Path(proto.__file__).parent.glob("*.py")} - {"__init__.py"}


def test_the_limits_in_the_text_are_the_codes() -> None:
    flat, rules = " ".join(SPEC.split()), session.Rules()
    for text in [
        f"version, {wire.VERSION} |",
        f"at most {wire.MAX_DATAGRAM} bytes of UDP payload by default",
        f"more than {wire.DATAGRAM_LIMIT} bytes",
        f"may be set to {wire.OVERHEAD_BYTES + 1} .. {wire.DATAGRAM_LIMIT}",
        f"modulo 2^16 ({wire.TIMESTAMP_SPAN:.3f} s)",
        f"(PSK) is at least {keys.MIN_KEY_BYTES} bytes",
        f"for each of the {replay.REPLAY_WINDOW} packets",
        f"more than {replay.REPLAY_WINDOW - 1} behind the highest",
        f"The {crypto.REMEMBERED_SESSIONS} sessions used last",
        f"at most {reassembler.MAX_UNITS} open units",
        f"usable for {reassembler.SILENCE_SECONDS:.0f} s",
        f"at most {reassembler.LATE_SPAN} units back",
        f"state for at most {origins.MAX_ORIGINS} origins",
        f"silent for {origins.TAKEOVER_SECONDS:.0f} s and another",
        f"is longer, but {origins.MOST_TAKEOVER_SECONDS:.0f} s at most",
        f"silent for {origins.FORGET_SECONDS:.0f} s is forgotten",
        f"number n + 1 .. n + {origins.SUCCESSORS} it is",
        f"predecessor for {origins.OVERLAP_SECONDS:.0f} s more",
        f"come back for {rules.silence} s",
        f"or {rules.rekey_seconds:.0f} s of a key",
        f"at least each {endpoint.ALIVE_SECONDS} s",
        f"heard the sender for {endpoint.ALIVE_FOR_SECONDS:.0f} s",
        f"answer each {endpoint.REPEAT_SECONDS * 1000:.0f} ms for up to {endpoint.REPEAT_FOR_SECONDS:.0f} s",
        f"a new one each {handshake.FRESH_SECONDS:.0f} s",
        f"Every {handshake.FAST_SECONDS:.0f} s without an answer the pause doubles, up to "
        f"{handshake.SLOW_SECONDS:.0f} s (or to {announce.SHARE * 100:.0f} % of the rate",
        f"at most {responder.WORKED_PER_SECOND:.0f} a second",
        f"at most {responder.ANSWERED_PER_SECOND:.0f} a second",
        f"At most {responder.MAX_PENDING} answers wait, {responder.OPEN_INITIATIONS} of one origin, each for "
        f"{responder.PENDING_SECONDS:.0f} s",
        f"attempts of {responder.REMEMBERED_ORIGINS} origins",
        f"each {announce.SHORTEST_SECONDS} s in the first {announce.FIRST_SECONDS:.0f} s of a session",
        f"take {announce.SHARE * 100:.0f} % of the rate",
        f"name | the sender's, UTF-8, at most {announce.MAX_NAME_BYTES} bytes",
        f'the prologue is "{handshake.PROLOGUE.decode()}"',
        f"`{Protocol('NNpsk0').name}`",
        f"`{Protocol('IKpsk2').name}`",
        f"(1 .. {interleaver.MAX_SEGMENTS}) segments",
    ]:
        assert text in flat, text
    assert crypto.MAX_PACKETS == 2**32 - 1
    assert rules == session.Rules(rekey_packets=2**30, first_share=0.5, handshake_share=0.25)
    assert interleaver.MAX_POSITIONS == 2**20
