"""One fuzz target for each parser of bytes from outside, and for whole sessions: `TARGETS[name](data)`.

A target returns for input that is taken or refused as documented, and raises otherwise. Any fuzzer may drive them:
`python -m tests.fuzz.run` does, with atheris or without. What stands behind a check that no fuzzer can guess (a tag, a
keyed check) is given input that passes it.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from itertools import pairwise

from proto.announce import MAX_NAME_BYTES, Announcement
from proto.carousel import CarouselReceiver
from proto.crypto import KeyFileError, Opener, Sealer, load_key, read_header
from proto.handshake import Identity, Initiator, Kind, begin, pack, unpack
from proto.noise import NoiseError, Protocol, public_key
from proto.packet import Segment
from proto.protected import Source, parse
from proto.protected import unpack as unpack_symbol
from proto.reassembler import MAX_UNITS, Reassembler
from proto.recover import MAX_WINDOWS, Recover
from proto.reliable import ReliableReceiver, ReliableSender
from proto.reliable_packet import Acknowledgement, Messages, kind
from proto.reliable_packet import Announcement as Standing
from proto.report import Report
from proto.responder import MAX_PENDING, Responder
from proto.session import Arrival, Dropped, ReceiverEndpoint, Rules, SenderSession
from proto.wire import Mode, Reason, WireError
from tests.fuzz.daemon_targets import (
    audio,
    capture,
    classic_body,
    classic_units,
    codec_header,
    codec_unit,
    coded,
    contour_payload,
    contour_units,
    control,
    legend,
    map_part,
    replies,
    text,
    texture_header,
    texture_units,
)
from tests.fuzz.script import Script, steps
from tests.fuzz.world import HERE, KEYS, PSK, World

SESSIONS = [bytes((number,)) * 6 for number in range(8)]
PRIVATE = bytes(range(32, 64))
PINNED = Identity(PRIVATE, (public_key(PRIVATE),))
PAUSES = (0.0, 0.001, 0.02, 0.3, 1.1, 11.0)


def header(data: bytes) -> None:
    """The outer header."""
    try:
        found = read_header(data)
    except WireError as error:
        assert error.reason in {Reason.SHORT, Reason.OVERSIZED, Reason.VERSION}
    else:
        assert bytes((0x40 | found.stream,)) + found.session + found.counter.to_bytes(4) == data[:11]


def packet(data: bytes) -> None:
    """Sealed packets, damaged: a byte for where, a byte for how, the rest is the body."""
    script = Script(data)
    place, change, cut, stream, body = (
        script.number(2),
        script.number(),
        script.number(2),
        script.number() & 63,
        script.rest()[:1400],
    )
    datagram = bytearray(Sealer(PSK, SESSIONS[0]).seal(stream, body))
    whole = bytes(datagram)
    datagram[place % len(datagram)] ^= change
    del datagram[len(datagram) - cut % len(datagram) :]
    opener = Opener(PSK)
    for tried in (bytes(datagram), data):
        try:
            opened = opener.open(tried)
        except WireError:
            continue
        assert tried == whole and opened.body == body
    assert len(opener) <= 1


def segment(data: bytes) -> None:
    """The inner header."""
    stream, body = data[0] & 63 if data else 0, data[1:]
    try:
        found = Segment.parse(stream, body)
    except WireError as error:
        assert error.reason in {Reason.SHORT, Reason.MALFORMED, Reason.OVERSIZED}
    else:
        assert bytes(found) == body


def reassembler(data: bytes) -> None:
    """Wild segments of one stream, one after another."""
    reassembler, now, taken = Reassembler(), 100.0, list[int]()
    for step in steps(data):
        now += step.choose(PAUSES)
        if step.number() & 7 == 0 and reassembler.pending:
            unit = reassembler.take(reassembler.pending[0])
            assert unit is not None and len(unit.arrived) == unit.count
            taken.append(unit.unit)
            continue
        try:
            reassembler.push(Segment.parse(1, step.rest()), now)
        except WireError:
            continue
        assert len(reassembler.pending) <= MAX_UNITS
    assert all(one < other for one, other in pairwise(taken))


def announcement(data: bytes) -> None:
    """Announcements on the control stream."""
    try:
        found = Announcement.parse(data)
    except WireError as error:
        assert error.reason is Reason.MALFORMED
    else:
        assert len(found.origin) == 6 and len(found.name.encode()) <= MAX_NAME_BYTES


def report(data: bytes) -> None:
    """Receivers' reports."""
    try:
        found = Report.parse(data)
    except WireError as error:
        assert error.reason in {Reason.SHORT, Reason.MALFORMED}
        return
    try:
        again = bytes(found)
    except WireError as error:
        assert error.reason is Reason.MALFORMED  # longer than what we would write
    else:
        assert bytes(Report.parse(again)) == again


