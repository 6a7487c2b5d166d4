"""Reads bytes that a fuzzer made as numbers, choices and chunks. What is missing at the end reads as zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
MOST_CHUNKS = 100  # of one input, so that it ends soon


class Script:
    """Consumes `data` from its start."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def more(self) -> bool:
        """Whether anything is left."""
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        """The next bytes, at most `count`."""
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, size: int = 1) -> int:
        """An unsigned number of `size` bytes."""
        return int.from_bytes(self.take(size))

    def choose(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.number() % len(options)]

    def chunk(self) -> bytes:
        """A byte of length and so many bytes."""
        return self.take(self.number())

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data))


def steps(data: bytes) -> Iterator[Script]:
    """A script of so many steps as there are bytes for, each a chunk of its own; at most MOST_CHUNKS."""
    script = Script(data)
    for _ in range(MOST_CHUNKS):
        if not script.more:
            return
        yield Script(script.chunk())


def join(*parts: bytes) -> bytes:
    """The input that `steps` cuts into these parts (the first 255 bytes of each)."""
    return b"".join(bytes((len(part[:255]),)) + part[:255] for part in parts)
