"""The number and length of packets that meet a quality threshold with the fewest bytes: eqs. (3) to (10)."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proto.wire import IP_UDP_BYTES, MAX_COUNT, OVERHEAD_BYTES, max_payload
from sender.packet_length.curve import QualityCurve
from sender.packet_length.loss import LossModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WIRE_HEADER_BYTES = OVERHEAD_BYTES + IP_UDP_BYTES  # L_head of our packets: 57


class Criterion(Enum):
    """What quality is expected of N packets that are each lost with probability P_L."""

    EXPECTED = auto()
    """The mean of f_p(1 - k / N) over k, the lost ones of N: binomial, packets are lost independently."""
    MEAN_SHARE = auto()
    """f_p(P_L), as eq. (10) has it: the quality at the mean loss. The same where packets are many."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How a unit may be cut into segments, one a packet. Raises ValueError for what cannot be."""

    origin_bytes: int
    header_bytes: int = WIRE_HEADER_BYTES
    max_payload: int = max_payload()
    max_packets: int = MAX_COUNT

    def __post_init__(self) -> None:
        for name in ("origin_bytes", "max_payload", "max_packets"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1 (got {getattr(self, name)})")
        if self.header_bytes < 0:
            raise ValueError(f"header_bytes: must not be negative (got {self.header_bytes})")
        if self.fewest > self.most:
            raise ValueError(
                f"origin_bytes: {self.origin_bytes} do not fit {self.max_packets} packets of {self.max_payload}"
            )

    @property
    def fewest(self) -> int:
        """Packets that hold the unit, at least."""
        return -(-self.origin_bytes // self.max_payload)

    @property
    def most(self) -> int:
        """Packets that have a byte each, at most."""
        return min(self.max_packets, self.origin_bytes)

    def payload_bytes(self, packets: ArrayLike) -> Ints:
        """L_data = L_origin / N_p of the longest segment: eq. (4), rounded up."""
        return -(-self.origin_bytes // np.asarray(packets, np.int64))

    def packet_bytes(self, packets: ArrayLike) -> Ints:
        """P_length = L_head + L_data: eq. (3)."""
        return self.header_bytes + self.payload_bytes(packets)

    def wire_bytes(self, packets: ArrayLike) -> Ints:
        """L_total = N_p L_head + L_origin: eq. (5)."""
        return np.asarray(packets, np.int64) * self.header_bytes + self.origin_bytes


@dataclass(frozen=True, slots=True)
class PacketPlan:
    """A choice, with what is expected of it."""

    packets: int
    payload_bytes: int  # of the longest segment; others have as many or one less
    packet_bytes: int  # of the longest packet, headers included
    wire_bytes: int  # of all packets of the unit
    packet_loss: float
    expected_quality: float
    quality_limit: float  # Gamma_MAX(P_s), eq. (8)


def choose(
    cut: Cut,
    loss: LossModel,
    curve: QualityCurve,
    threshold: float,
    criterion: Criterion = Criterion.EXPECTED,
) -> PacketPlan:
    """The plan of the fewest bytes whose expected quality is at least `threshold`: N_p_min of eq. (10).

    By eq. (5) bytes grow with packets, so it is the least number of packets that will do. With MEAN_SHARE quality never
    falls with that number (eq. 9); with EXPECTED it may where f_p is convex, so each number is tried. Raises ValueError
    where none will do; it says whether because of the limits of `cut` or, by eq. (8), at any length.
    """
    quality = qualities(cut, loss, curve, criterion)
    good = np.flatnonzero(quality >= threshold)
    if not len(good):
        limit, top = quality_limit(cut, loss, curve), float(quality.max())
        why = "no packets are short enough" if threshold >= limit else f"{cut.most} packets are too few"
        raise ValueError(
            f"threshold: {threshold:g} cannot be met, {top:.4g} at best: {why} (limit {limit:.4g})"
        )
    return _plan(cut, loss, curve, int(good[0]), quality)


def best(
    cut: Cut,
    loss: LossModel,
    curve: QualityCurve,
    threshold: float = math.inf,
    criterion: Criterion = Criterion.EXPECTED,
) -> PacketPlan:
    """As `choose`; where nothing meets `threshold`, the plan of the best expected quality, of the fewest bytes among
    equals. Compare `expected_quality` to see which it is."""
    quality = qualities(cut, loss, curve, criterion)
    good = quality >= min(threshold, float(quality.max()))
    return _plan(cut, loss, curve, int(good.argmax()), quality)


def quality_limit(cut: Cut, loss: LossModel, curve: QualityCurve) -> float:
    """Gamma_MAX(P_s) = f_p of the loss of bare headers: eqs. (7) and (8). No number of packets reaches a quality above
    it with MEAN_SHARE."""
    return float(curve.at_loss(loss.packet_loss(cut.header_bytes)))


def qualities(
    cut: Cut, loss: LossModel, curve: QualityCurve, criterion: Criterion = Criterion.EXPECTED
) -> Floats:
    """Expected quality of each number of packets from `cut.fewest` to `cut.most`."""
    packets = np.arange(cut.fewest, cut.most + 1)
    lost = loss.packet_loss(cut.packet_bytes(packets))
    if criterion is Criterion.MEAN_SHARE:
        return curve.at_loss(lost)
    return np.array([expected(curve, int(n), float(p)) for n, p in zip(packets, lost, strict=True)])


def expected(curve: QualityCurve, packets: int, loss: float) -> float:
    """Mean quality when each of `packets` equal segments is lost with probability `loss`, independently."""
    return float(arrivals(packets, loss) @ curve(np.arange(packets + 1) / packets))


def arrivals(packets: int, loss: float) -> Floats:
    """The probabilities that 0, 1, .. of `packets` arrive: binomial, shape (packets + 1,)."""
    k = np.arange(packets + 1)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, packets + 1)))])
    ways = factorials[-1] - factorials - factorials[::-1]
    arrives, is_lost = (math.log(max(chance, 1e-300)) for chance in (1 - loss, loss))  # 0 * log 0 is 0
    return np.asarray(np.exp(ways + k * arrives + (packets - k) * is_lost))


def segments(data: bytes, packets: int) -> list[bytes]:
    """`data` as so many segments in order, that differ in length by one byte at most, longer ones first.

    Raises ValueError where a segment would be empty."""
    if not 1 <= packets <= len(data):
        raise ValueError(f"packets: must be 1..{len(data)} (got {packets})")
    short, longer = divmod(len(data), packets)
    ends = [i * short + min(i, longer) for i in range(packets + 1)]
    return [data[start:end] for start, end in itertools.pairwise(ends)]


def _plan(cut: Cut, loss: LossModel, curve: QualityCurve, index: int, quality: Floats) -> PacketPlan:
    packets = cut.fewest + index
    length = int(cut.packet_bytes(packets))
    return PacketPlan(
        packets=packets,
        payload_bytes=int(cut.payload_bytes(packets)),
        packet_bytes=length,
        wire_bytes=int(cut.wire_bytes(packets)),
        packet_loss=float(loss.packet_loss(length)),
        expected_quality=float(quality[index]),
        quality_limit=quality_limit(cut, loss, curve),
    )
