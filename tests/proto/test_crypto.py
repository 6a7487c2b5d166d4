"""Key files, sealing, opening, replay."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proto import crypto
from proto.crypto import CounterExhausted, KeyFileError, Opener, Sealer
from proto.keys import KeySchedule
from proto.replay import REPLAY_WINDOW
from proto.wire import DATAGRAM_LIMIT, Reason, WireError

PSK = bytes(range(32))


def refusal(opener: Opener, datagram: bytes) -> Reason:
    with pytest.raises(WireError) as caught:
        opener.open(datagram)
    return caught.value.reason


def test_open_undoes_seal() -> None:
    sealer, opener = Sealer(PSK), Opener(PSK)
    for counter, body in enumerate([b"", b"x", bytes(1449)]):
        datagram = sealer.seal(63, body)
        assert len(datagram) == len(body) + 23
        opened = opener.open(datagram)
        assert opened[:5] == (sealer.session, counter, 63, body, True)


def test_the_body_is_not_readable_and_the_short_tag_is_the_start_of_the_whole_one() -> None:
    sealer = Sealer(PSK, session=b"sesion")
    datagram = sealer.seal(1, b"a secret body")
    assert b"secret" not in datagram
    cipher = AESGCM(KeySchedule(PSK).packet_key(b"sesion"))
    assert cipher.encrypt(bytes(12), b"a secret body", datagram[:11])[:-4] == datagram[11:]


def test_every_changed_bit_is_refused() -> None:
    datagram = Sealer(PSK).seal(1, b"body")
    opener = Opener(PSK)
    for position in range(len(datagram) * 8):
        changed = bytearray(datagram)
        changed[position // 8] ^= 1 << position % 8
        expected = Reason.VERSION if position in (6, 7) else Reason.FORGED
        assert refusal(opener, bytes(changed)) is expected
    assert len(opener) == 0
    opener.open(datagram)


def test_a_tag_cut_shorter_is_refused() -> None:
    datagram = Sealer(PSK).seal(1, bytes(50))
    assert refusal(Opener(PSK), datagram[:-1]) is Reason.FORGED


def test_sizes_are_checked_first() -> None:
    opener = Opener(PSK)
    assert refusal(opener, b"") is Reason.SHORT
    assert refusal(opener, bytes(22)) is Reason.SHORT
    assert refusal(opener, bytes(DATAGRAM_LIMIT + 1)) is Reason.OVERSIZED
    assert refusal(opener, bytes(DATAGRAM_LIMIT)) is Reason.VERSION


def test_another_key_is_a_forgery() -> None:
    assert refusal(Opener(bytes(32)), Sealer(PSK).seal(1, b"body")) is Reason.FORGED


def test_a_replay_is_refused_in_and_below_the_window() -> None:
    sealer, opener = Sealer(PSK), Opener(PSK)
    datagrams = [sealer.seal(1, b"") for _ in range(3000)]
    order = list(range(3000))
    random.Random(5).shuffle(order)
    seen: set[int] = set()
    newest = -1
    for counter in order + order:
        if counter in seen or counter <= newest - REPLAY_WINDOW:
            assert refusal(opener, datagrams[counter]) is Reason.REPLAYED
        else:
            assert opener.open(datagrams[counter]).counter == counter
            seen.add(counter)
            newest = max(newest, counter)


def test_a_forgery_with_a_high_counter_does_not_move_the_window() -> None:
    sealer, opener = Sealer(PSK), Opener(PSK)
    first, second = sealer.seal(1, b"a"), sealer.seal(1, b"b")
    opener.open(first)
    forged = first[:7] + b"\xff\xff\xff\xff" + first[11:]
    assert refusal(opener, forged) is Reason.FORGED
    assert opener.open(second).body == b"b"


def test_sessions_and_keys_differ_between_starts() -> None:
    assert len({Sealer(PSK).session for _ in range(50)}) == 50
    keys = KeySchedule(PSK)
    assert keys.packet_key(b"sesion") != keys.packet_key(b"sesioN")
    assert keys.packet_key(b"sesion") != KeySchedule(bytes(32)).packet_key(b"sesion")


def test_a_session_with_keys_of_its_own_opens_until_it_is_removed() -> None:
    opener, key = Opener(PSK, max_sessions=1), bytes([5]) * 32
    sealer = Sealer(PSK, b"sesion", key)
    datagrams = [sealer.seal(1, b"body") for _ in range(3)]
    assert refusal(opener, datagrams[0]) is Reason.FORGED
    opener.install(b"sesion", key, origin=b"origin")
    opened = opener.open(datagrams[1])
    assert (opened.newest, opened.peer.origin, opened.peer.two_way) == (True, b"origin", True)
    opener.open(Sealer(PSK).seal(1, b""))
    opener.open(Sealer(PSK).seal(1, b""))  # the sessions without handshake make room for each other only
    assert not opener.open(datagrams[0]).newest
    assert refusal(opener, datagrams[0]) is Reason.REPLAYED
    opener.remove(b"sesion")
    opener.remove(b"sesion")
    assert refusal(opener, datagrams[2]) is Reason.FORGED


def test_the_least_recently_used_session_is_forgotten() -> None:
    opener = Opener(PSK, max_sessions=2)
    a, b, c = Sealer(PSK), Sealer(PSK), Sealer(PSK)
    of_a, of_b = a.seal(1, b""), b.seal(1, b"")
    for datagram in (of_a, of_b, a.seal(1, b""), c.seal(1, b"")):
        opener.open(datagram)
    assert len(opener) == 2
    assert refusal(opener, of_a) is Reason.REPLAYED
    opener.open(of_b)  # b was used last before a and c: nothing is known of it any more


def test_the_counter_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto, "MAX_PACKETS", 2)
    sealer = Sealer(PSK)
    assert sealer.remaining == 2
    sealer.seal(1, b"")
    sealer.seal(1, b"")
    assert sealer.remaining == 0
    with pytest.raises(CounterExhausted):
        sealer.seal(1, b"")


def test_the_last_counters_of_a_session_open() -> None:
    sealer, opener = Sealer(PSK), Opener(PSK)
    sealer._counter = 2**32 - 3
    assert [opener.open(sealer.seal(1, b"")).counter for _ in range(2)] == [2**32 - 3, 2**32 - 2]
    with pytest.raises(CounterExhausted):
        sealer.seal(1, b"")


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="psk: at least 32 bytes"):
        Sealer(b"short")
    with pytest.raises(ValueError, match="psk: at least 32 bytes"):
        Opener(b"short")
    with pytest.raises(ValueError, match="session: must be 6 bytes"):
        Sealer(PSK, session=b"12345")
    with pytest.raises(ValueError, match="stream: must be 0"):
        Sealer(PSK).seal(64, b"")
    with pytest.raises(ValueError, match="max_sessions: must be >= 1"):
        Opener(PSK, max_sessions=0)


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o777])
def test_a_key_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "link.key"
    crypto.new_key_file(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match=rf"open to others \(mode {mode:04o}\); run: chmod 600 {path}"):
        crypto.load_key(path)
    path.chmod(0o400)
    assert len(crypto.load_key(path)) == 32


@pytest.mark.parametrize(("mode", "good"), [(0o440, True), (0o400, True), (0o460, False), (0o444, False)])
def test_a_key_file_of_another_owner_may_be_readable_by_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, good: bool
) -> None:
    """What systemd's LoadCredential hands to a service: root's file, with an ACL that shows as the group's."""
    path = tmp_path / "link.key"
    crypto.new_key_file(path)
    path.chmod(mode)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    if good:
        assert len(crypto.load_key(path)) == 32
    else:
        with pytest.raises(KeyFileError, match="open to others"):
            crypto.load_key(path)


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_a_new_key_file_is_private_and_loads(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "link.key"
    before = os.umask(umask)
    try:
        crypto.new_key_file(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(crypto.load_key(path)) == 32
    with pytest.raises(KeyFileError, match="File exists"):
        crypto.new_key_file(path)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (PSK.hex().encode() + b"\n", PSK),
        (b"  " + PSK.hex().upper().encode(), PSK),
        (b"\x80" * 33, b"\x80" * 33),
        (b"correct horse battery staple, again", b"correct horse battery staple, again"),
    ],
)
def test_key_files_hold_hexadecimal_digits_or_raw_bytes(tmp_path: Path, content: bytes, key: bytes) -> None:
    write(tmp_path / "key", content)
    assert crypto.load_key(tmp_path / "key") == key


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes of key, at least 32 needed"),
        (b"ab" * 31, "31 bytes of key, at least 32 needed"),
        (b"a" * 65, "odd number of hexadecimal digits"),
        (b"\x80" * 31, "31 bytes of key"),
        (b"\x80" * 5000, "more than 4096 bytes, so not a key"),
    ],
)
def test_bad_key_files_say_what_is_wrong(tmp_path: Path, content: bytes, message: str) -> None:
    write(tmp_path / "key", content)
    with pytest.raises(KeyFileError, match=message):
        crypto.load_key(tmp_path / "key")


def test_missing_key_files_say_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="sender --new-key FILE"):
        crypto.load_key(tmp_path / "absent")
    tmp_path.chmod(0o700)
    with pytest.raises(KeyFileError, match="Is a directory"):
        crypto.load_key(tmp_path)
