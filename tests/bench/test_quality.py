from __future__ import annotations

import json
import time
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.ndimage import correlate1d

from common.video import Picture, from_planes, picture_size, planes, to_video_frame
from sender.capture.synthetic import SyntheticScene
from tests.bench import quality


@pytest.fixture(scope="module")
def sent() -> Picture:
    return SyntheticScene(256, 256, 15).picture(40)


def noisy(picture: Picture, spread: float, seed: int = 1) -> Picture:
    noise = np.random.default_rng(seed).normal(0, spread, picture.shape)
    return np.clip(picture + noise, 16, 235).round().astype(np.uint8)


def test_equal_pictures(sent: Picture) -> None:
    assert quality.psnr(sent, sent.copy()) == quality.PSNR_CAP
    assert quality.ms_ssim(sent, sent.copy()) == 1.0
    assert quality.ssim_db(sent, sent.copy()) == quality.SSIM_CAP


def test_rgb_of_known_colours() -> None:
    picture = np.zeros((3, 2), np.uint8)
    for yuv, colour in (
        ((16, 128, 128), (0, 0, 0)),
        ((235, 128, 128), (255, 255, 255)),
        ((81, 90, 240), (255, 0, 0)),
        ((145, 54, 34), (0, 255, 0)),
        ((41, 240, 110), (0, 0, 255)),
    ):
        picture[:2], picture[2, 0], picture[2, 1] = yuv[0], yuv[1], yuv[2]
        assert quality.rgb(picture)[:, 1, 1] == pytest.approx(colour, abs=1.6)


def test_psnr_of_a_known_error() -> None:
    sent = np.full((384, 256), 128, np.uint8)
    shown = sent.copy()
    shown[:256] += 10  # 11.64384 in each of R, G and B
    assert quality.psnr(sent, shown) == pytest.approx(20 * np.log10(255 / 11.64384), abs=1e-4)


