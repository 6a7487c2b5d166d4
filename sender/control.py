"""The sender's side of the conversation with the receiver: keys, reports, and the rate that they allow. Pure.

`now` (monotonic seconds) is passed in. The event loop owns it, but for what says otherwise.
"""

from __future__ import annotations

from collections import deque

from common.log import Log
from proto.crypto import read_header
from proto.packet import Segment
from proto.protected import is_parity
from proto.report import Report
from proto.session import Dropped, Established, Message, SenderSession
from proto.streams import CONTROL, REPORT, TEXT
from proto.wire import HANDSHAKE_BYTE, IP_UDP_BYTES, OVERHEAD_BYTES, Mode, WireError
from sender.ceiling import Ceiling
from sender.choose import Heard
from sender.congestion import CongestionControl, RateLimits, State
from sender.contours.stream import ContourStream
from sender.feedback import Feedback
from sender.pacer import Pacer
from sender.packet_length.adapt import PacketLength
from sender.packet_length.join import LateJoin
from sender.protect import ProtectedStream
from sender.rate import RateController
from sender.text import TextStream

log = Log("sender.control")

TICK_SECONDS = 0.1
SHORTEST_PAUSE = 0.01  # between two polls of the session
FELL = 0.8  # of the rate before: what waits in the pacer was made for more
MOST_REPORTS = 256  # of units, that wait for the encoder
UNLEARNT_S = 5.0  # after a cut of the rate: a full queue loses long packets first

UnitReport = tuple[int, tuple[bool, ...] | None]


