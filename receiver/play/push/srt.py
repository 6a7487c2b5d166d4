"""Sends MPEG-TS over SRT with the system's libsrt, which PyAV's FFmpeg lacks. Runs in the child process of a push.

SRT in live mode: messages of seven TS packets; what is too late for the receiver's latency is dropped by the library.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
from typing import Any
from urllib.parse import urlsplit

LIBRARIES = ("libsrt-gnutls.so.1.5", "libsrt-openssl.so.1.5", "libsrt.so.1.5", "libsrt.so.1")
MISSING = "SRT needs the library libsrt 1.5; install it (Debian, Ubuntu: apt install libsrt1.5-gnutls)"
MESSAGE = 1316
CONNECT_MS = 5000
PEER_IDLE_MS = 3000
"""A listener that is not heard for this long is gone; it acknowledges a hundred times a second."""

# srt.h: SRT_SOCKOPT
SEND_TIMEOUT, LATENCY, PASSPHRASE, KEY_LENGTH, CONNECT_TIMEOUT, STREAM_ID, PEER_IDLE = (
    13,
    23,
    26,
    27,
    36,
    46,
    55,
)
SEND_MS = 200
"""A full buffer blocks for no longer: the library drops what is too late by then."""
CRITICAL = 2
"""LOG_CRIT: what the library itself may print."""
WOULD_BLOCK = (6001, 6003)
"""SRT_EASYNCSND and SRT_ETIMEOUT: the buffer is full, the connection is not broken."""

REASONS = {
    10: "wrong passphrase",
    11: "a passphrase is needed, or none is expected",
    16: "no answer in time",
    1401: "it refuses the credentials in the stream id",
    1403: "it forbids publishing under this stream id",
    1404: "it knows no such stream id",
    1409: "somebody else publishes there",
    1402: "it is overloaded",
}
"""SRT_REJECT_REASON and the codes of access_control.h that operators meet."""


class SrtError(Exception):
    """The connection cannot be made, or is broken."""


def library() -> Any:
    """libsrt. Raises SrtError with the package to install."""
    for name in LIBRARIES:
        with contextlib.suppress(OSError):
            return ctypes.CDLL(name)
    raise SrtError(MISSING)


class SrtWriter:
    """A file that PyAV writes MPEG-TS to. Blocks at most SEND_MS; `write` raises SrtError when the link is broken."""

    def __init__(self, url: str, options: dict[str, str]) -> None:
        """Connects as a caller. Raises SrtError with what the other side said."""
        self._srt = srt = library()
        srt.srt_getlasterror_str.restype = srt.srt_rejectreason_str.restype = ctypes.c_char_p
        srt.srt_startup()
        srt.srt_setloglevel(CRITICAL)
        parts = urlsplit(url.partition("?")[0])
        reason = ""
        for address in _addresses(parts.hostname or "", parts.port or 0):
            self._socket = srt.srt_create_socket()
            self._set_all(options)
            if srt.srt_connect(self._socket, address, len(address)) >= 0:
                return
            code = srt.srt_getrejectreason(self._socket)
            reason = REASONS.get(code) or (srt.srt_rejectreason_str(code) or b"").decode(errors="replace")
            self.close()
        raise SrtError(f"SRT: {reason}")

    def write(self, data: bytes) -> int:
        """Sends whole TS packets, seven a message."""
        for start in range(0, len(data), MESSAGE):
            message = bytes(data[start : start + MESSAGE])
            sent = self._srt.srt_send(self._socket, message, len(message))
            # A full buffer costs this message alone, which would be late anyway.
            if sent < 0 and self._srt.srt_getlasterror(None) not in WOULD_BLOCK:
                raise SrtError(f"SRT: {self._error()}")
        return len(data)

    def close(self) -> None:
        """Repeatable."""
        if self._socket >= 0:
            self._srt.srt_close(self._socket)
            self._socket = -1

    def _set_all(self, options: dict[str, str]) -> None:
        self._set(CONNECT_TIMEOUT, CONNECT_MS)
        self._set(SEND_TIMEOUT, SEND_MS)
        self._set(PEER_IDLE, PEER_IDLE_MS)
        if "latency" in options:
            self._set(LATENCY, int(options["latency"]))
        if "pbkeylen" in options:
            self._set(KEY_LENGTH, int(options["pbkeylen"]))
        if "passphrase" in options:
            self._set(PASSPHRASE, options["passphrase"])
        if "streamid" in options:
            self._set(STREAM_ID, options["streamid"])

    def _error(self) -> str:
        return str(self._srt.srt_getlasterror_str().decode(errors="replace"))

    def _set(self, option: int, value: int | str) -> None:
        data = struct.pack("i", value) if isinstance(value, int) else value.encode()
        if self._srt.srt_setsockflag(self._socket, option, data, len(data)) < 0:
            raise SrtError(f"SRT: {self._error()}")


def _addresses(host: str, port: int) -> list[bytes]:
    """The first C `sockaddr` of each family of a host. Raises SrtError when it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise SrtError(f"no such host: {error.strerror}") from None
    addresses: dict[socket.AddressFamily, bytes] = {}
    for family, _, _, _, place in found:
        head, name = struct.pack("=H", family), str(place[0])
        if family == socket.AF_INET:
            rest = struct.pack("!H4s8x", port, socket.inet_pton(family, name))
        else:
            packed = socket.inet_pton(family, name.partition("%")[0])
            scope = int(place[3]) if len(place) > 3 else 0
            rest = struct.pack("!HI16s", port, 0, packed) + struct.pack("=I", scope)
        addresses.setdefault(family, head + rest)
    return list(addresses.values())
