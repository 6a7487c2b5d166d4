"""From reports of which packets arrived to the largest payload that is worth sending.

A packet of L payload bytes and H header bytes arrives with probability exp(-a - b (L + H)) (`MeasuredLoss`). Payload
that arrives for each byte sent, L / (L + H) exp(-b (L + H)), is most at L (L + H) = H / b: the same at any floor a, so
loss that hits long and short packets alike never shortens them.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from proto.wire import DATAGRAM_LIMIT, IP_UDP_BYTES
from sender.packet_length.loss import PRIOR_PACKETS, LossCount, MeasuredLoss
from sender.packet_length.plan import WIRE_HEADER_BYTES

ALPHA = (
    0.001  # chance that packets are shortened on a link where length does not matter, each time that is asked
)
LEAST_GAIN = 0.1  # what arrives for each byte must grow by this share, or nothing is changed
LEAST_PAYLOAD = 200  # below, headers are a quarter of all bytes

CLASS_BYTES = 128  # lengths that are counted together
CLASSES = (DATAGRAM_LIMIT + IP_UDP_BYTES) // CLASS_BYTES + 1
WINDOW_PACKETS = 32  # that are taken to meet the same link
WINDOWS = 64  # that are remembered
RECENT = 8  # of them, that tell how much is lost now


def recommended_payload(
    counts: Sequence[LossCount],
    max_payload: int,
    *,
    header_bytes: int = WIRE_HEADER_BYTES,
    least_payload: int = LEAST_PAYLOAD,
    dispersion: float = 1.0,
    alpha: float = ALPHA,
    most_per_byte: float = math.inf,
) -> int:
    """The payload that packets should have at most: `max_payload` unless losses prove that shorter ones bring more.

    They do when length matters at level `alpha` (MeasuredLoss.fit says how that is tested), and when even at the lower
    confidence bound of the loss by length what arrives for each byte sent grows by LEAST_GAIN. Then it is the best
    length at that bound, which is longer than the best at the estimate, and at least `least_payload`. Counts of one
    length alone change nothing. `dispersion`: see MeasuredLoss.fit; LossByLength estimates it. `most_per_byte`: no more
    hazard a byte is believed, whatever the counts say. Raises ValueError for sizes below 1.
    """
    if min(max_payload, least_payload, header_bytes) < 1:
        raise ValueError("max_payload, least_payload, header_bytes: must be at least 1")
    if least_payload >= max_payload or not any(count.sent > 0 for count in counts):
        return max_payload
    slope = min(MeasuredLoss.fit(counts, alpha, dispersion).per_byte_low, most_per_byte)
    payload = np.arange(least_payload, max_payload + 1)
    packet = payload + header_bytes
    gained = np.log(payload / packet) - slope * packet
    at = int(gained.argmax())
    return int(payload[at]) if gained[at] - gained[-1] >= math.log1p(LEAST_GAIN) else max_payload


@dataclass(slots=True)
class _Window:
    """Packets that were sent one after the other; by class their number, the lost of them, and their bytes."""

    packets: int = 0
    sent: list[int] = field(default_factory=lambda: [0] * CLASSES)
    lost: list[int] = field(default_factory=lambda: [0] * CLASSES)
    total: list[int] = field(default_factory=lambda: [0] * CLASSES)
    pairs: int = 0  # of neighbours both of which are in the window
    both: int = 0  # of these, both lost


class LossByLength:
    """Which packets arrived, by length, over the last WINDOWS windows. Bounded; called by one thread."""

    def __init__(self) -> None:
        self._windows: deque[_Window] = deque([_Window()], maxlen=WINDOWS)
        self._last: bool | None = None

    def learn(self, packet_bytes: int, arrived: bool) -> None:
        """One packet, its headers included (IP and UDP too); in the order of sending. ValueError for no length."""
        if packet_bytes < 1:
            raise ValueError(f"packet_bytes: must be at least 1 (got {packet_bytes})")
        window = self._windows[-1]
        if window.packets == WINDOW_PACKETS:
            window = _Window()
            self._windows.append(window)
            self._last = None
        index = min(packet_bytes // CLASS_BYTES, CLASSES - 1)
        window.packets += 1
        window.sent[index] += 1
        window.lost[index] += not arrived
        window.total[index] += packet_bytes
        if self._last is not None:
            window.pairs += 1
            window.both += not (arrived or self._last)
        self._last = arrived

    @property
    def counts(self) -> list[LossCount]:
        """By class and window, at the mean length of what was sent."""
        return [
            LossCount(total / sent, sent, lost, number)
            for number, window in enumerate(self._windows)
            for total, sent, lost in zip(window.total, window.sent, window.lost, strict=True)
            if sent
        ]

    @property
    def dispersion(self) -> float:
        """How much more a loss share varies than that of independent losses: (1 + r) / (1 - r), at least 1, with the
        correlation r of neighbouring losses inside the windows, as for a two-state chain (Gilbert). Too large, which is
        safe, where short and long packets come in runs or alternate with windows of different loss."""
        pairs = sum(window.pairs for window in self._windows)
        lost, packets = sum(sum(w.lost) for w in self._windows), sum(w.packets for w in self._windows)
        share = lost / packets if packets else 0.0
        if not pairs or not 0 < share < 1:
            return 1.0
        both = sum(window.both for window in self._windows) / pairs
        correlation = min(max((both - share**2) / (share * (1 - share)), 0.0), 0.95)
        return (1 + correlation) / (1 - correlation)

    @property
    def typical_bytes(self) -> int:
        """The length that three quarters of the packets do not exceed, to CLASS_BYTES; 0 before the first packet."""
        sent = [sum(window.sent[index] for window in self._windows) for index in range(CLASSES)]
        total = [sum(window.total[index] for window in self._windows) for index in range(CLASSES)]
        left = 0.75 * sum(sent)
        for index, count in enumerate(sent):
            left -= count
            if count and left <= 0:
                return total[index] // count
        return 0

    @property
    def recent(self) -> LossCount | None:
        """All packets of the last RECENT windows together, at their mean length; None before the first packet."""
        windows = list(self._windows)[-RECENT:]
        sent = sum(window.packets for window in windows)
        total, lost = sum(sum(w.total) for w in windows), sum(sum(w.lost) for w in windows)
        return LossCount(total / sent, sent, lost) if sent else None

    @property
    def windows(self) -> int:
        """How many windows have begun."""
        return len(self._windows)

    def payload_limit(
        self,
        max_payload: int,
        *,
        header_bytes: int = WIRE_HEADER_BYTES,
        least_payload: int = LEAST_PAYLOAD,
        alpha: float = ALPHA,
    ) -> int:
        """See recommended_payload; with what was learnt so far. Length is not believed to cost more than all that was
        lost lately. Takes about 10 ms: ask every few seconds."""
        recent = self.recent
        if recent is None:
            return max_payload
        lost = (recent.lost + PRIOR_PACKETS / 2) / (recent.sent + PRIOR_PACKETS)
        return recommended_payload(
            self.counts,
            max_payload,
            header_bytes=header_bytes,
            least_payload=least_payload,
            dispersion=self.dispersion,
            alpha=alpha,
            most_per_byte=-math.log1p(-lost) / recent.packet_bytes,
        )
