"""Maps and small pictures as the daemons send them, in virtual time: what is spent on the wire, and what is received.

The stage of contours, the share, the two codecs and their packets are the daemons' own. Nothing is lost, and a receiver
with a way back says so: of contours from the start, of each unit of pictures in the longest that a report takes. What
is sent beside media (announcements, the legend, handshakes) and reports are left out, for us as for everybody else."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from common.codec.base import COARSEST_QP, IMAGINED, RECEIVED, RECOVERED
from common.codec.contour.decoder import ContourDecoder
from common.codec.texture.decoder import TextureDecoder
from common.codec.texture.encoder import TextureEncoder
from common.maps.base import LabelMap, Legend, MapSource
from common.video import Frame, Picture
from proto.wire import IP_UDP_BYTES, MAX_DATAGRAM, OVERHEAD_BYTES, max_payload
from receiver.contours.store import IMAGINED_S, OLDEST_S, STALE_S
from receiver.reports import LONGEST_S as REPORT_S
from sender.ceiling import Ceiling
from sender.contours.settings import ContoursSection
from sender.contours.share import PART_COST, ContourShare
from sender.contours.stage import ContourStage, MapUnit
from sender.contours.stream import ContourStream
from sender.rate_held import HeldRate
from tests.bench.generative_sets import TAIL, Clip, there_and_back

OVERHEAD = OVERHEAD_BYTES + IP_UDP_BYTES  # of a packet of pictures
PAYLOAD = max_payload(MAX_DATAGRAM)
UNUSED = 0.01  # share of contours that are not sent
SPREAD = 0.75  # of the duration of a unit, over which its packets leave
LEVELS = 2.0  # trust runs from RECEIVED, 0, to IMAGINED, 2
SETTLE_S = 8.0  # maps go on for so long after the pictures' end, until all of theirs have been sent

Trust = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shown:
    """What is known of one frame: pictures of the full size, labels (H, W), trust (H/16, W/16) in 0..1; None where
    there is none."""

    texture: Picture | None
    texture_trust: Trust | None
    labels: NDArray[np.uint8] | None
    labels_trust: Trust | None
    qp: float = COARSEST_QP  # of the texture


@dataclass(slots=True)
class Sent:
    """A clip as it went over the wire."""

    legend: Legend
    texture_kbps: float = 0.0
    contour_kbps: float = 0.0
    delay_s: float = 0.0  # of its pictures, from capture to display
    frames: list[Shown] = field(default_factory=list)  # those that are measured

    @property
    def kbps(self) -> float:
        """On the wire, all headers counted."""
        return self.texture_kbps + self.contour_kbps


class Known:
    """A source that keeps its maps: networks look at each picture once."""

    def __init__(self, source: MapSource) -> None:
        self.legend = source.legend
        self._source = source
        self._made: dict[int, LabelMap | None] = {}

    def map(self, frame: Frame) -> LabelMap | None:
        """See MapSource."""
        if frame.index not in self._made:
            self._made[frame.index] = self._source.map(frame)
        return self._made[frame.index]

    def reset(self) -> None:
        """See MapSource."""

    def close(self) -> None:
        """See MapSource."""


def frame_of(clip: Clip, index: int) -> Frame:
    """A frame of the clip, which goes to and fro."""
    return Frame(clip.pictures[there_and_back(index, len(clip.pictures))], index / clip.fps, index)


class Link:
    """One clip, one rate; `share` of it for contours: none at 0, all at 1."""

    def __init__(self, clip: Clip, source: MapSource, kbps: float, share: float) -> None:
        self._clip, self._share_of, self._kbps = clip, share, kbps
        self.now = 0.0
        ceiling = Ceiling(kbps)
        settings = ContoursSection()
        every = settings.every(clip.fps, kbps)
        told = kbps * (1 - share)  # as sender.build does
        self._encoder = TextureEncoder(clip.size.width, clip.size.height, clip.fps, kbps=max(0.1, told))
        unit_s = self._encoder.frames_per_unit / clip.fps
        self._share = ContourShare(lambda kbps: share or UNUSED, clip.fps / every, kbps, ceiling, unit_s)
        self._share.repeat = False
        self._share.believe(0.0)
        self._share.surplus(0.0)
        stream = ContourStream(PAYLOAD, source.legend, self._share, ceiling)
        self._stage = ContourStage(
            *(source, clip.size, clip.fps, stream),
            every=every,
            highest=settings.miou,
            payload_limit=PAYLOAD,
            deliver=lambda unit: self._units.append(unit),
            clock=lambda: self.now,
        )
        self._units: list[MapUnit] = []
        self._rate = HeldRate(
            *(kbps, unit_s, OVERHEAD, PAYLOAD),
            part=lambda kbps: 1 - share,
            ceiling=ceiling,
            spread=SPREAD,
            clock=lambda: self.now,
        )
        self._payloads: list[bytes | None] = []
        self._unreported = deque[tuple[float, int]]()  # when it is, and that this unit arrived
        self.legend = source.legend

    def run(self) -> Sent:
        """Sends everything; what is measured as a receiver shows it."""
        count, unit = len(self._clip.pictures), self._encoder.frames_per_unit
        pictures = count if self._share_of < 1 else 0
        total = count + round(SETTLE_S * self._clip.fps)
        for index in range(total):
            self.now = (index + 1) / self._clip.fps
            covered = len(self._payloads) * unit
            if self._share_of > 0:
                self._stage.take(frame_of(self._clip, index))
            if covered < pictures and index + 1 == covered + unit:
                self._send_pictures(covered, unit)
            if index >= count and len(self._payloads) * unit >= pictures and self._maps_sent(count):
                break
        return self._received(count, unit)

    def _maps_sent(self, count: int) -> bool:
        """Whether maps of the whole clip are out."""
        last = self._units[-1] if self._units else None
        return not self._share_of or (
            last is not None and last.timestamp + last.duration >= count / self._clip.fps
        )

    def _send_pictures(self, first: int, unit: int) -> None:
        if self._share_of > 0:
            self._rate.charge(-self._share.surplus(self.now))
        while self._unreported and self._unreported[0][0] <= self.now:
            self._encoder.report(self._unreported.popleft()[1], [True])
        frames = [frame_of(self._clip, first + index).picture for index in range(unit)]
        encoded = self._encoder.encode(frames, len(self._payloads), self._rate.budget())
        sent = self._rate.admit([encoded.wire_bytes])
        self._rate.spent(encoded.wire_bytes * sent)
        if sent:
            self._unreported.append((self.now + REPORT_S, len(self._payloads)))
        else:
            self._encoder.report(len(self._payloads), ())
        self._payloads.append(encoded.payloads[0] if sent else None)

    def _received(self, count: int, unit: int) -> Sent:
        fps = self._clip.fps
        out = Sent(self.legend, delay_s=(1 + SPREAD) * unit / fps)
        maps, until = self._maps()
        if maps:
            spent = [sum(len(p.data) + PART_COST for p in u.parts) for u in self._units[: len(until)]]
            # units that begin within the clip; a unit lasts until the next one begins
            within = sum(begin < count / fps for begin in until)
            end = until[within] if within < len(until) else until[-1] + self._units[-1].duration
            out.contour_kbps = sum(spent[:within]) / 125 / end
        if self._payloads:
            wire = sum(len(payload) + OVERHEAD for payload in self._payloads if payload is not None)
            out.texture_kbps = wire / 125 / (len(self._payloads) * unit / fps)
        textures = self._textures(unit)
        times = [at for at, _, _ in maps]
        for index in range(self._clip.since, count - TAIL):
            picture, trust, qp = textures[index] if textures else (None, None, COARSEST_QP)
            labels, known = self._at(maps, times, index / fps)
            out.frames.append(Shown(picture, trust, labels, known, qp))
        return out

    def _textures(self, unit: int) -> list[tuple[Picture, Trust, float]]:
        decoder, out = TextureDecoder(), list[tuple[Picture, Trust, float]]()
        for number, payload in enumerate(self._payloads):
            got = None if payload is None else _Got(number, (payload,))
            while len(out) < (number + 1) * unit:  # one that is not there is concealed in parts
                decoded, got = decoder.decode(got), None
                trust = np.asarray(1 - decoded.trust / LEVELS, np.float32)
                out += [(picture, trust, decoded.qp) for picture in decoded.pictures]
            del out[(number + 1) * unit :]
        return out

    def _maps(self) -> tuple[list[tuple[float, NDArray[np.uint8], NDArray[np.uint8]]], list[float]]:
        """Maps by time, and when each unit begins."""
        decoder = ContourDecoder()
        out = list[tuple[float, NDArray[np.uint8], NDArray[np.uint8]]]()
        begins = []
        for unit in self._units:
            decoded = decoder.decode([part.data for part in unit.parts])
            begins.append(unit.timestamp)
            if decoded is not None:
                step = unit.duration / len(decoded.maps)
                out += [(unit.timestamp + i * step, one, decoded.trust) for i, one in enumerate(decoded.maps)]
        return out, begins

    @staticmethod
    def _at(
        maps: list[tuple[float, NDArray[np.uint8], NDArray[np.uint8]]], times: list[float], now: float
    ) -> tuple[NDArray[np.uint8] | None, Trust | None]:
        """The newest map that is not later than a picture, as receiver.contours.store has it."""
        index = bisect_right(times, now + 1e-3) - 1
        if index < 0 or now - times[index] > OLDEST_S:
            return None, None
        _, labels, trust = maps[index]
        age = now - times[index]
        floor = RECEIVED if age <= STALE_S else RECOVERED if age <= IMAGINED_S else IMAGINED
        return labels, np.asarray(1 - np.maximum(trust, floor) / LEVELS, np.float32)


@dataclass(frozen=True, slots=True)
class _Got:
    unit: int
    segments: tuple[bytes | None, ...]
