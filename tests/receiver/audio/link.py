"""A sender of sound, a lossy link and a receiver's sound, in virtual time and memory."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from common.audio import RATE, Samples, Sound
from proto.packet import Segment
from proto.protected import Protector
from proto.protection import Losses, Policy
from proto.recover import Recover
from receiver.audio.block import BLOCK_S
from receiver.audio.playout import AudioPlayout
from receiver.jitter import PlayoutClock
from sender.audio.generated import CLICK_HZ
from sender.audio.units import AudioFormat, UnitMaker

EPOCH = 1_800_000_000.0
NO_PARITY = Policy(max_overhead=0.0)
PIECE = 960


@dataclass
class Link:
    """What may go wrong on the way; times in seconds of the receiver's clock."""

    loss: float = 0.0
    delay: float = 0.03
    jitter: float = 0.0
    seed: int = 1
    policy: Policy = NO_PARITY
    drift: float = 0.0
    """Seconds that the sender's clock gains in a second."""
    outage: tuple[float, float] = (0.0, 0.0)
    playout: Callable[[float], float] = lambda now: 0.7
    """The playout delay at a time, from capture to display but for `delay`."""


@dataclass
class Heard:
    """What came out."""

    samples: Samples
    begins: float
    """The capture time of the first sample, by the clock of the pictures."""
    offsets: list[float] = field(default_factory=list)
    playout: AudioPlayout = field(default_factory=AudioPlayout)
    units: int = 0
    bytes: int = 0
    guessed: list[bool] = field(default_factory=list)


def play(samples: Samples, format: AudioFormat, link: Link) -> Heard:
    """Send `samples` as sound captured from EPOCH on, over the link, and play it for as long as it lasts."""
    rng = random.Random(link.seed)
    maker, protector = UnitMaker(format), Protector(4, 1100, link.policy)
    recover, heard = Recover(4.0), Heard(np.zeros(0, np.int16), 0.0)
    clock = PlayoutClock(link.playout(0.0))
    clock.observe(EPOCH % 262.144, link.delay)
    due, blocks = link.delay + link.playout(0.0), list[Samples]()
    heard.begins = EPOCH
    for now, segment in sorted(_sent(samples, maker, protector, link, rng, heard), key=lambda one: one[0]):
        while due <= now:
            due = _block(heard, clock, link, due, blocks)
        for unit in recover.push(segment, now):
            heard.playout.push(unit.data, unit.timestamp, clock, now)
    end = len(samples) / RATE + due
    while due < end:
        due = _block(heard, clock, link, due, blocks)
    heard.samples = np.concatenate(blocks)
    return heard


def _block(heard: Heard, clock: PlayoutClock, link: Link, due: float, blocks: list[Samples]) -> float:
    clock.delay = link.playout(due)
    clock.observe((EPOCH + (due - link.delay) * (1 + link.drift)) % 262.144, due)
    samples, guessed = heard.playout.block(clock, due)
    blocks.append(samples)
    heard.offsets.append(heard.playout.offset)
    heard.guessed.append(guessed)
    return due + BLOCK_S


def _sent(
    samples: Samples,
    maker: UnitMaker,
    protector: Protector,
    link: Link,
    rng: random.Random,
    heard: Heard,
) -> Iterator[tuple[float, Segment]]:
    """(arrival, segment) of what is not lost."""
    step = PIECE / RATE
    for number in range(len(samples) // PIECE):
        local = (number + 1) * step  # by the sender's clock
        now = local / (1 + link.drift)
        sound = Sound(samples[number * PIECE : (number + 1) * PIECE], EPOCH + number * step)
        made = [(segment, 0.0) for segment in protector.poll(local)]
        for unit in maker.push(sound):
            heard.units += 1
            given = protector.push(unit.data, unit.timestamp, unit.duration, local)
            made += [(segment, 0.0) for segment in given.source]
            made += [(segment, 0.1 * (n + 1)) for n, segment in enumerate(given.parity)]
        for segment, later in made:
            heard.bytes += len(segment.payload) + 28 + 29
            lost = rng.random() < link.loss or link.outage[0] <= now < link.outage[1]
            if not lost:
                yield now + later + link.delay + link.jitter * rng.random(), segment


def click_times(samples: Samples) -> list[float]:
    """When clicks begin, seconds from the first sample: where their tone is, and was not before."""
    x = samples.astype(np.float64)
    turn = np.exp(-2j * np.pi * CLICK_HZ * np.arange(len(x)) / RATE)
    window = round(0.010 * RATE)
    sums: npt.NDArray[np.complex128] = np.cumsum(x * turn)
    tone = np.abs(sums[window:] - sums[:-window]) / window
    total = np.cumsum(np.abs(x))
    rest = (total[window:] - total[:-window]) / window
    found: list[float] = []
    loud = np.flatnonzero((tone > 0.5 * np.percentile(tone, 99.5)) & (tone > 0.6 * rest))
    for at in loud:
        if not found or at / RATE - found[-1] > 0.5:
            found.append(at / RATE)
    # Half of the click's tone is in the window when half a window of it is.
    return [at + 0.5 * window / RATE for at in found]


def parity(loss: float, most: float) -> Policy:
    """Parity for a known loss."""
    return Policy(losses=Losses(loss), max_overhead=most)
