"""What every protocol offers to a push: one connection to a media server."""

from __future__ import annotations

from typing import Protocol

from receiver.play.push.coded import Packet, Settings
from receiver.play.push.target import Target

REFUSED = "nothing listens there; is the media server running?"
UNVERIFIED = "the server's certificate cannot be verified"
UNKNOWN_HOST = "no such host"
CLOSED = "the server closed the connection"


class LinkError(Exception):
    """The connection cannot be made or is over; the text is for the operator and holds nothing secret."""


class Link(Protocol):
    """A connection that is up. Event loop thread only."""

    async def send(self, packet: Packet) -> None:
        """Take one packet; waits while the server is slow. Raises LinkError when the connection is over."""
        ...

    async def close(self) -> None:
        """Say goodbye where the protocol can, and release everything. Never raises; bounded in time."""
        ...


class Connect(Protocol):
    """How a protocol connects."""

    async def __call__(self, target: Target, first: Packet, settings: Settings, sound: bool) -> Link:
        """`first`: a key picture, for its parameter sets; it is not sent. `sound`: announce it, for it is to come.
        Raises LinkError."""
        ...