class Control:
    """Seals what is sent, understands what comes back, and steers rate and pacer by it."""

    def __init__(
        self,
        session: SenderSession,
        limits: RateLimits,
        rate: RateController,
        pacer: Pacer[Segment],
        lengths: PacketLength | None = None,
        *,
        late_join: LateJoin | None = None,
    ) -> None:
        """`lengths`: adapts the length of packets to the link. `late_join`: how they are cut while nobody reports."""
        self.lengths = lengths
        self.feedback = Feedback()
        self.congestion = CongestionControl(limits)
        self.malformed = 0
        """Authentic reports that could not be read."""
        self.session = session
        self.text = TextStream(session.payload_limit, answered=session.mode is not Mode.ONE_WAY)
        self.audio: ProtectedStream | None = None
        """Set before the first poll, where sound is sent."""
        self.contours: ContourStream | None = None
        """Set before the first poll, where maps are sent."""
        self.ceiling: Ceiling | None = None
        """Told of all that is sent beside media, where there is one."""
        self._rate, self._pacer = rate, pacer
        self._reports: deque[UnitReport] = deque(maxlen=MOST_REPORTS)
        self._ticked = self._polled = float("-inf")
        self._two_way = self._alive = False
        self._late_join, self._cuts, self._cut_at = late_join, 0, float("-inf")
        self._apply(0.0)

    @property
    def ready(self) -> bool:
        """Whether there are keys to send under. Any thread."""
        return self.session.ready

    @property
    def kbps(self) -> float:
        """The target rate on the wire."""
        return self.congestion.kbps

    def seal(self, segment: Segment, now: float) -> bytes | None:
        """The datagram of a segment, to be sent at once; None while a two-way session has no keys."""
        datagram = self.session.seal_segment(segment)
        if datagram is not None:
            self._sent(datagram, now)
            self.feedback.segment_sent(segment.unit)
        return datagram

    def unit_sent(self, unit: int, packets: int) -> None:
        """A unit was handed to the pacer in so many packets."""
        self.feedback.unit_sent(unit, packets)

    def poll(self, now: float, wall: float) -> list[bytes]:
        """What is to be sent beside media, at once; `wall`: seconds since the Unix epoch. Call at `next_time`."""
        if now - self._ticked >= TICK_SECONDS:
            self._ticked = now
            dead = self.feedback.dead(now)
            self._alive = self.session.two_way and self.feedback.last is not None and not dead
            self.congestion.tick(dead, now)
            if self.audio is not None:
                self.audio.believe(self.feedback.loss(now) if self._alive else None)
            if self.contours is not None:
                self.contours.believe(self.feedback.loss(now) if self._alive else None)
                self.contours.settle(self._alive, self.feedback.told_after, now)
                self._rate.charge(-self.contours.share.surplus(now))
            self._apply(now)
        self._polled = now
        due = self.session.poll(now, wall) + self._beside(now)
        for datagram in due:
            self._charge(len(datagram) + IP_UDP_BYTES, now)
            self._sent(datagram, now)
        due += self._contours(now)
        self._watch()
        return due

    def next_time(self) -> float:
        """When to call `poll` again, at the latest; also after `text` and `audio` were given something."""
        times = [self.session.next_time(), self._ticked + TICK_SECONDS]
        if self.session.ready:
            beside = [self.text.next_time(self.session.two_way, self._polled)]
            beside += [] if self.audio is None else [self.audio.next_time()]
            beside += [] if self.contours is None else [self.contours.next_time(self._polled)]
            times += [time for time in beside if time is not None]
        return max(self._polled + SHORTEST_PAUSE, min(times))

    def receive(self, datagram: bytes, now: float) -> None:
        """A datagram came back. Never raises, whatever the bytes are; poll after it."""
        event = self.session.receive(datagram, now)
        if isinstance(event, Established):
            log.info("keys agreed with the receiver", handshakes=self.session.handshakes)
            self.text.greet(now)
            if self.contours is not None:
                self.contours.greet()
        elif isinstance(event, Dropped):
            log.debug("refused what came back", reason=event.reason)
        elif isinstance(event, Message) and event.stream == REPORT.id:
            self._report(event.body, now)
        elif isinstance(event, Message) and event.stream == TEXT.id:
            self.text.acknowledged(event.body, now)

    def limit(self, limits: RateLimits, now: float) -> None:
        """Other limits of the rate from now on."""
        self.congestion.limit(limits)
        self._apply(now)

    def heard(self) -> Heard:
        """What the receiver tells of the link. Any thread."""
        congested = self.congestion.state is State.DRAINING
        return Heard(self.congestion.kbps, self._alive, self.feedback.rtt, congested)

    def take_reports(self) -> list[UnitReport]:
        """What the receiver told of units since the last call: (unit, which packets arrived or None). Any thread."""
        taken: list[UnitReport] = []
        while self._reports:
            taken.append(self._reports.popleft())
        return taken

    def _beside(self, now: float) -> list[bytes]:
        """Text and sound, sealed; in a two-way session without keys text waits and sound is lost."""
        segments = [] if self.audio is None else self.audio.poll(now)
        sealed = [self.session.seal_segment(segment) for segment in segments]
        if self.session.ready:
            payloads = self.text.poll(self.session.two_way, now)
            sealed += [self.session.seal(TEXT.id, payload) for payload in payloads]
        if self.contours is not None and self.session.ready:
            sealed += [self.session.seal(CONTROL.id, message) for message in self.contours.control(now)]
        return [datagram for datagram in sealed if datagram is not None]

    def _contours(self, now: float) -> list[bytes]:
        """Contours, sealed; in a two-way session without keys they are lost."""
        stream, ceiling, out = self.contours, self.ceiling, []
        for segment in [] if stream is None else stream.poll(now):
            size = len(segment.payload) + OVERHEAD_BYTES + IP_UDP_BYTES
            if is_parity(segment) and ceiling is not None and ceiling.full(size, now):
                continue
            datagram = self.session.seal_segment(segment)
            if stream is None or datagram is None:
                continue
            wire = len(datagram) + IP_UDP_BYTES
            if is_parity(segment):
                stream.share.parity(wire)
            self._sent(datagram, now)
            header = read_header(datagram)
            stream.sent(segment, header.session, header.counter, now)
            out.append(datagram)
        return out

    def _charge(self, wire: int, now: float) -> None:
        """So much is sent beside media: pictures and maps have less."""
        maps = 0.0 if self.contours is None else self.contours.share.beside(wire)
        self._rate.charge(round(wire - maps))
        self._count(wire, now)

    def _count(self, wire: int, now: float) -> None:
        if self.ceiling is not None:
            self.ceiling.add(wire, now)

    def plan_packets(self) -> None:
        """Choose how long the packets of the next unit may be. The encoding thread, once before each unit."""
        rate, limit = self._rate, self.session.payload_limit
        if self.lengths is not None:
            limit = self.lengths.next_unit(rate.share, self._alive)
        if self._late_join is not None and not self._alive:
            limit = self._late_join.payload(rate.share, rate.unit_duration, limit)
        rate.set_payload_limit(limit)

    @property
    def payload_limit(self) -> int:
        """Bytes that a payload of the last unit could have. Any thread."""
        return self._rate.payload_limit

    def _report(self, body: bytes, now: float) -> None:
        try:
            report = Report.parse(body)
        except WireError as error:
            self.malformed += 1
            log.debug("report refused", reason=str(error))
            return
        update = self.feedback.report(report, now)
        if update is not None:
            self._reports.extend(update.units)
            if self.contours is not None:
                self.contours.told(self.feedback.session, list(update.arrived))
            self.congestion.update(update, self.feedback.rtt or 0.0, now)
            self._apply(now)
            if self.lengths is not None and self._calm(now):
                self.lengths.learn(update.fates)

    def _calm(self, now: float) -> bool:
        """Whether what was lost says nothing of our rate."""
        congestion = self.congestion
        if congestion.cuts != self._cuts or congestion.state in (State.DRAINING, State.TESTING):
            self._cuts, self._cut_at = congestion.cuts, now
        return now - self._cut_at > UNLEARNT_S

    def _sent(self, datagram: bytes, now: float) -> None:
        if self.ceiling is not None:
            self.ceiling.left(len(datagram) + IP_UDP_BYTES, now)
        if self.session.mode is not Mode.ONE_WAY and datagram[0] != HANDSHAKE_BYTE:
            header = read_header(datagram)
            self.feedback.sent(header.session, header.counter, len(datagram) + IP_UDP_BYTES, now)

    def _apply(self, now: float) -> None:
        """Hold the rate that congestion control allows now."""
        before, target = self._rate.kbps, self.congestion.kbps
        self._rate.set_target(target)
        self.session.rate = target * 125
        self.text.set_rate(target * 125, now)
        if self.audio is not None:
            self.audio.afford(target * 125)
        if self.contours is not None:
            self.contours.set_rate(target * 125)
        if self.ceiling is not None:
            self.ceiling.set_rate(target)
        if target < FELL * before:
            self._pacer.slow(target, now)

    def _watch(self) -> None:
        if self.session.two_way != self._two_way:
            self._two_way = self.session.two_way
            if not self._two_way:
                log.info("receiver not heard: sending under the shared key")
