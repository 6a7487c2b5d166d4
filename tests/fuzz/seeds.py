"""Genuine inputs that the corpus begins with: `python -m tests.fuzz.seeds` writes those that are missing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from common.audio import Sound
from common.capture.records import Decoded, Dropped, End, Record, Steps, pack
from common.codec import av1, symbols
from common.codec.base import Budget
from common.codec.classic.body import Body
from common.codec.classic.encoder import ClassicEncoder
from common.codec.contour import paper
from common.codec.contour.encoder import ContourEncoder, ContourSettings
from common.codec.header import CodecHeader, Mirror
from common.codec.hevc import group as hevc
from common.codec.texture.encoder import TextureEncoder
from common.codec.texture.header import TextureHeader
from common.codec.view import take
from common.maps.base import Legend
from common.maps.part import MapPart
from common.maps.told import messages as told
from common.text import Line
from common.video import blank
from proto.announce import Announcement, StreamInUse
from proto.crypto import Sealer
from proto.handshake import Kind, begin
from proto.packet import Segment
from proto.protected import Protector
from proto.protection import Policy
from proto.reliable_packet import Acknowledgement, Messages
from proto.reliable_packet import Announcement as Standing
from proto.report import Earlier, PlayoutState, Report, UnitMask
from proto.streams import VIDEO
from proto.wire import Mode
from sender.audio.generated import clicks_and_voice
from sender.audio.units import AudioFormat, UnitMaker
from tests.common.capture.samples import announcement, unit_packets
from tests.fuzz.atheris_targets import PINNED, PRIVATE, SESSIONS
from tests.fuzz.run import CORPUS
from tests.fuzz.script import join
from tests.fuzz.world import KEYS, PSK

ANNOUNCEMENT = bytes(
    Announcement(
        SESSIONS[1],
        3,
        1.8e9,
        Mode.AUTO,
        (StreamInUse(VIDEO.id, VIDEO.delivery, "resilient", 4, 6),),
        "north mast",
    )
)
REPORT = bytes(
    Report(
        *(7, 0x0101, PlayoutState.PLAYING, 900, 850, 120_000, 5_000_000, 12, 200),
        earlier=(Earlier(1, 3), Earlier(200, 400)),
        units=(UnitMask(70, (True, False, True)), UnitMask(69, ()), UnitMask(60, (True,) * 9, refused=True)),
        runs=(1, 2, 3, 0, 0, 1),
        shown=60,
        due=70,
        playout_delay_ms=250,
        gradient=-3,
        jitter_ms=14,
    )
)


def captured(records: Sequence[Record]) -> Sequence[Record]:
    """With all other kinds of records."""
    more = (Decoded(102.0, 0.02, 1, 70, False, False, False, (True, False, True)), Steps((101.0, 101.5)))
    return [announcement(100.5, 4), *records, *more, Dropped(103.0, 2), End(104.0, 1)]


CAPTURED = [(one.KIND, bytes(one)[:255]) for one in captured(unit_packets(7, 101.0, (True, True), 5))]


def segments(unit: int, count: int = 3) -> list[bytes]:
    """Bodies of the packets of a unit."""
    return [bytes(Segment(1, unit & 0xFFFF, i, count, 66 * unit & 0xFFFF, b"media")) for i in range(count)]


def windows() -> list[Segment]:
    """Protected units, source and parity."""
    protector = Protector(3, 60, Policy())
    out: list[Segment] = []
    for unit in range(12):
        made = protector.push(bytes((unit,)) * (20 + 10 * unit), unit / 15, 1 / 15, unit / 15)
        out += [*made.source, *made.parity]
    return out + protector.flush()


def initiation(pinned: bool) -> bytes:
    """The first Noise message."""
    state = begin(KEYS, PINNED if pinned else None, True, ephemeral=PRIVATE)
    return state.write_message(SESSIONS[2] + bytes(4) + (5).to_bytes(4) + bytes(2))


def payloads() -> list[bytes]:
    """What the codec makes: two views, and the symbols of a finer one."""
    header = CodecHeader(1, 64, 64, 15.0, quality=9)
    pictures = [blank(64, 64) for _ in range(4)]
    for number, picture in enumerate(pictures):
        picture[8 * number : 8 * number + 20, 10:40] = 200
    other = replace(header, mirror=Mirror(True, False, True))
    views = [
        bytes(h) + av1.encode(take(pictures, h), 50.0, av1.PRESETS[-1])
        for h in (header, replace(other, index=1))
    ]
    finer = symbols.cut(views[0][6:], 3, 4)
    return views + [bytes(replace(header, needed=3, index=i)) + part for i, part in enumerate(finer)]


def classic() -> list[list[bytes]]:
    """Payloads of three units of the classic profile: a key unit and two that lean on it."""
    encoder = ClassicEncoder(64, 64, 15.0)
    pictures = [blank(64, 64) for _ in range(4)]
    return [encoder.encode(pictures, unit, Budget(2000.0, 57, 400)).payloads for unit in range(3)]


def sound() -> list[bytes]:
    """Units of the audio stream, interleaved and not."""
    formats = (AudioFormat(6, 60, 120), AudioFormat(6, 20, 60, False))
    voice = Sound(clicks_and_voice(0, 14_400), 1.8e9)
    return [unit.data for format in formats for unit in UnitMaker(format).push(voice)][:4]


def contours() -> list[list[bytes]]:
    """Payloads of maps in which a square moves: three units in our format, one in the paper's."""
    maps = [np.zeros((48, 64), np.uint8) for _ in range(8)]
    for number, labels in enumerate(maps):
        labels[10:30, 5 + 3 * number : 25 + 3 * number] = 1
        labels[35:45, 40:60] = 2
    encoder = ContourEncoder(ContourSettings(3, period=2, repeat=True), 64, 48)
    ours = [encoder.encode(maps[i : i + 2], i // 2, Budget(4000.0, 57, 400)).payloads for i in (0, 2, 4)]
    return [*ours, paper.encode(maps[:4], paper.PaperSettings(classes=3))]


def textures() -> list[bytes]:
    """Payloads of small pictures, of a quarter and half the sides, in which a square moves; and groups."""
    pictures = [blank(128, 128) for _ in range(8)]
    for number, picture in enumerate(pictures):
        picture[8 * number : 8 * number + 40, 30:80] = 200
    encoders = [TextureEncoder(128, 128, 15.0, 4, scale) for scale in (4, 2)]
    units = [
        encoder.encode(pictures[i : i + 4], i // 4, Budget(300.0, 57, 400)).payloads[0]
        for encoder in encoders
        for i in (0, 4)
    ]
    small = [picture[:96, :64] for picture in pictures]  # 64x64 samples
    header = TextureHeader(128, 128, 15.0, 8, 2)
    alone, half = (
        (header.of_group(9, 1, False), hevc.encode(small, 45.0, 8)),
        (
            header.of_group(9, 2, False),
            hevc.encode(small[1::2], 45.0, 8),
        ),
    )
    last = hevc.decode(alone[1], 64, 64, 8)[-1]
    after = header.of_group(9, 1, True), b"\1" + hevc.encode(small[::-1], 45.0, 8, last)
    return [*units, *[head + body for head, body in (alone, half, after)]]


def seeds() -> dict[str, list[bytes]]:
    """For each target some inputs that get far."""
    sealer = Sealer(PSK, SESSIONS[0])
    sealed = sealer.seal(1, segments(1)[0])
    wild = [body for unit in (1, 2, 3, 65535, 65536, 200) for body in segments(unit)]
    protected = windows()
    messages = bytes(Messages(4, 1000, ((0, b"one"), (3, b"two"))))
    acknowledged = bytes(Acknowledgement(5, 0b101, 1000, 20))
    standing = bytes(Standing(9, 65535, b"words"))
    reliable = [messages, acknowledged, standing]
    views = payloads()
    handshakes = [bytes((1, kind - 1)) + bytes(4) + initiation(kind > 2) for kind in Kind]
    return {
        "header": [sealed, b"\x41" + bytes(40), bytes(1600)],
        "packet": [bytes(5) + b"body", b"\x00\x14\x00\x00\x03\x01body", b"\x00\x03\x80\x00\x00\x01body"],
        "segment": [b"\x01" + body for body in wild[:3]],
        "reassembler": [
            join(*(bytes((1, 1)) + body for body in wild)),
            join(*(bytes((2, 0)) + b for b in wild)),
        ],
        "announcement": [ANNOUNCEMENT, ANNOUNCEMENT[:20], b"\0", bytes(Announcement(SESSIONS[1]))],
        "report": [REPORT, REPORT[:27]],
        "protected": [bytes((one.index,)) + one.payload for one in protected[:: max(1, len(protected) // 6)]],
        "recover": [
            join(*(bytes((2,)) + bytes(one) for one in protected)),
            join(*(bytes((1,)) + bytes(one) for one in protected[1:] if one.index != 2)),
        ],
        "reliable": reliable,
        "reliable_ends": [join(*(bytes((3,)) + payload for payload in reliable * 3))],
        "handshake": [join(*handshakes), join(handshakes[0]), join(handshakes[2])],
        "noise": [initiation(False), initiation(True), b"Noise_NNpsk0_25519_AESGCM_SHA256"],
        "key_file": [PSK.hex().encode() + b"\n", PSK, PSK.hex().encode()[:-1], b"short"],
        "endpoint": [
            join(*(bytes((1, 0x11)) + body for body in wild)),
            join(*(bytes((2, how)) + body for how in (0x01, 0x11, 0x13, 0x31, 0x41) for body in wild[:4])),
            join(
                *(bytes((3, 1)) + body for body in (ANNOUNCEMENT, b"\0", b"\2hello")),
                b"\1\2" + initiation(False),
            ),
        ],
        "session": [
            bytes((2, 2, 30)) + bytes((1, 3, 4, 0, 1)) * 20,
            bytes((1, 1, 5)) + bytes((4, 1, 2, 4, 8, 3, 65, 66, 67, 4, 0, 2)) * 12 + bytes((10, 5, 0, 9)),
            bytes((2, 2, 3)) + bytes((1, 1, 2, 0, 6, 0, 3, 5, 0, 1, 4, 7, 2, 1, 2, 9, 2, 5, 6)) * 6,
            bytes((0, 2, 9)) + bytes((1, 3, 4)) * 10,
        ],
        "classic_body": [
            bytes(Body(9, (b"key", b"", b"more", b""))),
            bytes(Body(31, (bytes(range(200)), b"", b"", b""))),
            b"\x05\x80",
        ],
        "classic_units": [
            join(*(b"\0" + payloads[0] for payloads in classic())),
            join(*(b"\0" + payloads[0] for payloads in classic()[1:])),
        ],
        "codec_header": [view[:8] for view in views],
        "codec_unit": [
            bytes((1, len(views[0][:255]))) + views[0][:255] + views[1],
            b"\0" + views[0],
            bytes((3,)) + join(*views[2:5]) + views[5],
        ],
        "coded": [view[6:] for view in views[:2]],
        "capture": [
            bytes((3,)) + b"".join(bytes((kind, len(body))) + body for kind, body in CAPTURED[:3]),
            bytes((7,)) + b"".join(bytes((kind, len(body))) + body for kind, body in CAPTURED),
            b"\0" + b"".join(map(pack, captured(unit_packets(70, 101.0, (True, False, True), 5)))),
        ],
        "control": [
            join(*(bytes((3, 1)) + r for r in (REPORT, REPORT[:27], b"\0"))),
            join(*[b"\2\1" + REPORT] * 20),
        ],
        "audio": sound(),
        "contour_payload": [one for unit in contours() for one in unit],
        "contour_units": [join(*(b"\0" + one for unit in contours() for one in unit))],
        "map_part": [bytes(MapPart(7, i, 2, 25, 9, one)) for i, one in enumerate(contours()[0][:1] * 2)],
        "legend": told(Legend("street", ("sky", "road"), ((9, 8, 7), (6, 5, 4))), 500),
        "texture_header": [one[:6] for one in textures()],
        "texture_units": [join(*textures())],
        "text": [bytes(Line(7, "north mast, 11.9 V")), bytes(Line(0, "")), b"\0\0\0\1\xff"],
        "replies": [
            join(*(bytes((2, 0, 4)) + body for body in wild)),
            join(*(bytes((3, 0, 255)) + one + two for one, two in pairwise(wild)), b"\1\3\0" + ANNOUNCEMENT),
        ],
    }


def main() -> None:
    for target, inputs in seeds().items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for data in inputs:
            (folder / hashlib.sha1(data).hexdigest()[:12]).write_bytes(data)


if __name__ == "__main__":
    main()
