"""Packets through a channel of independent symbol errors, bit by bit; what is damaged is refused by the real checks."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

import numpy as np

from proto.session import Arrival, ReceiverEndpoint, SenderSession
from proto.streams import VIDEO
from proto.wire import DATAGRAM_LIMIT, IP_UDP_BYTES
from sender.packet_length.curve import QualityCurve
from sender.packet_length.loss import SymbolErrors
from sender.packet_length.plan import WIRE_HEADER_BYTES, Cut, arrivals, segments

CRC_BYTES = 4


class SymbolChannel:
    """Wrong symbols become one of the other 2^M - 1. M is 1, 2, 4 or 8: bytes are whole symbols."""

    def __init__(self, errors: SymbolErrors, seed: int) -> None:
        if errors.bits_per_symbol not in (1, 2, 4, 8):
            raise ValueError(f"bits_per_symbol: must be 1, 2, 4 or 8 (got {errors.bits_per_symbol})")
        self._errors, self._rng = errors, np.random.default_rng(seed)

    def transmit(self, frame: bytes) -> bytes:
        """What comes of it, as long as it was."""
        bits = self._errors.bits_per_symbol
        wrong = np.flatnonzero(self._rng.random(int(self._errors.symbols(len(frame)))) < self._errors.ser)
        out = bytearray(frame)
        for symbol, change in zip(wrong, self._rng.integers(1, 2**bits, len(wrong)), strict=True):
            byte, place = divmod(int(symbol) * bits, 8)
            out[byte] ^= int(change) << (8 - bits - place)
        return bytes(out)


class Framing(Protocol):
    """How segments become packets, and which of them are good."""

    header_bytes: int

    def send(self, unit: int, payloads: Sequence[bytes]) -> list[bytes]:
        """A packet for each."""
        ...

    def receive(self, unit: int, packets: Sequence[bytes]) -> list[bytes | None]:
        """The payload of each packet of a unit, None where it is refused."""
        ...


class Sealed:
    """Our packets behind 28 bytes that stand for IPv4 and UDP, whose checksums refuse any change."""

    header_bytes = WIRE_HEADER_BYTES
    _IP_UDP = bytes(range(IP_UDP_BYTES))

    def __init__(self) -> None:
        key = bytes(range(32))
        self._sender, self._receiver = SenderSession(key, DATAGRAM_LIMIT), ReceiverEndpoint(key)

    def send(self, unit: int, payloads: Sequence[bytes]) -> list[bytes]:
        """See Framing."""
        return [
            self._IP_UDP + datagram
            for datagram in self._sender.packets(VIDEO.id, unit, unit * 0.25, payloads)
        ]

    def receive(self, unit: int, packets: Sequence[bytes]) -> list[bytes | None]:
        """See Framing."""
        good = [self._good(packet, unit * 0.25) for packet in packets]
        if not any(good):
            return [None] * len(packets)
        reassembler = self._receiver.reassembler(VIDEO.id)
        taken = reassembler.take(unit) if reassembler else None
        assert taken is not None and list(taken.arrived) == good
        return list(taken.segments)

    def _good(self, packet: bytes, now: float) -> bool:
        if packet[:IP_UDP_BYTES] != self._IP_UDP:
            return False
        return isinstance(self._receiver.receive(packet[IP_UDP_BYTES:], now), Arrival)


class Framed:
    """Any number of header bytes, 4 of which are a CRC-32 behind the segment: Ethernet's check, as the paper has it."""

    def __init__(self, header_bytes: int = 49) -> None:
        if header_bytes < CRC_BYTES:
            raise ValueError(f"header_bytes: must be at least {CRC_BYTES} (got {header_bytes})")
        self.header_bytes = header_bytes

    def send(self, unit: int, payloads: Sequence[bytes]) -> list[bytes]:
        """See Framing."""
        header = bytes(i & 0xFF for i in range(unit, unit + self.header_bytes - CRC_BYTES))
        frames = [header + payload for payload in payloads]
        return [frame + zlib.crc32(frame).to_bytes(CRC_BYTES) for frame in frames]

    def receive(self, unit: int, packets: Sequence[bytes]) -> list[bytes | None]:
        """See Framing."""
        return [
            packet[self.header_bytes - CRC_BYTES : -CRC_BYTES]
            if zlib.crc32(packet[:-CRC_BYTES]) == int.from_bytes(packet[-CRC_BYTES:])
            else None
            for packet in packets
        ]


@dataclass(frozen=True, slots=True)
class Case:
    """One number of packets over one channel: closed forms, and means over simulated units."""

    header_bytes: int
    origin_bytes: int
    bits_per_symbol: int
    ser: float
    packets: int
    packet_bytes: int
    units: int
    share: float  # closed form: 1 - P_L
    share_simulated: float
    share_error: float  # standard error of the simulated mean, by the closed form
    quality: float  # closed form: Criterion.EXPECTED
    quality_simulated: float
    quality_error: float
    quality_of_mean_share: float  # f_p(P_L): Criterion.MEAN_SHARE

    @property
    def deviations(self) -> tuple[float, float]:
        """Of share and quality from the closed forms, in standard errors; 0 where nothing can vary."""
        return (
            _in_errors(self.share_simulated - self.share, self.share_error),
            _in_errors(self.quality_simulated - self.quality, self.quality_error),
        )


def _in_errors(difference: float, error: float) -> float:
    return difference / error if error > 1e-12 else difference / 1e-9


def simulate(
    cut: Cut, packets: int, errors: SymbolErrors, curve: QualityCurve, framing: Framing, units: int, seed: int
) -> Case:
    """`units` units of random bytes in so many packets; the same seed, the same case. ValueError where the header bytes
    of `cut` and `framing` differ, or where the segments would not be equal."""
    if framing.header_bytes != cut.header_bytes or cut.origin_bytes % packets:
        raise ValueError("framing and cut must agree, and the segments be equal")
    channel, rng = SymbolChannel(errors, seed), np.random.default_rng(seed + 1)
    shares = np.empty(units)
    for unit in range(units):
        payloads = segments(rng.bytes(cut.origin_bytes), packets)
        came = framing.receive(unit, [channel.transmit(p) for p in framing.send(unit, payloads)])
        assert all(got is None or got == sent for got, sent in zip(came, payloads, strict=True))
        shares[unit] = sum(len(got) for got in came if got is not None) / cut.origin_bytes
    loss = float(errors.packet_loss(cut.packet_bytes(packets)))
    chances, at = arrivals(packets, loss), curve(np.arange(packets + 1) / packets)
    quality = float(chances @ at)
    return Case(
        header_bytes=cut.header_bytes,
        origin_bytes=cut.origin_bytes,
        bits_per_symbol=errors.bits_per_symbol,
        ser=errors.ser,
        packets=packets,
        packet_bytes=int(cut.packet_bytes(packets)),
        units=units,
        share=1 - loss,
        share_simulated=float(shares.mean()),
        share_error=sqrt(loss * (1 - loss) / (packets * units)),
        quality=quality,
        quality_simulated=float(curve(shares).mean()),
        quality_error=sqrt(max(float(chances @ (at - quality) ** 2), 0.0) / units),
        quality_of_mean_share=float(curve.at_loss(loss)),
    )
