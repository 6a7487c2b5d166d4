"""The ends of our transport in a benchmark: the sans-IO classes of `proto`, told of packets and of the time."""

from __future__ import annotations

import contextlib
import math
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

from proto.crypto import Opener, Sealer
from proto.packet import Segment
from proto.protected import Protector
from proto.protection import Policy
from proto.recover import Recover
from proto.reliable import ReliableReceiver, ReliableSender, SenderFull
from proto.session import Answer, Arrival, ReceiverEndpoint, SenderSession
from proto.streams import CONTROL, VIDEO
from proto.wire import MAX_DATAGRAM, OVERHEAD_BYTES, Mode, WireError
from tests.bench.transport.workload import Piece, Workload, noted, pacer

PSK = bytes(range(32))  # a benchmark's: public
HOLD_S = 0.5  # a unit is taken when it is whole, or so long after its first packet
RECOVER_S = 0.55  # a window and the time in which its parity is sent, 0.25 s each, and some
MESSAGE_RATE = 1500.0  # wire bytes a second for reliable messages: a fifth of 60 kbit/s
PAYLOAD_LIMIT = MAX_DATAGRAM - OVERHEAD_BYTES

Address = tuple[str, int]

PROTECTED = 3  # a stream of this benchmark; version 1 of the format has no protected one


class End(ABC):
    """One end of the link. `near` is the socket of the application, `far` that of the link."""

    def __init__(self, near: socket.socket, near_to: Address, far: socket.socket, far_to: Address) -> None:
        self._near, self._near_to = near, near_to
        self._far, self._far_to = far, far_to

    def hand_on(self, payload: bytes) -> None:
        """To the application."""
        self._near.sendto(payload, self._near_to)

    def transmit(self, datagram: bytes) -> None:
        """To the other end."""
        with contextlib.suppress(OSError):  # a full buffer is one more loss
            self._far.sendto(datagram, self._far_to)

    def given(self, payload: bytes, now: float) -> None:
        """The application gave a packet; a receiving end has none."""
        raise NotImplementedError

    @abstractmethod
    def received(self, datagram: bytes, address: Address, now: float) -> None:
        """A datagram came over the link."""

    @abstractmethod
    def wake(self, now: float) -> float:
        """Do what is due; returns when there is more, infinity for never."""


class TolerantSender(End):
    """SenderSession: each packet once."""

    def __init__(self, *sockets: object, workload: Workload, mode: Mode) -> None:
        super().__init__(*sockets)  # type: ignore[arg-type]
        self._workload = workload
        self._session = SenderSession(PSK, mode=mode)
        self._session.rate = workload.kbps * 125.0
        self._pacer = pacer()
        self._unit: list[bytes] = []
        self._number = 0

    def given(self, payload: bytes, now: float) -> None:
        piece = Piece.parse(payload, self._workload.size)
        if piece is None:
            return
        if piece.place == 0:
            self._unit.clear()
        self._unit.append(payload)
        if len(self._unit) == piece.packets:
            datagrams = self._session.packets(VIDEO.id, self._number, time.time(), self._unit)
            self._number += 1
            self._unit = []
            self._pacer.submit(datagrams, self._workload.duration, now)

    def received(self, datagram: bytes, address: Address, now: float) -> None:
        self._session.receive(datagram, now)

    def wake(self, now: float) -> float:
        for datagram in self._session.poll(now, time.time()) + self._pacer.take(now):
            self.transmit(datagram)
        paced = self._pacer.next_time()
        return min(self._session.next_time(), math.inf if paced is None else paced)


class TolerantReceiver(End):
    """ReceiverEndpoint: what arrived of a unit, with the times at which it did.

    Packets of a unit arrive in their order, as the relay keeps it.
    """

    def __init__(self, *sockets: object, mode: Mode) -> None:
        super().__init__(*sockets)  # type: ignore[arg-type]
        self._endpoint = ReceiverEndpoint(PSK, mode=mode)
        self._open: dict[int, list[float]] = {}

    def received(self, datagram: bytes, address: Address, now: float) -> None:
        event = self._endpoint.receive(datagram, now, address)
        if isinstance(event, Answer):
            self._far.sendto(event.datagram, address)
        elif isinstance(event, Arrival) and event.active:
            if event.took_over:
                self._open.clear()
            self._open.setdefault(event.unit, []).append(now)
            units = self._endpoint.reassembler(VIDEO.id)
            if units is not None and units.complete(event.unit):
                self._take(event.unit)

    def wake(self, now: float) -> float:
        for datagram, address in self._endpoint.poll(now):
            self._far.sendto(datagram, address)
        for unit in [unit for unit, times in self._open.items() if now - times[0] >= HOLD_S]:
            self._take(unit)
        taken = min((times[0] + HOLD_S for times in self._open.values()), default=math.inf)
        return min(self._endpoint.next_time(), taken)

    def _take(self, upto: int) -> None:
        units = self._endpoint.reassembler(VIDEO.id)
        for unit in sorted(unit for unit in self._open if unit <= upto):
            times = self._open.pop(unit)
            taken = None if units is None else units.take(unit)
            payloads = [] if taken is None else [payload for payload in taken.segments if payload is not None]
            for payload, at in zip(payloads, times, strict=False):
                self.hand_on(noted(payload, at))