def plain_ssim(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The map of SSIM and its contrast-structure part as the paper writes them, in double precision."""
    taps = np.exp(-((np.arange(11) - 5.0) ** 2) / 4.5)
    taps /= taps.sum()

    def blur(plane: np.ndarray) -> np.ndarray:
        return np.asarray(correlate1d(correlate1d(plane, taps, 0), taps, 1)[5:-5, 5:-5])

    m1, m2 = blur(first), blur(second)
    s1, s2, s12 = blur(first**2) - m1**2, blur(second**2) - m2**2, blur(first * second) - m1 * m2
    contrast = (2 * s12 + quality.C2) / (s1 + s2 + quality.C2)
    return contrast * (2 * m1 * m2 + quality.C1) / (m1**2 + m2**2 + quality.C1), contrast


def test_ms_ssim_equals_a_plain_implementation(sent: Picture) -> None:
    shown = noisy(sent, 12.0)
    first, second = (planes(p)[0].astype(float) for p in (sent, shown))
    expected = 1.0
    for scale, weight in enumerate(quality.SCALE_WEIGHTS):
        whole, contrast = plain_ssim(first, second)
        expected *= (whole if scale == 4 else contrast).mean() ** weight
        first, second = (p.reshape(p.shape[0] // 2, 2, -1, 2).mean((1, 3)) for p in (first, second))
    assert quality.ms_ssim(sent, shown) == pytest.approx(expected, abs=1e-5)
    assert 0.5 < expected < 0.99


@pytest.mark.parametrize("spread", [0.3, 3.0, 30.0])
def test_ssim_equals_a_plain_implementation(sent: Picture, spread: float) -> None:
    shown = noisy(sent, spread)
    first, second = (planes(p)[0].astype(float) for p in (sent, shown))
    expected = -10 * np.log10(1 - plain_ssim(first, second)[0].mean())
    assert quality.ssim_db(sent, shown) == pytest.approx(expected, abs=1e-3)


def test_ssim_of_pictures_that_hardly_differ(sent: Picture) -> None:
    shown = sent.copy()
    shown[100, 100] ^= 1
    first, second = (planes(p)[0].astype(float) for p in (sent, shown))
    expected = -10 * np.log10(1 - plain_ssim(first, second)[0].mean())
    assert 50 < expected < quality.SSIM_CAP
    assert quality.ssim_db(sent, shown) == pytest.approx(expected, abs=0.01)


def test_both_similarities_at_once_are_those_one_by_one(sent: Picture) -> None:
    shown = noisy(sent, 9.0)
    assert quality.similarities(sent, shown) == (quality.ms_ssim(sent, shown), quality.ssim_db(sent, shown))


def test_ssim_of_small_and_narrow_pictures() -> None:
    picture = np.random.default_rng(3).integers(16, 236, (18, 34)).astype(np.uint8)  # 34x12
    assert quality.ssim_db(picture, picture) == quality.SSIM_CAP
    assert 0 <= quality.ssim_db(picture, noisy(picture, 5.0)) < 50
    with pytest.raises(ValueError, match="11 pixels"):
        quality.ssim_db(picture[:15, :10], picture[:15, :10])


def test_ms_ssim_equals_pytorch_msssim(sent: Picture) -> None:
    torch = pytest.importorskip("torch")
    reference = pytest.importorskip("pytorch_msssim")
    for spread in (3.0, 30.0):
        shown = noisy(sent, spread)
        first, second = (torch.from_numpy(planes(p)[0].copy()).float()[None, None] for p in (sent, shown))
        expected = float(reference.ms_ssim(first, second, data_range=255))
        assert quality.ms_ssim(sent, shown) == pytest.approx(expected, abs=2e-4)


def test_worse_is_lower(sent: Picture) -> None:
    shown = [noisy(sent, spread) for spread in (2.0, 8.0, 32.0)]
    for measure in (quality.psnr, quality.ms_ssim, quality.ssim_db):
        values = [measure(sent, picture) for picture in shown]
        assert values == sorted(values, reverse=True)


def test_sizes_are_checked(sent: Picture) -> None:
    other = np.full((96, 64), 128, np.uint8)
    for measure in (quality.psnr, quality.ms_ssim, quality.ssim_db):
        with pytest.raises(ValueError, match="different sizes"):
            measure(sent, other)
    with pytest.raises(ValueError, match="176 pixels"):
        quality.ms_ssim(other, other)


def test_smallest_pictures_of_ms_ssim(sent: Picture) -> None:
    def cut(side: int) -> Picture:
        return from_planes(
            *(
                np.ascontiguousarray(p[:s, :s])
                for p, s in zip(planes(sent), (side, side // 2, side // 2), strict=True)
            )
        )

    small = cut(quality.SMALLEST_SIDE)
    assert quality.ms_ssim(small, small) == 1
    assert 0 < quality.ms_ssim(small, noisy(small, 20.0)) < 1
    with pytest.raises(ValueError, match="176 pixels"):
        quality.ms_ssim(cut(quality.SMALLEST_SIDE - 2), cut(quality.SMALLEST_SIDE - 2))


def test_fast_enough_for_the_demo(sent: Picture) -> None:
    shown = noisy(sent, 5.0)
    start = time.perf_counter()
    for _ in range(20):
        quality.psnr(sent, shown)
        quality.ms_ssim(sent, shown)
    assert (time.perf_counter() - start) / 20 < 0.05


def write(path: Path, pictures: list[Picture]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=15)
        (stream.width, stream.height), stream.pix_fmt = picture_size(pictures[0]), "yuv420p"
        for index, picture in enumerate(pictures):
            container.mux(stream.encode(to_video_frame(picture, pts=index)))
        container.mux(stream.encode())


def test_command_compares_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    scene = SyntheticScene(256, 256, 15)
    sent, shown = ([noisy(scene.picture(i), spread) for i in range(3)] for spread in (0.0, 6.0))
    write(tmp_path / "a.mkv", sent)
    write(tmp_path / "b.mkv", shown)
    assert quality.frame_rate(tmp_path / "a.mkv") == 15
    assert quality.main([str(tmp_path / "a.mkv"), str(tmp_path / "b.mkv")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result) == [
        *("psnr", "ms_ssim", "ssim_db", "vmaf", "haarpsi"),
        *("frozen_share", "longest_freeze_s", "frames"),
    ]
    assert result["frames"] == 3
    assert result["psnr"] == pytest.approx(quality.psnr(sent[0], shown[0]), abs=0.3)
    assert result["ssim_db"] == pytest.approx(quality.ssim_db(sent[0], shown[0]), abs=0.3)
    assert 20 < result["vmaf"] < 100
    assert 0.3 < result["haarpsi"] < 1


def test_command_says_why_it_cannot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    write(tmp_path / "small.mkv", [SyntheticScene(64, 64, 15).picture(0)])
    assert quality.main([str(tmp_path / "small.mkv")] * 2) == 1
    assert "176 pixels" in capsys.readouterr().err
