"""Fuzz targets above the wire format: the codec's parsers, and the conversation of the daemons about rate."""

from __future__ import annotations

import io
import json
import zlib
from dataclasses import dataclass

from common.audio.payload import AudioError, AudioPayload
from common.capture.reader import Reader
from common.capture.records import HEAD, KINDS, MAGIC, MARK, CaptureError, Packet, Start, pack
from common.codec import av1, registry
from common.codec.base import CodecError
from common.codec.classic.body import Body
from common.codec.classic.decoder import ClassicDecoder
from common.codec.classic.header import ClassicHeader
from common.codec.contour.decoder import ContourDecoder
from common.codec.contour.payload import Payload
from common.codec.header import FRAMES, CodecHeader
from common.codec.parse import parse_unit
from common.codec.texture.decoder import TextureDecoder
from common.codec.texture.header import TextureHeader
from common.codec.view import coded_size
from common.maps.part import MapPart
from common.maps.told import LegendBook, LegendPart
from common.text import MAX_TEXT_BYTES, Line
from proto.crypto import Sealer
from proto.packet import Segment
from proto.report import PlayoutState, Report
from proto.session import Answer, Arrival, Established, Message, ReceiverEndpoint, SenderSession
from proto.streams import AUDIO, CONTROL, REPORT, TEXT, VIDEO
from proto.wire import Mode, WireError
from receiver.audio.block import BLOCK, BLOCK_S
from receiver.audio.playout import AudioPlayout
from receiver.inspect.figures import figures_of
from receiver.inspect.summary import Summary
from receiver.jitter import PlayoutClock
from receiver.replay.engine import Resealer
from receiver.replies import Replies
from sender.congestion import RateLimits
from sender.control import Control
from sender.pacer import Pacer
from sender.packet_length.adapt import PacketLength
from sender.rate import RateController
from tests.fuzz.script import Script, steps
from tests.fuzz.world import HERE, PSK

PAUSES = (0.0, 0.01, 0.1, 0.25, 1.1, 11.0)
LIMITS = RateLimits(start=60.0)
MOST_SAMPLES = 256 * 256


@dataclass(frozen=True)
class Received:
    """A unit as the codec sees it."""

    unit: int
    segments: tuple[bytes | None, ...]


def codec_header(data: bytes) -> None:
    """The header of every payload, and what the player makes of it."""
    try:
        found = CodecHeader.parse(data)
    except CodecError:
        return
    assert bytes(found) == data[:6]
    try:
        info = registry.describe(data)
    except CodecError:
        return
    assert (info.width, info.height) == (found.width, found.height)


