"""Key files, sealing and opening: AES-256-GCM under a key of its own for each session.

README.md section 2 gives the bytes. A sender draws a random session id when it starts; the key is made from the
id, so that counters may begin at 0 again after a restart and still no key and nonce ever meet twice.
"""

from __future__ import annotations

import hmac
import os
import stat
import string
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proto.keys import MIN_KEY_BYTES, SESSION_BYTES, KeySchedule
from proto.replay import ReplayWindow
from proto.wire import (
    DATAGRAM_LIMIT,
    MAX_STREAM,
    OUTER_HEADER_BYTES,
    SEAL_BYTES,
    TAG_BYTES,
    VERSION,
    Reason,
    WireError,
)

MAX_KEY_FILE_BYTES = 4096  # a key file is small; anything else was named by mistake
MAX_PACKETS = 2**32 - 1  # per session; the counter has four bytes
REMEMBERED_SESSIONS = 64  # about 2 kB each; enough restarts that a recording of an earlier one stays refused

_NONCE_PREFIX = bytes(8)


class KeyFileError(Exception):
    """A key file cannot be read, written or used; the message says what to do."""


class CounterExhausted(Exception):
    """A session has sealed all the packets it may; go on with a new Sealer."""


class Header(NamedTuple):
    """The outer header."""

    stream: int
    session: bytes  # 6 bytes
    counter: int  # packet number within the session


class Opened(NamedTuple):
    """An authentic, fresh packet."""

    session: bytes
    counter: int
    stream: int
    body: bytes  # what was sealed
    newest: bool  # whether no packet of the session with a higher counter has been opened
    peer: Peer  # what is kept of the session


def load_key(path: str | Path) -> bytes:
    """The pre-shared key in a file: at least 64 hexadecimal digits, or else at least 32 raw bytes.

    Raises KeyFileError, also for a file that others may use: one of ours must be ours alone (0600 or less), one that
    was handed to us by another owner, as systemd's credentials are, may be readable by our group.
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}; `sender --new-key FILE` makes one") from None
    mode = stat.S_IMODE(status.st_mode)
    if mode & (0o077 if status.st_uid == os.geteuid() else 0o037):
        raise KeyFileError(f"key file {path}: open to others (mode {mode:04o}); run: chmod 600 {path}")
    if len(content) > MAX_KEY_FILE_BYTES:
        raise KeyFileError(f"key file {path}: more than {MAX_KEY_FILE_BYTES} bytes, so not a key")
    text = content.strip()
    if text and all(chr(byte) in string.hexdigits for byte in text):
        if len(text) % 2:
            raise KeyFileError(f"key file {path}: odd number of hexadecimal digits")
        key = bytes.fromhex(text.decode("ascii"))
    else:
        key = content
    if len(key) < MIN_KEY_BYTES:
        raise KeyFileError(
            f"key file {path}: {len(key)} bytes of key, at least {MIN_KEY_BYTES} needed"
            f" ({2 * MIN_KEY_BYTES} hexadecimal digits); `sender --new-key FILE` makes one"
        )
    return key


def new_key_file(path: str | Path) -> None:
    """Write a new random key as hexadecimal text, readable by the owner only.

    Raises KeyFileError, also where the file exists: a key in use must not be lost by accident.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(descriptor, 0o600)  # whatever the umask took away
        file.write(os.urandom(MIN_KEY_BYTES).hex() + "\n")


class Sealer:
    """Seals the packets of one session. Not thread-safe; never share one between processes (mind fork)."""

    def __init__(
        self, psk: bytes | KeySchedule, session: bytes | None = None, key: bytes | None = None
    ) -> None:
        """`session`: drawn at random if not given. `key`: of a handshake, instead of the pre-shared key's.

        Two Sealers of one key and session would break the encryption. Raises ValueError for a bad length.
        """
        self.session = os.urandom(SESSION_BYTES) if session is None else session
        if len(self.session) != SESSION_BYTES:
            raise ValueError(f"session: must be {SESSION_BYTES} bytes (got {len(self.session)})")
        self._cipher = AESGCM(_schedule(psk).packet_key(self.session) if key is None else key)
        self._counter = 0

    @property
    def sealed(self) -> int:
        """How many packets this session has sealed."""
        return self._counter

    @property
    def remaining(self) -> int:
        """How many more packets this session may seal."""
        return MAX_PACKETS - self._counter

    def seal(self, stream: int, body: bytes) -> bytes:
        """A datagram of len(body) + 23 bytes. Raises CounterExhausted at the end of the session's counter."""
        if not 0 <= stream <= MAX_STREAM:
            raise ValueError(f"stream: must be 0..{MAX_STREAM} (got {stream})")
        if self._counter >= MAX_PACKETS:
            raise CounterExhausted(f"session sealed {MAX_PACKETS} packets")
        counter = self._counter.to_bytes(4, "big")
        self._counter += 1  # before anything can fail: a skipped number is harmless, a repeated one is not
        header = bytes((VERSION << 6 | stream,)) + self.session + counter
        sealed = self._cipher.encrypt(_NONCE_PREFIX + counter, body, header)
        return header + sealed[: len(body) + TAG_BYTES]  # a short GCM tag is the first bytes of the whole one


