"""How slow a preset of the AV1 coder the frame rate leaves time for."""

from __future__ import annotations

import math

from common.codec.av1 import PRESETS

SHARE = 0.36  # of the time that coding may take
THREADS = 2  # that code views side by side
RUNS = 2.0  # of the coder for each view, on average
# Seconds for each picture and for each of its luma samples, on one core of a server of 2023; by preset.
COST = {
    4: (5.3e-3, 128e-9),
    6: (1.5e-3, 65e-9),
    7: (1.2e-3, 49e-9),
    8: (1.2e-3, 24e-9),
    9: (0.8e-3, 22e-9),
    10: (0.6e-3, 14e-9),
}
LEARN = 0.15  # how fast what is measured counts
SLOWEST, FASTEST = 50.0, 0.5  # times COST that a machine is taken to need


class Effort:
    """Chooses the preset. A machine is taken to be as fast as COST says, or, `adaptive`, as it shows itself to be; what
    is chosen then depends on the time of day, so benchmarks do without. Called by one thread."""

    def __init__(self, share: float = SHARE, threads: int = THREADS, adaptive: bool = False) -> None:
        """`share`: of the time from unit to unit; `threads`: how many views may be coded at a time."""
        self.threads = threads
        self._share = share
        self.adaptive = adaptive
        """Whether it follows how fast this machine shows itself to be."""
        self._times = 1.0  # COST that this machine needs
        self._expected = 0.0

    def preset(self, pixels: int, views: int, fps: float) -> int:
        """The slowest preset that codes the views of a unit, of `pixels` luma samples a picture, in time; else the
        fastest."""
        for number in PRESETS:
            once, each = COST[number]
            rounds = math.ceil(views / self.threads)
            self._expected = RUNS * rounds * (once + each * pixels)  # seconds a picture
            if self._times * self._expected <= self._share / fps:
                return number
        return PRESETS[-1]

    def took(self, seconds: float) -> None:
        """What coding each picture took with the preset chosen last."""
        if self.adaptive:
            times = self._times + LEARN * (seconds / self._expected - self._times)
            self._times = min(SLOWEST, max(FASTEST, times))
