from __future__ import annotations

import itertools

import numpy as np
import pytest

from common.video import Picture
from sender.capture.synthetic import SyntheticScene

torch = pytest.importorskip("torch")

from tests.bench import quality  # noqa: E402
from tests.bench.measures import FROZEN, Quality, freezes, measure  # noqa: E402


@pytest.fixture(scope="module")
def sent() -> list[Picture]:
    scene = SyntheticScene(256, 256, 15)
    return [scene.picture(index) for index in range(6)]


def noisy(pictures: list[Picture], spread: float) -> list[Picture]:
    rng = np.random.default_rng(5)
    return [np.clip(p + rng.normal(0, spread, p.shape), 16, 235).round().astype(np.uint8) for p in pictures]


def greys(text: str) -> list[Picture]:
    """A picture a letter, equal letters equal pictures."""
    return [np.full((24, 16), ord(letter), np.uint8) for letter in text]


def test_equal_sequences(sent: list[Picture]) -> None:
    result = measure(sent, [picture.copy() for picture in sent], 15)
    assert (result.psnr, result.ssim_db) == (quality.PSNR_CAP, quality.SSIM_CAP)
    assert result.ms_ssim == 1
    assert result.haarpsi == pytest.approx(1, abs=1e-6)
    assert result.vmaf > 95
    assert (result.frozen_share, result.longest_freeze_s, result.frames) == (0, 0, 6)


def test_closeness_is_the_mean_over_frames(sent: list[Picture]) -> None:
    shown = noisy(sent, 8)
    result = measure(sent, shown, 15)
    pairs = list(zip(sent, shown, strict=True))
    assert result.psnr == pytest.approx(np.mean([quality.psnr(a, b) for a, b in pairs]), abs=1e-9)
    assert result.ms_ssim == pytest.approx(np.mean([quality.ms_ssim(a, b) for a, b in pairs]), abs=1e-9)
    assert result.ssim_db == pytest.approx(np.mean([quality.ssim_db(a, b) for a, b in pairs]), abs=1e-9)


def test_every_measure_falls_with_noise(sent: list[Picture]) -> None:
    results = [measure(sent, noisy(sent, spread), 15) for spread in (2, 8, 25)]
    for name in ("psnr", "ms_ssim", "ssim_db", "vmaf", "haarpsi"):
        for better, worse in itertools.pairwise(results):
            assert getattr(better, name) > getattr(worse, name), name


def test_colour_counts_in_psnr_and_haarpsi(sent: list[Picture]) -> None:
    shown = [picture.copy() for picture in sent]
    for picture in shown:
        picture[256:] = np.clip(picture[256:].astype(int) + 40, 16, 240)
    result = measure(sent, shown, 15)
    assert result.ms_ssim == 1
    assert result.psnr < 25
    assert result.haarpsi < 0.97


def test_same_numbers_whatever_the_threads(sent: list[Picture]) -> None:
    before = torch.get_num_threads()
    large = [np.tile(picture, (2, 2)) for picture in sent[:2]]  # so that torch shares out the work
    shown = noisy(large, 10)
    results: list[Quality] = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            results.append(measure(large, shown, 15))
    finally:
        torch.set_num_threads(before)
    for result in results[1:]:
        for name, value in vars(results[0]).items():
            assert getattr(result, name) == pytest.approx(value, abs=1e-6), name


def test_any_even_size() -> None:
    scene = SyntheticScene(256, 256, 15)
    sent = [np.ascontiguousarray(scene.picture(i)[: 190 * 3 // 2, :178]) for i in range(2)]  # 178x190
    assert 0 < measure(sent, noisy(sent, 8), 15).haarpsi < 1


def test_what_cannot_be_compared_is_refused(sent: list[Picture]) -> None:
    with pytest.raises(ValueError, match="6 pictures sent and 5 shown"):
        measure(sent, sent[:5], 15)
    with pytest.raises(ValueError, match="0 pictures"):
        measure([], [], 15)
    with pytest.raises(ValueError, match="frame rate"):
        measure(sent, sent, 0)
    with pytest.raises(ValueError, match="different sizes"):
        measure(sent, [picture[:-3] for picture in sent], 15)
    small = greys("ab")
    with pytest.raises(ValueError, match="176 pixels"):
        measure(small, small, 15)


@pytest.mark.parametrize(
    ("sent", "shown", "share", "longest"),
    [
        ("abcdef", "abcdef", 0, 0),  # all shown
        ("aaaaaa", "aaaaaa", 0, 0),  # still, and shown so
        ("abcdef", "aaaaaa", 1, 5),  # nothing after the first
        ("abcdef", "abbbef", 0.4, 2),
        ("abcdefgh", "aabcccch", 4 / 7, 3),  # two freezes: the longer one
        ("abccdefg", "abbbbbfg", 3 / 7, 4),  # what was sent paused amid the freeze
        ("abccccde", "abbbbbde", 1 / 7, 1),  # what was sent went on to stand still where the freeze began
        ("ab", "cc", 1, 1),
        ("a", "a", 0, 0),
    ],
)
def test_freezes(sent: str, shown: str, share: float, longest: int) -> None:
    got_share, got_longest = freezes(greys(sent), greys(shown))
    assert got_share == pytest.approx(share)
    assert got_longest == longest


def test_the_longest_freeze_is_in_seconds(sent: list[Picture]) -> None:
    shown = [*sent[:2], *[sent[1]] * 3, sent[5]]
    result = measure(sent, shown, 15)
    assert result.frozen_share == pytest.approx(3 / 5)
    assert result.longest_freeze_s == pytest.approx(3 / 15)


def test_a_trace_of_a_difference_is_no_movement() -> None:
    first = np.full((24, 16), 100, np.uint8)
    for changed, same in ((int(16 * 16 * FROZEN) - 1, True), (int(16 * 16 * FROZEN) + 1, False)):
        second = first.copy()
        second.reshape(-1)[:changed] += 1
        assert freezes(greys("ab"), [first, second])[0] == (1 if same else 0)