class Peer:
    """What is kept of a session that sends to us: its cipher, its replay window, and whose it is."""

    __slots__ = ("cipher", "number", "origin", "two_way", "window")

    def __init__(self, key: bytes, origin: bytes | None = None) -> None:
        self.cipher = AESGCM(key)
        self.window = ReplayWindow()
        self.origin = origin
        """The first session of the run of the sender that this one belongs to; None before it is known."""
        self.two_way = origin is not None
        """Whether its keys are those of a handshake."""
        self.number = 0
        """Which session of its origin this is (section 7); of no meaning under the keys of a handshake."""

    def open(self, datagram: bytes, header: Header) -> Opened:
        """The packet in a datagram of this session. Raises WireError (replayed, forged)."""
        if self.window.is_replay(header.counter):
            raise WireError(Reason.REPLAYED, f"packet {header.counter} was seen or is too old")
        body = _decrypt(self.cipher, datagram)
        newest = self.window.mark(header.counter)
        return Opened(header.session, header.counter, header.stream, body, newest, self)


def read_header(datagram: bytes) -> Header:
    """The outer header of a datagram of an allowed size. Raises WireError (short, oversized, version)."""
    size = len(datagram)
    if size > DATAGRAM_LIMIT:
        raise WireError(Reason.OVERSIZED, f"datagram: {size} bytes, at most {DATAGRAM_LIMIT}")
    if size < SEAL_BYTES:
        raise WireError(Reason.SHORT, f"datagram: {size} bytes, at least {SEAL_BYTES}")
    if datagram[0] >> 6 != VERSION:
        raise WireError(Reason.VERSION, f"version {datagram[0] >> 6}, this is {VERSION}")
    counter = int.from_bytes(datagram[1 + SESSION_BYTES : OUTER_HEADER_BYTES], "big")
    return Header(datagram[0] & MAX_STREAM, datagram[1 : 1 + SESSION_BYTES], counter)


class Opener:
    """Opens datagrams of any session under the pre-shared key, and of those whose keys were installed.

    Keeps nothing of a datagram whose tag does not verify. Of the sessions without handshake those used last are
    remembered, at most `max_sessions`; a packet that was opened once is refused for as long as its session is
    remembered. Not thread-safe.
    """

    def __init__(self, psk: bytes | KeySchedule, max_sessions: int = REMEMBERED_SESSIONS) -> None:
        if max_sessions < 1:
            raise ValueError(f"max_sessions: must be >= 1 (got {max_sessions})")
        self._keys = _schedule(psk)
        self._max_sessions = max_sessions
        self._sessions: OrderedDict[bytes, Peer] = OrderedDict()
        self._installed: dict[bytes, Peer] = {}

    def __len__(self) -> int:
        """How many sessions are remembered."""
        return len(self._sessions) + len(self._installed)

    def install(self, session: bytes, key: bytes, origin: bytes) -> None:
        """Open this session with a key of its own, until `remove`."""
        self._installed[session] = Peer(key, origin)

    def remove(self, session: bytes) -> None:
        """Forget a session that was installed, if it was."""
        self._installed.pop(session, None)

    def rename(self, old: bytes, new: bytes, number: int) -> None:
        """The session that was taken for an origin, `old`, is number `number` of `new`."""
        for peer in self._sessions.values():
            if peer.origin == old:
                peer.origin, peer.number = new, number

    def open(self, datagram: bytes) -> Opened:
        """The packet in a datagram. Raises only WireError (short, oversized, version, replayed, forged)."""
        header = read_header(datagram)
        peer = self._installed.get(header.session)
        if peer is not None:
            return peer.open(datagram, header)
        peer = self._sessions.get(header.session)
        if peer is not None:
            opened = peer.open(datagram, header)
            self._sessions.move_to_end(header.session)
            return opened
        peer = Peer(self._keys.packet_key(header.session))
        opened = peer.open(datagram, header)
        self._sessions[header.session] = peer
        if len(self._sessions) > self._max_sessions:
            self._sessions.popitem(last=False)
        return opened


def _schedule(psk: bytes | KeySchedule) -> KeySchedule:
    return psk if isinstance(psk, KeySchedule) else KeySchedule(psk)


def _decrypt(cipher: AESGCM, datagram: bytes) -> bytes:
    """The body of a datagram whose length was checked. Raises WireError (forged).

    The one-shot functions of `cryptography` know whole tags only. GCM encrypts by xor with a key stream, so to
    encrypt the ciphertext gives the plaintext, and to encrypt that gives the whole tag that belongs to it. Both
    take a quarter of the time of a Cipher object, which is what a flood of forgeries costs.
    """
    header, sealed = datagram[:OUTER_HEADER_BYTES], datagram[OUTER_HEADER_BYTES:-TAG_BYTES]
    nonce = _NONCE_PREFIX + header[1 + SESSION_BYTES :]
    body = cipher.encrypt(nonce, sealed, None)[: len(sealed)]
    tag = cipher.encrypt(nonce, body, header)[len(sealed) : len(sealed) + TAG_BYTES]
    if not hmac.compare_digest(tag, datagram[-TAG_BYTES:]):
        raise WireError(Reason.FORGED, "the tag does not verify")
    return body
