"""The Noise Protocol Framework, revision 34: patterns NNpsk0 and IKpsk2 over X25519.

https://noiseprotocol.org/noise.html; names follow its section 5. Ciphers ChaChaPoly and AESGCM (section 12),
hashes SHA256 and BLAKE2s. Two messages, no transport phase: the caller takes the two keys of `split`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

KEY_BYTES = 32
TAG_BYTES = 16
MAX_MESSAGE = 65535

PATTERNS = {
    "NNpsk0": ((), (("psk", "e"), ("e", "ee"))),
    "IKpsk2": (("s",), (("e", "es", "s", "ss"), ("e", "ee", "se", "psk"))),
}
"""For each pattern: what the initiator knows of the responder beforehand, and the tokens of the messages."""

CIPHERS: dict[str, type[AESGCM] | type[ChaCha20Poly1305]] = {"AESGCM": AESGCM, "ChaChaPoly": ChaCha20Poly1305}
HASHES: dict[str, Callable[[bytes], bytes]] = {
    "SHA256": lambda data: hashlib.sha256(data).digest(),
    "BLAKE2s": lambda data: hashlib.blake2s(data).digest(),
}


class NoiseError(ValueError):
    """A handshake message that is too short, does not authenticate, or comes out of turn."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A pattern and the functions it runs on."""

    pattern: str = "NNpsk0"
    cipher: str = "AESGCM"
    hash: str = "SHA256"

    @property
    def name(self) -> str:
        """The protocol name of section 8."""
        return f"Noise_{self.pattern}_25519_{self.cipher}_{self.hash}"

    @classmethod
    def parse(cls, name: str) -> Protocol:
        """The protocol of a name. Raises ValueError for one that is not made of the parts above."""
        parts = name.split("_")
        if (
            len(parts) != 5
            or (parts[0], parts[2]) != ("Noise", "25519")
            or parts[1] not in PATTERNS
            or parts[3] not in CIPHERS
            or parts[4] not in HASHES
        ):
            raise ValueError(f"protocol: {name} is not one that this module speaks")
        return cls(parts[1], parts[3], parts[4])


class CipherState:
    """A key and its nonce counter (section 5.1). Without a key it passes the text through."""

    def __init__(self, cipher: str, key: bytes | None = None) -> None:
        self._name = cipher
        self._nonce = 0
        self._aead = None if key is None else CIPHERS[cipher](key)

    def encrypt(self, ad: bytes, plaintext: bytes) -> bytes:
        """EncryptWithAd."""
        return plaintext if self._aead is None else self._aead.encrypt(self._next(), plaintext, ad)

    def decrypt(self, ad: bytes, ciphertext: bytes) -> bytes:
        """DecryptWithAd. Raises NoiseError."""
        if self._aead is None:
            return ciphertext
        try:
            return self._aead.decrypt(self._next(), ciphertext, ad)
        except InvalidTag:
            raise NoiseError("the tag does not verify") from None

    def _next(self) -> bytes:
        nonce = bytes(4) + self._nonce.to_bytes(8, "big" if self._name == "AESGCM" else "little")
        self._nonce += 1
        return nonce


class SymmetricState:
    """Chaining key, transcript hash and cipher (section 5.2)."""

    def __init__(self, protocol: Protocol) -> None:
        self._cipher_name = protocol.cipher
        self._hash_name = protocol.hash.lower()
        self._hash = HASHES[protocol.hash]
        name = protocol.name.encode("ascii")
        self.h = name.ljust(KEY_BYTES, b"\0") if len(name) <= KEY_BYTES else self._hash(name)
        self._ck = self.h
        self._cipher = CipherState(protocol.cipher)

    @property
    def keyed(self) -> bool:
        """Whether what is encrypted now gets a tag."""
        return self._cipher._aead is not None

    def mix_key(self, material: bytes) -> None:
        self._ck, key = self._hkdf(material, 2)
        self._cipher = CipherState(self._cipher_name, key)

    def mix_hash(self, data: bytes) -> None:
        self.h = self._hash(self.h + data)

    def mix_key_and_hash(self, material: bytes) -> None:
        self._ck, data, key = self._hkdf(material, 3)
        self.mix_hash(data)
        self._cipher = CipherState(self._cipher_name, key)

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        ciphertext = self._cipher.encrypt(self.h, plaintext)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        plaintext = self._cipher.decrypt(self.h, ciphertext)
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[bytes, bytes]:
        first, second = self._hkdf(b"", 2)
        return first, second

    def _hkdf(self, material: bytes, outputs: int) -> list[bytes]:
        temp = hmac.digest(self._ck, material, self._hash_name)
        blocks: list[bytes] = []
        for number in range(1, outputs + 1):
            last = blocks[-1] if blocks else b""
            blocks.append(hmac.digest(temp, last + bytes((number,)), self._hash_name))
        return blocks


