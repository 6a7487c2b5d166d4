"""Packets for those who join late where nobody reports: so many a second that one of them soon arrives.

With a packet loss p none of n packets arrives with probability p^n, so a chance of MISS after JOIN_S asks for
n = ln MISS / ln p packets in JOIN_S; at LOSS these are 21. A unit gets its part of them, unless their headers would be
more than a share of the wire: the cost of eq. (5), N_p L_head of L_total.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sender.packet_length.plan import WIRE_HEADER_BYTES

JOIN_S = 2.0  # from joining to the first packet
LOSS = 0.8
MISS = 0.01  # chance that it takes longer
PACKETS = math.ceil(math.log(MISS) / math.log(LOSS))  # in JOIN_S


def join_packets(share: float, unit_seconds: float, headers: float) -> int:
    """Packets that a unit of `share` wire bytes should have at least, 1 or more, with `headers` of the wire at most."""
    wanted = math.ceil(PACKETS * unit_seconds / JOIN_S)
    return max(1, min(wanted, int(headers * share / WIRE_HEADER_BYTES)))


@dataclass(frozen=True, slots=True)
class LateJoin:
    """How packets are cut for late joiners."""

    headers: float  # share of the wire, at most
    least: int = 1  # bytes of payload that a packet has in any case

    def payload(self, share: float, unit_seconds: float, most: int) -> int:
        """The largest payload with which a unit of `share` wire bytes has those packets; at most `most`."""
        packets = join_packets(share, unit_seconds, self.headers)
        return min(most, max(self.least, int(share / packets) - WIRE_HEADER_BYTES))
