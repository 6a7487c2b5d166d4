from __future__ import annotations

import json
import time
from pathlib import Path

import av
import numpy as np
import pytest
from scipy.ndimage import correlate1d

from common.video import Picture, planes, to_video_frame
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
    assert quality.ms_ssim(sent, sent.copy()) == pytest.approx(1.0, abs=1e-6)


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


def test_ms_ssim_equals_a_plain_implementation(sent: Picture) -> None:
    taps = np.exp(-((np.arange(11) - 5.0) ** 2) / 4.5)
    taps /= taps.sum()

    def blur(plane: np.ndarray) -> np.ndarray:
        return np.asarray(correlate1d(correlate1d(plane, taps, 0), taps, 1)[5:-5, 5:-5])

    shown = noisy(sent, 12.0)
    first, second = (planes(p)[0].astype(float) for p in (sent, shown))
    expected = 1.0
    for scale, weight in enumerate(quality.SCALE_WEIGHTS):
        m1, m2 = blur(first), blur(second)
        s1, s2, s12 = blur(first**2) - m1**2, blur(second**2) - m2**2, blur(first * second) - m1 * m2
        part = (2 * s12 + quality.C2) / (s1 + s2 + quality.C2)
        if scale == 4:
            part = part * (2 * m1 * m2 + quality.C1) / (m1**2 + m2**2 + quality.C1)
        expected *= part.mean() ** weight
        first, second = (p.reshape(p.shape[0] // 2, 2, -1, 2).mean((1, 3)) for p in (first, second))
    assert quality.ms_ssim(sent, shown) == pytest.approx(expected, abs=1e-4)
    assert 0.5 < expected < 0.99


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
    for measure in (quality.psnr, quality.ms_ssim):
        values = [measure(sent, picture) for picture in shown]
        assert values == sorted(values, reverse=True)


def test_sizes_are_checked(sent: Picture) -> None:
    other = np.full((96, 64), 128, np.uint8)
    for measure in (quality.psnr, quality.ms_ssim):
        with pytest.raises(ValueError, match="different sizes"):
            measure(sent, other)
    with pytest.raises(ValueError, match="161 pixels"):
        quality.ms_ssim(other, other)


def test_fast_enough_for_the_demo(sent: Picture) -> None:
    shown = noisy(sent, 5.0)
    start = time.perf_counter()
    for _ in range(20):
        quality.psnr(sent, shown)
        quality.ms_ssim(sent, shown)
    assert (time.perf_counter() - start) / 20 < 0.05


def test_command_compares_two_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = SyntheticScene(256, 256, 15)
    paths = [tmp_path / "a.mkv", tmp_path / "b.mkv"]
    for path, spread in zip(paths, (0.0, 6.0), strict=True):
        with av.open(str(path), "w") as container:
            stream = container.add_stream("ffv1", rate=15)
            stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
            for index in range(3):
                frame = to_video_frame(noisy(scene.picture(index), spread), pts=index)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    assert quality.main([str(path) for path in paths]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["frames"] == 3
    assert result["psnr_db"] == pytest.approx(
        quality.psnr(scene.picture(0), noisy(scene.picture(0), 6.0)), abs=0.3
    )
