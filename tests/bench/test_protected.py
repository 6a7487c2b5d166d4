"""The peers: erasure code arithmetic against a real code, wire accounting, rate and delay, behaviour under loss."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import zfec

from common.video import Picture
from tests.bench.contestant import Encoded, late_units
from tests.bench.peers import BANDS, DECODERS, WHOLE_CLIP, Setting, setting_for
from tests.bench.protected import HEADERS, SYMBOL_LIMIT, Block, LevelSearch, Protected
from tests.bench.quality import psnr
from tests.common.codec.scene import picture

FPS, SIDE = 15.0, 192
CODECS = sorted(DECODERS)
RATES = [Fraction(1), Fraction(3, 4), Fraction(1, 2), Fraction(1, 4), Fraction(1, 8)]
FULL, HALF = (Fraction(1),), (Fraction(2),)


@pytest.fixture(scope="module")
def clip() -> list[Picture]:
    return [np.pad(picture(i), ((0, 288), (0, SIDE)), mode="wrap")[: SIDE * 3 // 2, :SIDE] for i in range(24)]


def block() -> Block:
    return Block((bytes(300), bytes(100), bytes(100), bytes(100)), data=6, sent=12, symbol=100)


def everything(encoded: Encoded) -> list[np.ndarray]:
    return [np.ones(packets, bool) for packets in encoded.unit_packets]


def test_any_k_packets_make_a_block_whole() -> None:
    arrived = np.zeros(12, bool)
    arrived[[0, 7, 8, 9, 10, 11]] = True
    assert block().intact(arrived) == [True] * 4
    arrived[0] = False
    assert block().intact(arrived) == [False] * 4


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("size", [50, 1100, 5000])
def test_the_ideal_code_is_what_a_real_one_does(rate: Fraction, size: int) -> None:
    rng = np.random.default_rng(size)
    cut = Block.of([rng.bytes(size - 20), rng.bytes(20)], rate)
    data = b"".join(cut.frames).ljust(cut.data * cut.symbol, b"\0")
    symbols = [data[i : i + cut.symbol] for i in range(0, len(data), cut.symbol)]
    packets = zfec.Encoder(cut.data, cut.sent).encode(symbols)
    assert sum(len(packet) + HEADERS for packet in packets) == cut.wire_bytes
    for _ in range(5):
        kept = sorted(rng.permutation(cut.sent)[: cut.data].tolist())
        assert all(cut.intact(np.isin(np.arange(cut.sent), kept)))
        decoded = zfec.Decoder(cut.data, cut.sent).decode([packets[i] for i in kept], kept)
        assert b"".join(decoded) == data


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("size", [1, SYMBOL_LIMIT, SYMBOL_LIMIT + 1, 9000])
def test_blocks_have_the_code_rate_and_fit_a_datagram(rate: Fraction, size: int) -> None:
    cut = Block.of([bytes(size)], rate)
    assert Fraction(cut.data, cut.sent) == rate
    assert cut.symbol <= SYMBOL_LIMIT
    assert cut.data * cut.symbol >= size
    assert cut.data < math.ceil(size / SYMBOL_LIMIT) + rate.numerator


def test_below_k_the_frames_whose_packets_arrived_remain() -> None:
    arrived = np.zeros(12, bool)
    arrived[[0, 1, 2, 4]] = True
    assert block().intact(arrived) == [True, False, True, False]


def test_every_packet_pays_its_headers() -> None:
    assert block().wire_bytes == 12 * (100 + HEADERS)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("rate", [Fraction(1, 2), Fraction(1, 4)])
def test_the_rate_is_held_and_no_block_is_late(codec: str, rate: Fraction, clip: list[Picture]) -> None:
    who = Protected(codec, rate)
    encoded = who.encode(clip, FPS, 60.0)
    assert (who.name, who.code_rate) == (codec.removeprefix("lib"), str(rate))
    assert encoded.wire_bytes * 8 / (encoded.frames / FPS) / 1000 == pytest.approx(60, rel=0.03)
    assert not any(late_units(encoded.unit_bytes, FPS, 60.0, who.delay_ms))
    assert who.encode(clip, FPS, 60.0) == encoded


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "setting", [Setting(FULL, 1, 4), Setting(HALF, 2, 4), Setting(HALF, 4, 4), Setting(FULL, 1, 12)]
)
def test_quality_falls_with_loss(codec: str, setting: Setting, clip: list[Picture]) -> None:
    who = Protected(codec, Fraction(1, 2), setting=setting)
    encoded = who.encode(clip, FPS, 250.0)
    quality = []
    for lost in ([], [1, 2], range(6)):
        arrived = [kept & (i not in lost) for i, kept in enumerate(everything(encoded))]
        ways = who.decode(encoded, arrived)
        assert all(len(way) == len(clip) for way in ways)
        quality.append(
            max(float(np.mean([psnr(a, b) for a, b in zip(clip, way, strict=True)])) for way in ways)
        )
    assert quality[0] > quality[1] + 1 > quality[2] + 2
    assert quality[0] > 17


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_lost_block_is_repeated_and_the_next_key_frame_mends_it(codec: str, clip: list[Picture]) -> None:
    who = Protected(codec, Fraction(1), setting=Setting(FULL, 1, 12))
    clip = [clip[0]] * 10 + clip[10:]
    encoded = who.encode(clip, FPS, 250.0)
    whole = who.decode(encoded, everything(encoded))[0]
    arrived = [kept & (i != 1) for i, kept in enumerate(everything(encoded))]
    on, hold = who.decode(encoded, arrived)
    for way in (on, hold):
        assert all(np.array_equal(way[i], whole[i]) for i in (*range(4), *range(12, 24)))
        assert all(np.array_equal(way[i], whole[3]) for i in range(4, 8))
    assert np.array_equal(hold[11], whole[3])
    assert not np.array_equal(on[11], on[3])
    assert psnr(on[9], whole[9]) > 30  # not grey: what was lost is taken as unchanged


@pytest.mark.parametrize("codec", CODECS)
def test_what_leans_on_a_lost_key_frame_is_not_shown(codec: str, clip: list[Picture]) -> None:
    who = Protected(codec, Fraction(1), setting=Setting(FULL, 1, 12))
    encoded = who.encode(clip, FPS, 250.0)
    whole = who.decode(encoded, everything(encoded))[0]
    arrived = [kept & (i != 3) for i, kept in enumerate(everything(encoded))]
    for way in who.decode(encoded, arrived):
        assert all(np.array_equal(way[i], whole[11]) for i in range(12, 24))


def test_the_search_fills_each_share() -> None:
    search = LevelSearch("libx265", 6, 2)
    need = np.array([30.0, 42.0, 25.0, 38.0, 50.0, 33.0])
    for _ in range(10):
        fill = 2 ** ((need - search.levels) / 6)
        search.learn(fill)
    assert np.abs(2 ** ((need - search.best) / 6) - 1).max() < 0.02


def test_settings_follow_what_a_block_holds() -> None:
    size = (256, 256)
    assert setting_for("libx265", Fraction(1, 4), 440, size).label == "2/3 or 1/2 or 1/3 size, key 4"
    assert setting_for("libx265", Fraction(1, 8), 60, size).step == 4
    assert setting_for("libx265", Fraction(1), 9000, size) == Setting(FULL, 1, WHOLE_CLIP)
    assert setting_for("libsvtav1", Fraction(1), 9000, size).label == "full size, key 4"
    assert setting_for("libsvtav1", Fraction(1, 8), 60, (128, 128)).shrinks == (Fraction(2),)
    assert setting_for("libx264", Fraction(1, 8), 60, (64, 64)).shrinks == FULL
    assert [band[0] for band in BANDS] == sorted(band[0] for band in BANDS)
