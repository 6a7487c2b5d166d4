"""The settings of contours."""

from __future__ import annotations

from common.config import Section, option

USUAL, LEAST_KBPS = 0.6, 0.4  # of `share`, where nothing is lost; but so much, or it is headers alone
HEADERS, MOST_HEADERS_KBPS = 0.06, 0.9
"""Of the rate, and at most: of one packet a unit, which lasts as long as a unit of pictures, a full packet."""
SLOW_KBPS = 4.0  # wire rate below which maps are made half as often, which makes them better
PARITY = 5.0  # to what contours may take, times the share of the packets that are lost


class ContoursSection(Section):
    """Maps coded as contours beside small pictures: with `--profile structure`."""

    fps: float = option(
        10.0,
        "maps a second, half of it where rate.kbps is below 4 at the start, at most one a frame",
        unit="maps/s",
        ge=1.0,
        le=30,
    )
    share: float = option(
        0.5,
        "share of rate.kbps that contours may take at most, their parity included; pictures get the rest",
        ge=0.1,
        le=0.8,
    )
    most_kbps: float = option(
        0.8,
        "rate that contours may take at most where nothing is lost, besides headers (6 % of rate.kbps), and with "
        "them six tenths of share: more does pictures more harm than maps good; where packets are lost, or nobody "
        "tells, their parity may take more",
        unit="kbit/s",
        ge=0.1,
    )
    miou: float = option(
        0.95,
        "mean IoU of the decoded maps that is never aimed beyond, where the rate would allow it; pictures get the rest",
        ge=0.1,
        le=1,
    )

    def every(self, fps: float, kbps: float) -> int:
        """Each which of so many frames a second gets a map, by the wire rate at the start."""
        apart = (2 if kbps < SLOW_KBPS else 1) / self.fps
        return max(1, round(fps * min(1.0, apart)))

    def part(self, kbps: float, loss: float) -> float:
        """What contours are given of a wire rate, 0 to 1, on a link that loses this share of the packets."""
        headers = min(MOST_HEADERS_KBPS, HEADERS * kbps)
        alone = min(self.most_kbps + headers, max(LEAST_KBPS, USUAL * self.share * kbps))
        return min(self.share, alone * (1.0 + PARITY * loss) / kbps)