def protected(data: bytes) -> None:
    """Symbols of protected streams."""
    index, payload = data[0] if data else 0, data[1:]
    try:
        symbol = parse(index, payload)
    except WireError as error:
        assert error.reason in {Reason.SHORT, Reason.MALFORMED}
    else:
        assert bytes(symbol) == payload or not isinstance(symbol, Source)
    try:
        assert len(unpack_symbol(payload)) <= len(payload)
    except WireError as error:
        assert error.reason is Reason.MALFORMED


def recover(data: bytes) -> None:
    """Wild segments of a protected stream."""
    recover, now = Recover(0.5), 100.0
    delivered: list[int] = []
    for step in steps(data):
        now += step.choose(PAUSES)
        try:
            units = recover.push(Segment.parse(3, step.rest()), now)
        except WireError:
            continue
        delivered += [unit.unit for unit in units]
        assert len(recover.pending) <= MAX_WINDOWS
    assert len(delivered) == len(set(delivered))


def reliable(data: bytes) -> None:
    """The three kinds of payload of reliable streams."""
    readers: list[Callable[[bytes], object]] = [Messages.parse, Acknowledgement.parse, Standing.parse, kind]
    for read in readers:
        try:
            found = read(data)
        except WireError as error:
            assert error.reason in {Reason.SHORT, Reason.MALFORMED, Reason.OVERSIZED}
        else:
            assert isinstance(found, int) or bytes(found) == data  # type: ignore[call-overload]


def reliable_ends(data: bytes) -> None:
    """Wild payloads at all ends of reliable streams."""
    receiver, carousel, sender = ReliableReceiver(), CarouselReceiver(), ReliableSender(1e6, 500)
    now = 100.0
    for number in range(20):
        sender.send(bytes((number,)), now)
    for step in steps(data):
        now += step.choose(PAUSES)
        sender.poll(now)
        payload = step.rest()
        for take in (receiver.receive, carousel.receive, sender.acknowledge):
            try:
                take(payload, now)
            except WireError:
                continue
        assert len(receiver._early) < 64
        answer = receiver.acknowledgement(now)
        assert answer is None or Acknowledgement.parse(answer)


def handshake(data: bytes) -> None:
    """Handshake datagrams: as they are, and with a check that passes."""
    try:
        unpack(KEYS, data)
    except WireError as error:
        assert error.reason in {Reason.SHORT, Reason.OVERSIZED, Reason.VERSION, Reason.FORGED}
    now = 100.0
    responders = [Responder(KEYS), Responder(KEYS, identity=PINNED)]
    initiators = [Initiator(KEYS, SESSIONS[0], 1e4, identity=identity) for identity in (None, PINNED)]
    for initiator in initiators:
        initiator.start(now)
    for step in steps(data):
        now += step.choose(PAUSES)
        sent = [datagram for initiator in initiators for datagram in initiator.poll(now)]
        chosen, index, message = step.choose(list(Kind)), step.number(4), step.rest()
        for datagram in (pack(KEYS, chosen, index, message), *sent[: index & 3]):
            for responder in responders:
                try:
                    pending = responder.receive(datagram, now)
                except WireError:
                    continue
                assert len(pending.response) < len(datagram)
                assert len(responder.pending) <= MAX_PENDING
            for initiator in initiators:
                try:
                    initiator.receive(datagram)
                except WireError:
                    continue
                raise AssertionError("an answer that nobody gave was taken")


