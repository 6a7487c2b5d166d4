"""Key files, sealing and opening: AES-256-GCM under a key of its own for each run of a sender.

README.md section 2 gives the bytes. A sender draws a random session id when it starts; the id salts the key,
so that counters may begin at 0 again after a restart and still no key and nonce ever meet twice.
"""

from __future__ import annotations

import os
import string
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

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

SESSION_BYTES = 6
MIN_KEY_BYTES = 32
MAX_KEY_FILE_BYTES = 4096  # a key file is small; anything else was named by mistake
MAX_PACKETS = 2**32 - 1  # per session; the counter has four bytes
REPLAY_WINDOW = 1024  # packets; 20 s of reordering at 50 packets/s
REMEMBERED_SESSIONS = 64  # about 2 kB each; enough restarts that a recording of an earlier one stays refused

_INFO = b"semcast v1 aes-256-gcm"
_NONCE_PREFIX = bytes(8)
_WINDOW_MASK = (1 << REPLAY_WINDOW) - 1


class KeyFileError(Exception):
    """A key file cannot be read, written or used; the message says what to do."""


class CounterExhausted(Exception):
    """A session has sealed all the packets it may; go on with a new Sealer."""


class Opened(NamedTuple):
    """An authentic, fresh packet."""

    session: bytes  # 6 bytes, drawn by the sender at its start
    counter: int  # packet number within the session
    stream: int
    body: bytes  # inner header and payload


def load_key(path: str | Path) -> bytes:
    """The pre-shared key in a file: at least 64 hexadecimal digits, or else at least 32 raw bytes.

    Raises KeyFileError.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(f"key file {path}: {error.strerror}; `sender --new-key FILE` makes one") from None
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
        file.write(os.urandom(MIN_KEY_BYTES).hex() + "\n")


def derive_key(psk: bytes, session: bytes) -> bytes:
    """The 32-byte AES key of one session."""
    if len(psk) < MIN_KEY_BYTES:
        raise ValueError(f"psk: at least {MIN_KEY_BYTES} bytes (got {len(psk)})")
    return HKDF(algorithm=SHA256(), length=32, salt=session, info=_INFO).derive(psk)


class Sealer:
    """Seals the packets of one session. Not thread-safe; never share one between processes (mind fork)."""

    def __init__(self, psk: bytes, session: bytes | None = None) -> None:
        """`session`: for test vectors only. Two Sealers of one key and session would break the encryption."""
        self.session = os.urandom(SESSION_BYTES) if session is None else session
        if len(self.session) != SESSION_BYTES:
            raise ValueError(f"session: must be {SESSION_BYTES} bytes (got {len(self.session)})")
        self._cipher = AESGCM(derive_key(psk, self.session))
        self._counter = 0

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


class _Session:
    """Key and replay window of one session that has authenticated at least one packet."""

    __slots__ = ("algorithm", "newest", "seen")

    def __init__(self, algorithm: algorithms.AES, newest: int) -> None:
        self.algorithm = algorithm
        self.newest = newest
        self.seen = 1  # bit i: packet newest - i was opened

    def is_replay(self, counter: int) -> bool:
        age = self.newest - counter
        return age >= REPLAY_WINDOW or (age >= 0 and bool(self.seen >> age & 1))

    def mark(self, counter: int) -> None:
        ahead = counter - self.newest
        if ahead <= 0:
            self.seen |= 1 << -ahead
        else:
            self.newest = counter
            self.seen = 1 if ahead >= REPLAY_WINDOW else (self.seen << ahead | 1) & _WINDOW_MASK


class Opener:
    """Opens datagrams of any session under one key. Keeps nothing of a datagram whose tag does not verify.

    The sessions used last are remembered, at most `max_sessions`; a packet that was opened once is refused
    for as long as its session is remembered. Not thread-safe.
    """

    def __init__(self, psk: bytes, max_sessions: int = REMEMBERED_SESSIONS) -> None:
        if max_sessions < 1:
            raise ValueError(f"max_sessions: must be >= 1 (got {max_sessions})")
        derive_key(psk, bytes(SESSION_BYTES))  # a key that is too short fails now, not at the first packet
        self._psk = psk
        self._max_sessions = max_sessions
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()

    def __len__(self) -> int:
        """How many sessions are remembered."""
        return len(self._sessions)

    def open(self, datagram: bytes) -> Opened:
        """The packet in a datagram. Raises only WireError (short, oversized, version, replayed, forged)."""
        size = len(datagram)
        if size > DATAGRAM_LIMIT:
            raise WireError(Reason.OVERSIZED, f"datagram: {size} bytes, at most {DATAGRAM_LIMIT}")
        if size < SEAL_BYTES:
            raise WireError(Reason.SHORT, f"datagram: {size} bytes, at least {SEAL_BYTES}")
        if datagram[0] >> 6 != VERSION:
            raise WireError(Reason.VERSION, f"version {datagram[0] >> 6}, this is {VERSION}")
        session_id = datagram[1 : 1 + SESSION_BYTES]
        counter = int.from_bytes(datagram[1 + SESSION_BYTES : OUTER_HEADER_BYTES], "big")
        session = self._sessions.get(session_id)
        if session is None:
            algorithm = algorithms.AES(derive_key(self._psk, session_id))
            body = _decrypt(algorithm, datagram)
            session = self._sessions[session_id] = _Session(algorithm, counter)
            if len(self._sessions) > self._max_sessions:
                self._sessions.popitem(last=False)
        else:
            if session.is_replay(counter):
                raise WireError(Reason.REPLAYED, f"packet {counter} was seen or is too old")
            body = _decrypt(session.algorithm, datagram)
            session.mark(counter)
            self._sessions.move_to_end(session_id)
        return Opened(session_id, counter, datagram[0] & MAX_STREAM, body)


def _decrypt(algorithm: algorithms.AES, datagram: bytes) -> bytes:
    """The body of a datagram whose length was checked. Raises WireError (forged)."""
    nonce = _NONCE_PREFIX + datagram[1 + SESSION_BYTES : OUTER_HEADER_BYTES]
    mode = modes.GCM(nonce, datagram[-TAG_BYTES:], min_tag_length=TAG_BYTES)
    decryptor = Cipher(algorithm, mode).decryptor()
    decryptor.authenticate_additional_data(datagram[:OUTER_HEADER_BYTES])
    body = decryptor.update(datagram[OUTER_HEADER_BYTES:-TAG_BYTES])
    try:
        decryptor.finalize()
    except InvalidTag:
        raise WireError(Reason.FORGED, "the tag does not verify") from None
    return body
