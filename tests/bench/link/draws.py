"""Random numbers that are hashes: of the seed, the packet's number, what they decide, and the direction.

So the same seed loses the same packet numbers whatever else is switched on, on every platform, and a run can be
repeated.
"""

from __future__ import annotations

from enum import IntEnum

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15


class Direction(IntEnum):
    """Which way of a link; each has random numbers of its own."""

    FORWARD = 0
    BACK = 1


class Purpose(IntEnum):
    """What a random number decides; each purpose has a sequence of its own."""

    LOSS = 1
    DUPLICATE = 2
    CORRUPT = 3
    PLACE = 4
    JITTER = 5
    REORDER = 6
    SYMBOL = 7
    BIT = 8


def uniform(seed: int, number: int, purpose: Purpose, direction: Direction = Direction.FORWARD) -> float:
    """A number in [0, 1) that depends on nothing but the arguments (two rounds of splitmix64 over their mix)."""
    word = (
        seed * _GAMMA
        + number * 0xD1B54A32D192ED03
        + purpose * 0x8CB92BA72F3D8DD7
        + direction * 0xABC98388FB8FAC03
    )
    word = (
        word + _GAMMA
    ) & _MASK  # twice the same lines: a loop costs a third more, and this is the relay's work
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
    word = ((word ^ (word >> 31)) + _GAMMA) & _MASK
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
    word ^= word >> 31
    return (word >> 11) / 9007199254740992.0