def public_key(private: bytes) -> bytes:
    """The 32-byte X25519 public key of a 32-byte private one. Raises ValueError for another length."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


class HandshakeState:
    """One side of one handshake (section 5.3). A failed read leaves it unusable."""

    def __init__(
        self,
        protocol: Protocol,
        initiator: bool,
        psk: bytes,
        *,
        prologue: bytes = b"",
        static: bytes | None = None,
        remote_static: bytes | None = None,
        ephemeral: bytes | None = None,
    ) -> None:
        """Keys are 32 bytes each, private ones raw. `ephemeral` is for test vectors and tests only.

        Raises ValueError for a key of the wrong length, or one that the pattern needs and is not given.
        """
        if len(psk) != KEY_BYTES:
            raise ValueError(f"psk: must be {KEY_BYTES} bytes (got {len(psk)})")
        pre, self._messages = PATTERNS[protocol.pattern]
        self._initiator = initiator
        self._psk = psk
        self._turn = 0
        self._s = None if static is None else X25519PrivateKey.from_private_bytes(static)
        self._e = None if ephemeral is None else X25519PrivateKey.from_private_bytes(ephemeral)
        self._fixed = ephemeral is not None
        self._rs = None if remote_static is None else X25519PublicKey.from_public_bytes(remote_static)
        self._re: X25519PublicKey | None = None
        self._state = SymmetricState(protocol)
        self._state.mix_hash(prologue)
        if pre:
            if self._s is None or (initiator and self._rs is None):
                raise ValueError(f"{protocol.pattern}: a static key is missing")
            known = self._rs if initiator else self._s.public_key()
            assert known is not None
            self._state.mix_hash(known.public_bytes_raw())

    @property
    def hash(self) -> bytes:
        """The handshake hash so far (section 11.2: a name for the finished session)."""
        return self._state.h

    @property
    def remote_static(self) -> bytes | None:
        """The other side's static public key, once it is known."""
        return None if self._rs is None else self._rs.public_bytes_raw()

    @property
    def finished(self) -> bool:
        """Whether both messages have passed."""
        return self._turn == len(self._messages)

    def write_message(self, payload: bytes = b"") -> bytes:
        """The next message. Raises NoiseError out of turn."""
        out = b""
        for token in self._tokens(writing=True):
            if token == "e":
                if not self._fixed:
                    self._e = X25519PrivateKey.generate()
                assert self._e is not None
                public = self._e.public_key().public_bytes_raw()
                self._mix_ephemeral(public)
                out += public
            elif token == "s":
                assert self._s is not None
                out += self._state.encrypt_and_hash(self._s.public_key().public_bytes_raw())
            else:
                self._mix(token)
        return out + self._state.encrypt_and_hash(payload)

    def read_message(self, message: bytes) -> bytes:
        """The payload of the other side's message. Raises only NoiseError."""
        if len(message) > MAX_MESSAGE:
            raise NoiseError(f"message: {len(message)} bytes, at most {MAX_MESSAGE}")
        at = 0
        for token in self._tokens(writing=False):
            if token == "e":
                public = _cut(message, at, KEY_BYTES)
                self._re = X25519PublicKey.from_public_bytes(public)
                self._mix_ephemeral(public)
                at += KEY_BYTES
            elif token == "s":
                size = KEY_BYTES + (TAG_BYTES if self._state.keyed else 0)
                self._rs = X25519PublicKey.from_public_bytes(
                    self._state.decrypt_and_hash(_cut(message, at, size))
                )
                at += size
            else:
                self._mix(token)
        return self._state.decrypt_and_hash(message[at:])

    def split(self) -> tuple[bytes, bytes]:
        """The keys initiator -> responder and back, 32 bytes each. Raises NoiseError before the end."""
        if not self.finished:
            raise NoiseError("the handshake is not finished")
        return self._state.split()

    def _tokens(self, writing: bool) -> tuple[str, ...]:
        if self.finished or writing != (self._initiator == (self._turn % 2 == 0)):
            raise NoiseError("out of turn")
        self._turn += 1
        return self._messages[self._turn - 1]

    def _mix_ephemeral(self, public: bytes) -> None:
        self._state.mix_hash(public)
        self._state.mix_key(public)  # in patterns with a psk, section 9.2

    def _mix(self, token: str) -> None:
        if token == "psk":
            self._state.mix_key_and_hash(self._psk)
            return
        # "es": the initiator's ephemeral with the responder's static key, and so on (section 5.3).
        mine, other = (token[0], token[1]) if self._initiator else (token[1], token[0])
        private = self._e if mine == "e" else self._s
        public = self._re if other == "e" else self._rs
        assert private is not None and public is not None
        try:
            shared = private.exchange(public)
        except ValueError:
            raise NoiseError("a public key of low order") from None
        self._state.mix_key(shared)


def _cut(message: bytes, at: int, size: int) -> bytes:
    if len(message) < at + size:
        raise NoiseError(f"message: {len(message)} bytes, at least {at + size} needed")
    return message[at : at + size]
