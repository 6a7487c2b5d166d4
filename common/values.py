"""Values that appear in configuration as one word: an address, a picture size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

MAX_SIDE = 4096
SIZE_STEP = 16
"""Sides are multiples of this: the networks work at 1/16 resolution and trust is told per 16x16 block."""


@dataclass(frozen=True, slots=True)
class Address:
    """A UDP or TCP end point. An empty host means every interface (listening only)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """`HOST:PORT`, `[IPV6]:PORT` or `:PORT`. Raises ValueError with the fix."""
    host, separator, port = text.strip().rpartition(":")
    if not separator or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError("must be HOST:PORT, for example 192.0.2.7:5004 or [2001:db8::7]:5004")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address goes into brackets, for example [2001:db8::7]:5004")
    return Address(host, int(port))


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def parse_size(text: str) -> Size:
    """`WIDTHxHEIGHT`, both multiples of 16. Raises ValueError with the fix."""
    width, separator, height = text.strip().lower().partition("x")
    if not separator or not all(side.isascii() and side.isdigit() for side in (width, height)):
        raise ValueError("must be WIDTHxHEIGHT in pixels, for example 256x256")
    size = Size(int(width), int(height))
    for side in (size.width, size.height):
        if not SIZE_STEP <= side <= MAX_SIDE or side % SIZE_STEP:
            below = max(SIZE_STEP, min(side, MAX_SIDE) // SIZE_STEP * SIZE_STEP)
            raise ValueError(
                f"both sides must be multiples of {SIZE_STEP} from {SIZE_STEP} to {MAX_SIDE}, "
                f"for example {below} instead of {side}"
            )
    return size


def _address(value: Any) -> Any:
    return parse_address(value) if isinstance(value, str) else value


def _size(value: Any) -> Any:
    return parse_size(value) if isinstance(value, str) else value


AddressField = Annotated[Address, BeforeValidator(_address), PlainSerializer(str, return_type=str)]
"""For configuration models: `HOST:PORT` in files, environment and flags; an Address in the program."""

SizeField = Annotated[Size, BeforeValidator(_size), PlainSerializer(str, return_type=str)]
"""For configuration models: `WIDTHxHEIGHT`, a Size in the program."""