class ProtectedSender(End):
    """Protector: each packet is a unit of its own, so that it can be handed on by itself."""

    def __init__(self, *sockets: object, workload: Workload, policy: Policy) -> None:
        super().__init__(*sockets)  # type: ignore[arg-type]
        self._interval = workload.interval
        self._sealer = Sealer(PSK)
        self._protector = Protector(PROTECTED, PAYLOAD_LIMIT, policy)
        self._pacer = pacer()

    def given(self, payload: bytes, now: float) -> None:
        made = self._protector.push(payload, time.time(), self._interval, now)
        for segment in made.source:
            self.transmit(self._sealed(segment))
        self._spread(made.parity, now)

    def received(self, datagram: bytes, address: Address, now: float) -> None:
        pass  # nothing comes back

    def wake(self, now: float) -> float:
        self._spread(self._protector.poll(now), now)
        for datagram in self._pacer.take(now):
            self.transmit(datagram)
        times = (self._protector.next_time(), self._pacer.next_time())
        return min((at for at in times if at is not None), default=math.inf)

    def _spread(self, parity: Sequence[Segment], now: float) -> None:
        self._pacer.submit([self._sealed(s) for s in parity], self._protector.policy.window_s, now)

    def _sealed(self, segment: Segment) -> bytes:
        return self._sealer.seal(PROTECTED, bytes(segment))


class ProtectedReceiver(End):
    """Recover."""

    def __init__(self, *sockets: object) -> None:
        super().__init__(*sockets)  # type: ignore[arg-type]
        self._opener = Opener(PSK)
        self._recover = Recover(RECOVER_S)

    def received(self, datagram: bytes, address: Address, now: float) -> None:
        try:
            segment = Segment.parse(PROTECTED, self._opener.open(datagram).body)
            units = self._recover.push(segment, now)
        except WireError:
            return
        for unit in units:
            self.hand_on(unit.data)

    def wake(self, now: float) -> float:
        self._recover.expire(now)
        return math.inf


class MessageSender(End):
    """ReliableSender, with its acknowledgements under a session that runs back."""

    def __init__(self, *sockets: object) -> None:
        super().__init__(*sockets)  # type: ignore[arg-type]
        self._sealer, self._opener = Sealer(PSK), Opener(PSK)
        self._messages = ReliableSender(MESSAGE_RATE, PAYLOAD_LIMIT)

    def given(self, payload: bytes, now: float) -> None:
        with contextlib.suppress(SenderFull):  # 64 are not acknowledged: this one is never told
            self._messages.send(payload, now)

    def received(self, datagram: bytes, address: Address, now: float) -> None:
        with contextlib.suppress(WireError):
            segment = Segment.parse(CONTROL.id, self._opener.open(datagram).body)
            self._messages.acknowledge(segment.payload, now)

    def wake(self, now: float) -> float:
        for payload in self._messages.poll(now):
            self.transmit(_message(self._sealer, payload))
        due = self._messages.next_time(now)
        return math.inf if due is None else due


class MessageReceiver(End):
    """ReliableReceiver."""

    def __init__(self, *sockets: object) -> None:
        super().__init__(*sockets)  # type: ignore[arg-type]
        self._sealer, self._opener = Sealer(PSK), Opener(PSK)
        self._messages = ReliableReceiver()

    def received(self, datagram: bytes, address: Address, now: float) -> None:
        try:
            segment = Segment.parse(CONTROL.id, self._opener.open(datagram).body)
            for message in self._messages.receive(segment.payload, now):
                self.hand_on(message)
        except WireError:
            return
        answer = self._messages.acknowledgement(now)
        if answer is not None:
            self._far.sendto(_message(self._sealer, answer), address)

    def wake(self, now: float) -> float:
        return math.inf


def _message(sealer: Sealer, payload: bytes) -> bytes:
    return sealer.seal(CONTROL.id, bytes(Segment(CONTROL.id, 0, 0, 1, 0, payload)))
