"""A coded view, or unit, cut into symbols, any that are enough of which give it back: systematic, and MDS.

The code is that of proto.erasure. The first symbols are the view itself, cut evenly; zeros fill the last.
"""

from __future__ import annotations

from collections.abc import Mapping

from proto import erasure


def cut(data: bytes, needed: int, count: int) -> list[bytes]:
    """`count` symbols of equal length, any `needed` of which give `data` (with zeros after it)."""
    size = -(-len(data) // needed)
    pieces = [data[i * size : (i + 1) * size].ljust(size, b"\0") for i in range(needed)]
    return erasure.encode(pieces, range(count))


def join(symbols: Mapping[int, bytes], needed: int) -> bytes:
    """The data from at least `needed` symbols of one length, by number."""
    return b"".join(erasure.decode(symbols, needed))
