"""The Noise handshake against published vectors, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.noise import CipherState, HandshakeState, NoiseError, Protocol, public_key

VECTORS = json.loads((Path(__file__).parent / "data" / "noise.json").read_text())["vectors"]
PSK, OTHER = bytes(range(32)), bytes(32)
A, B = bytes([7]) * 32, bytes([9]) * 32


def side(vector: dict[str, Any], role: str) -> HandshakeState:
    def key(name: str) -> bytes | None:
        return bytes.fromhex(vector[f"{role}_{name}"]) if f"{role}_{name}" in vector else None

    [psk] = vector[f"{role}_psks"]
    return HandshakeState(
        Protocol.parse(vector["protocol_name"]),
        role == "init",
        bytes.fromhex(psk),
        prologue=bytes.fromhex(vector[f"{role}_prologue"]),
        static=key("static"),
        remote_static=key("remote_static"),
        ephemeral=key("ephemeral"),
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["protocol_name"])
def test_published_vectors(vector: dict[str, Any]) -> None:
    sides = [side(vector, "init"), side(vector, "resp")]
    messages = [(bytes.fromhex(m["payload"]), bytes.fromhex(m["ciphertext"])) for m in vector["messages"]]
    for number, (payload, ciphertext) in enumerate(messages[:2]):
        assert sides[number].write_message(payload) == ciphertext
        assert sides[1 - number].read_message(ciphertext) == payload
    assert sides[0].hash == sides[1].hash
    assert sides[0].split() == sides[1].split()
    ciphers = [CipherState(Protocol.parse(vector["protocol_name"]).cipher, key) for key in sides[0].split()]
    for number, (payload, ciphertext) in enumerate(messages[2:]):
        assert ciphers[number % 2].encrypt(b"", payload) == ciphertext


def test_every_pattern_cipher_and_hash_has_a_vector() -> None:
    names = [Protocol.parse(vector["protocol_name"]) for vector in VECTORS]
    assert {p.pattern for p in names} == {"NNpsk0", "IKpsk2"}
    assert {p.cipher for p in names} == {"AESGCM", "ChaChaPoly"}
    assert {p.hash for p in names} == {"SHA256", "BLAKE2s"}


def pair(pattern: str, psk: bytes = PSK, pinned: bytes = B) -> tuple[HandshakeState, HandshakeState]:
    protocol = Protocol(pattern)
    if pattern == "NNpsk0":
        return HandshakeState(protocol, True, PSK), HandshakeState(protocol, False, psk)
    one = HandshakeState(protocol, True, PSK, static=A, remote_static=public_key(pinned))
    return one, HandshakeState(protocol, False, psk, static=B)


@pytest.mark.parametrize("pattern", ["NNpsk0", "IKpsk2"])
def test_two_sides_agree_and_every_run_has_its_own_keys(pattern: str) -> None:
    keys: set[bytes] = set()
    for _ in range(3):
        one, two = pair(pattern)
        assert two.read_message(one.write_message(b"hello")) == b"hello"
        assert one.read_message(two.write_message(b"")) == b""
        assert one.finished
        assert one.split() == two.split()
        keys.update(one.split())
    assert len(keys) == 6
    assert two.remote_static == (public_key(A) if pattern == "IKpsk2" else None)


@pytest.mark.parametrize("pattern", ["NNpsk0", "IKpsk2"])
def test_another_psk_or_a_changed_byte_is_refused(pattern: str) -> None:
    one, two = pair(pattern, psk=OTHER)
    with pytest.raises(NoiseError):
        two.read_message(one.write_message(b"hello"))
        one.read_message(two.write_message(b""))  # psk2 shows only here
    message = one_message = pair(pattern)[0].write_message(b"hello")
    for position in range(32, len(one_message)):
        message = one_message[:position] + bytes([one_message[position] ^ 1]) + one_message[position + 1 :]
        with pytest.raises(NoiseError):
            pair(pattern)[1].read_message(message)


def test_another_responder_than_the_pinned_one_is_refused() -> None:
    one, two = pair("IKpsk2", pinned=bytes([11]) * 32)
    with pytest.raises(NoiseError, match="tag"):
        two.read_message(one.write_message(b"hello"))


def test_a_key_of_low_order_is_refused() -> None:
    two = HandshakeState(Protocol("IKpsk2"), False, PSK, static=B)
    with pytest.raises(NoiseError, match="low order"):
        two.read_message(bytes(200))


def test_turns_and_arguments_are_checked() -> None:
    one, two = pair("NNpsk0")
    with pytest.raises(NoiseError, match="out of turn"):
        one.read_message(bytes(48))
    with pytest.raises(NoiseError, match="out of turn"):
        two.write_message()
    with pytest.raises(NoiseError, match="not finished"):
        one.split()
    with pytest.raises(NoiseError, match="at most 65535"):
        two.read_message(bytes(70000))
    with pytest.raises(ValueError, match="psk: must be 32 bytes"):
        HandshakeState(Protocol(), True, b"short")
    with pytest.raises(ValueError, match="static key is missing"):
        HandshakeState(Protocol("IKpsk2"), True, PSK, static=A)
    with pytest.raises(ValueError, match="is not one that this module speaks"):
        Protocol.parse("Noise_XX_25519_AESGCM_SHA256")


@given(st.sampled_from(["NNpsk0", "IKpsk2"]), st.binary(max_size=200))
def test_reading_raises_only_noise_error(pattern: str, message: bytes) -> None:
    with pytest.raises(NoiseError):
        pair(pattern)[1].read_message(message)
    one, two = pair(pattern)
    two.read_message(one.write_message())
    with pytest.raises(NoiseError):
        one.read_message(message)
