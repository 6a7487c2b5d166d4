"""What is derived from the pre-shared key: HKDF-SHA256 (RFC 5869), extracted once, expanded for each use.

README.md section 2 gives the labels. An expansion of one block is one HMAC (about 1 us), so that a packet of a
session that nobody knows costs little to refuse.
"""

from __future__ import annotations

import hmac

SESSION_BYTES = 6
MIN_KEY_BYTES = 32

_SALT = b"semcast v1"
_PACKET = b"semcast v1 packet"
_SESSION = b"semcast v1 session"
_NOISE = b"semcast v1 noise psk"
_CHECK = b"semcast v1 handshake check"


class KeySchedule:
    """The keys and session ids that follow from one pre-shared key. Immutable; any thread."""

    def __init__(self, psk: bytes) -> None:
        """Raises ValueError for a key of fewer than 32 bytes."""
        if len(psk) < MIN_KEY_BYTES:
            raise ValueError(f"psk: at least {MIN_KEY_BYTES} bytes (got {len(psk)})")
        self._prk = hmac.digest(_SALT, psk, "sha256")
        self.noise_psk = self._expand(_NOISE)
        """The 32-byte `psk` of the Noise handshake."""
        self.check_key = self._expand(_CHECK)
        """Key of the check at the end of every handshake datagram."""

    def packet_key(self, session: bytes) -> bytes:
        """The 32-byte AES key of a session without handshake."""
        return self._expand(_PACKET + session)

    def session(self, origin: bytes, number: int) -> bytes:
        """The id of session `number` (0..2**32 - 1) of an origin; number 0 is the origin itself."""
        if number == 0:
            return origin
        return self._expand(_SESSION + origin + number.to_bytes(4, "big"))[:SESSION_BYTES]

    def _expand(self, info: bytes) -> bytes:
        return hmac.digest(self._prk, info + b"\x01", "sha256")