def noise(data: bytes) -> None:
    """Noise messages, both patterns, both ends, and names of protocols."""
    for identity in (None, PINNED):
        for initiator in (True, False):
            state = begin(KEYS, identity, initiator, ephemeral=PRIVATE)
            if initiator:
                state.write_message()
            try:
                state.read_message(data)
            except NoiseError:
                continue
            assert data  # somebody with our keys made it
    with contextlib.suppress(ValueError):
        assert Protocol.parse(data.decode("latin-1")).name.encode("latin-1") == data


def key_file(data: bytes) -> None:
    """Files named as a key."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with contextlib.suppress(KeyFileError):
            assert len(load_key(file.name)) >= 32


def endpoint(data: bytes) -> None:
    """Authentic packets with wild bodies, and what is not authentic, at a receiver."""
    endpoint, now = ReceiverEndpoint(PSK), 100.0
    sealers = [Sealer(PSK, session) for session in SESSIONS]
    for step in steps(data):
        now += step.choose(PAUSES)
        how, body = step.number(), step.rest()
        if how & 1:
            datagram = sealers[how >> 1 & 7].seal(step_stream(how), body)
        elif how & 2:
            datagram = pack(KEYS, Kind.REQUEST, how, body)
        else:
            datagram = body
        before = sum(endpoint.dropped.values())
        event = endpoint.receive(datagram, now, HERE)
        assert sum(endpoint.dropped.values()) - before == isinstance(event, Dropped)
        assert not isinstance(event, Arrival) or endpoint.active is not None
        endpoint.poll(now)
        assert endpoint.sessions <= 4 and len(endpoint._opener) <= 64 + 16


def step_stream(how: int) -> int:
    """Streams of every class, and some that nobody knows."""
    return (0, 1, 1, 2, 3, 9, 62, 1)[how >> 4 & 7]


ACTIONS: tuple[tuple[str, Callable[[Script], object]], ...] = (
    ("wait", lambda script: script.choose((0.0, 0.01, 0.1, 0.6, 2.1, 11.0))),
    ("unit", lambda script: 1 + script.number() % 4),
    ("there", lambda script: script.number()),
    ("back", lambda script: script.number()),
    ("flow", lambda script: None),
    ("again", lambda script: script.number(2)),
    ("forge", lambda script: script.number(2)),
    ("noise", lambda script: script.chunk()),
    ("report", lambda script: script.chunk()),
    ("control", lambda script: script.chunk()),
    ("restart receiver", lambda script: None),
)


def session(data: bytes) -> None:
    """Whole sessions: the bytes say what the channel and the ends do."""
    script, modes = Script(data), list(Mode)
    here, there, rekey = script.choose(modes), script.choose(modes), 1 + script.number() % 40
    rules = Rules(silence=0.5, rekey_packets=rekey, rekey_seconds=20.0)
    world = World(SenderSession(PSK, mode=here, rules=rules), ReceiverEndpoint(PSK, mode=there))
    for _ in range(120):
        if not script.more:
            break
        name, value = script.choose(ACTIONS)
        world.poll()
        world.act(name, value(script))
        assert world.receiver.sessions <= 4
        assert len(world.receiver._opener) <= 64 + 16 + 8


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        *(header, packet, segment, reassembler, announcement, report, protected, recover, reliable),
        *(reliable_ends, handshake, noise, key_file, endpoint, session),
        *(codec_header, codec_unit, coded, classic_body, classic_units, control, replies),
        *(text, audio, capture),
        *(contour_payload, contour_units),
        *(map_part, legend),
        *(texture_header, texture_units),
    )
}