def codec_unit(data: bytes) -> None:
    """The payloads of a unit: a chunk each, empty ones are lost; the rest is the last."""
    script, payloads = Script(data), list[bytes | None]()
    for _ in range(script.number() & 3):
        payloads.append(script.chunk() or None)
    payloads.append(script.rest() or None)
    try:
        parsed = parse_unit(Received(0, tuple(payloads)))
    except CodecError:
        return
    if parsed is not None:
        for view in parsed[1]:
            width, height = coded_size(view.header)
            assert [picture.shape for picture in view.coded] == [(height * 3 // 2, width)] * FRAMES


def classic_body(data: bytes) -> None:
    """A unit of the classic profile as the erasure code gives it back."""
    try:
        body = Body.parse(data)
    except CodecError:
        return
    assert len(body.coded) == FRAMES
    assert Body.parse(bytes(body)) == body


def classic_units(data: bytes) -> None:
    """Payloads of the classic profile, a unit each step, through the decoder that follows changes of the profile."""
    decoder = ClassicDecoder()
    for unit, step in enumerate(steps(data)):
        payloads: list[bytes | None] = [step.chunk() or None for _ in range(step.number() & 3)]
        payloads.append(step.rest() or None)
        for payload in payloads:
            try:
                header = ClassicHeader.parse(payload or b"")
            except CodecError:
                continue
            if header.width * header.height > MOST_SAMPLES:
                return  # large pictures only take time
        try:
            decoded = decoder.decode(Received(unit, tuple(payloads)) if any(payloads) else None)
        except CodecError:
            continue
        assert len(decoded.pictures) == FRAMES


def texture_header(data: bytes) -> None:
    """The header of a texture payload; what was taken is written the same again."""
    try:
        found = TextureHeader.parse(data)
    except CodecError:
        return
    step = TextureHeader.step(data)
    group = TextureHeader.is_group(data)
    which = TextureHeader.every(data), TextureHeader.refers(data)
    again = found.of_group(step, *which) if group else found.with_step(step)
    assert again == data[:6]
    assert found.info.frames_per_unit == found.frames


def texture_units(data: bytes) -> None:
    """Texture payloads, a unit each step, through one decoder."""
    decoder = TextureDecoder()
    for number, step in enumerate(steps(data)):
        payload = step.rest()
        if payload[1:3] > b"\x08" or payload[2:3] > b"\x08":
            continue  # large pictures only take time
        try:
            decoded = decoder.decode(Received(number, (payload or None,)))
        except CodecError:
            continue
        assert len(decoded.pictures) == len(decoder.small) > 0
        assert len({one.shape for one in decoded.pictures}) == 1


def contour_payload(data: bytes) -> None:
    """A payload of maps; what was taken is written the same again."""
    try:
        found = Payload.parse(data)
    except CodecError:
        return
    assert Payload.parse(bytes(found)) == found


def contour_units(data: bytes) -> None:
    """Payloads of maps, a unit each step, through one decoder."""
    decoder = ContourDecoder()
    for step in steps(data):
        payloads: list[bytes | None] = [step.chunk() or None for _ in range(step.number() & 3)]
        payloads.append(step.rest() or None)
        if any(one and one[0] & 0x40 and not _is_small(one) for one in payloads):
            continue  # large maps only take time
        try:
            decoded = decoder.decode(payloads if any(payloads) else None)
        except CodecError:
            continue
        if decoded is not None:
            shape = decoded.maps[0].shape
            assert all(labels.shape == shape for labels in decoded.maps)
            assert decoded.trust.shape == (-(-shape[0] // 16), -(-shape[1] // 16))


def _is_small(payload: bytes) -> bool:
    sides = int.from_bytes(payload[1:4])
    return ((sides >> 12) + 1) * ((sides & 0xFFF) + 1) <= MOST_SAMPLES


def coded(data: bytes) -> None:
    """Coded pictures, as they come from the payload or the erasure code: 64x64, four of them."""
    try:
        pictures = av1.decode(data, 64, 64, FRAMES)
    except CodecError:
        return
    assert [picture.shape for picture in pictures] == [(96, 64)] * FRAMES


def conversation(now: float) -> tuple[Control, Replies, ReceiverEndpoint, Sealer]:
    """A sender and a receiver that have agreed on keys, and the receiver's sealer."""
    pacer: Pacer[Segment] = Pacer()
    session = SenderSession(PSK, mode=Mode.TWO_WAY)
    rate = RateController(60.0, 0.25, 57, session.payload_limit)
    control = Control(session, LIMITS, rate, pacer, PacketLength(session.payload_limit))
    endpoint = ReceiverEndpoint(PSK)
    replies = Replies(endpoint, lambda: (PlayoutState.PLAYING, 0.1))
    control.poll(now, now)
    for datagram in control.session.poll(now + 0.1, now):
        answer = endpoint.receive(datagram, now, HERE)
        if isinstance(answer, Answer) and isinstance(session.receive(answer.datagram, now), Established):
            break
    hello = session.seal(CONTROL.id, b"\0")
    assert hello is not None and isinstance(endpoint.receive(hello, now, HERE), Message)
    assert endpoint.active is None and endpoint.handshakes == 1
    origin = endpoint._listener()
    assert origin is not None and origin.two_way is not None
    return control, replies, endpoint, origin.two_way.sealer


def control(data: bytes) -> None:
    """Authentic packets of the receiver with wild bodies, above all reports, at the sender."""
    now = 100.0
    control, _, _, sealer = conversation(now)
    for unit, step in enumerate(steps(data)):
        now += step.choose(PAUSES)
        control.poll(now, now)
        control.plan_packets()
        assert 1 <= control.payload_limit <= control.session.payload_limit
        control.unit_sent(unit, 2)
        for index in range(2):
            control.seal(Segment(VIDEO.id, unit, index, 2, unit, b"media"), now)
        how, body = step.number(), step.rest()
        control.receive(sealer.seal((how >> 2, REPORT.id, REPORT.id, TEXT.id)[how & 3], body), now)
        control.receive(body, now)
        assert LIMITS.minimum <= control.kbps <= LIMITS.cap
        assert len(control.take_reports()) <= 256
        assert control.next_time() >= now


def text(data: bytes) -> None:
    """A line of the operator's text."""
    try:
        line = Line.parse(data)
    except WireError:
        return
    assert bytes(line) == data
    assert line.text.isprintable() and len(line.text.encode()) <= MAX_TEXT_BYTES


def replies(data: bytes) -> None:
    """Authentic media and messages of the sender with wild bodies, at the receiver that reports of them."""
    now = 100.0
    control, replies, endpoint, _ = conversation(now)
    for step in steps(data):
        now += step.choose(PAUSES)
        stream = step.choose((VIDEO.id, VIDEO.id, VIDEO.id, CONTROL.id, 2, TEXT.id, AUDIO.id, 40))
        assert control.session._two_way is not None
        sender = control.session._two_way.sealer
        sender._counter += step.number() >> 2
        event = endpoint.receive(sender.seal(stream, step.rest()), now, HERE)
        assert not isinstance(event, Answer)
        if isinstance(event, Arrival):
            replies.arrived(event, now)
        for datagram, _ in replies.poll(now):
            message = control.session.receive(datagram, now)
            if isinstance(message, Message) and message.stream == REPORT.id:
                Report.parse(message.body)
        assert replies.next_time(now) > now


def capture(data: bytes) -> None:
    """A file of a header and records with right checksums around wild bodies, then bytes as they are; then what the
    inspector and the replay make of it."""
    script, file = Script(data), [MAGIC, pack(Start(1, bytes(8), 0, 100.0, 1.8e9))]
    for _ in range(script.number() & 7):
        kind, body = script.number() % 8, script.chunk()
        head = HEAD.pack(MARK, kind, 0, len(body), 0)[:-4]
        file.append(head + zlib.crc32(body, zlib.crc32(head)).to_bytes(4, "big") + body)
    file.append(script.rest())
    summary, seal = Summary(), Resealer(PSK).seal
    try:
        reader = Reader(io.BytesIO(b"".join(file)))
        for record in reader:
            assert type(record) in KINDS.values()
            assert type(record).parse(bytes(record)) == record or isinstance(record, Start | Packet)
            summary.add(record)
            if isinstance(record, Packet):
                seal(record)
    except CaptureError:
        return
    summary.finish()
    assert reader.damaged_bytes + reader.tail_bytes <= len(b"".join(file))
    json.dumps(figures_of(summary))


def map_part(data: bytes) -> None:
    """A unit of the contours stream."""
    try:
        part = MapPart.parse(data)
    except WireError:
        return
    assert bytes(part) == data


def legend(data: bytes) -> None:
    """A message that tells a legend."""
    try:
        part = LegendPart.parse(data)
    except WireError:
        return
    assert bytes(part) == data
    book = LegendBook()
    book.take(part)
    told = book.legend(part.legend, 1)
    assert len(told.classes) == part.classes
    assert all(name.isprintable() for name in (told.name, *told.classes))


def audio(data: bytes) -> None:
    """A payload of the audio stream, and what is played of it."""
    try:
        payload = AudioPayload.parse(data)
    except AudioError:
        return
    assert AudioPayload.parse(bytes(payload)) == payload
    clock = PlayoutClock(0.3)
    clock.observe(10.0, 0.0)
    playout = AudioPlayout()
    playout.push(data, 10.0, clock, 0.1)
    for number in range(8):
        samples, _ = playout.block(clock, 0.3 + number * BLOCK_S)
        assert len(samples) == BLOCK
