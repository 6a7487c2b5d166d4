"""HaarPSI against its definition, written out slowly, against its authors' program, and on its defining cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve2d

from common.training.haarpsi import haarpsi, haarpsi_colour


def pattern(kind: int, width: int, height: int) -> np.ndarray:
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    kinds = [37 * x + 91 * y + x * y, (17 * x ^ 29 * y) + 3 * x + 5 * y, x + 2 * y]
    return np.asarray(kinds[kind] % 256, dtype=np.float64)


def textured(*shape: int, seed: int = 1) -> np.ndarray:
    """Pictures in 0..255 with detail at every scale."""
    rng = np.random.default_rng(seed)
    layers = [gaussian_filter(rng.normal(size=shape), (0,) * (len(shape) - 2) + (s, s)) for s in (0.7, 2, 6)]
    mixed = np.sum([layer / layer.std() for layer in layers], axis=0)
    return np.asarray(np.clip(128 + 35 * mixed, 0, 255))


def tensor(picture: np.ndarray, kind: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).to(kind)


def slow(first: np.ndarray, second: np.ndarray) -> float:
    """The definition, word for word: (H, W) grey or (3, H, W) RGB."""

    def filtered(plane: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        side = len(kernel) // 2
        return np.asarray(convolve2d(plane, kernel)[side:, side:][: plane.shape[0], : plane.shape[1]])

    def haar(plane: np.ndarray, scale: int) -> list[np.ndarray]:
        kernel = np.full((2**scale, 2**scale), 2.0**-scale)
        kernel[: 2 ** (scale - 1)] *= -1
        return [np.abs(filtered(plane, k)) for k in (kernel, kernel.T)]

    def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray((2 * a * b + 30) / (a * a + b * b + 30))

    mean = np.full((2, 2), 0.25)
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    grey = first.ndim == 2
    mixed = [p[None] if grey else np.einsum("kc,chw->khw", yiq, p) for p in (first, second)]
    a, b = ([filtered(plane, mean)[::2, ::2] for plane in p] for p in mixed)
    scales = [list(zip(haar(a[0], j), haar(b[0], j), strict=True)) for j in (1, 2, 3)]
    maps = [(similarity(*scales[0][k]) + similarity(*scales[1][k])) / 2 for k in (0, 1)]
    weights = [np.maximum(*scales[2][k]) for k in (0, 1)]
    if not grey:
        tint = [similarity(*(np.abs(filtered(p[c], mean)) for p in (a, b))) for c in (1, 2)]
        maps.append((tint[0] + tint[1]) / 2)
        weights.append((weights[0] + weights[1]) / 2)
    logistic = 1 / (1 + np.exp(-4.2 * np.stack(maps)))
    pooled = (np.stack(weights) * logistic).sum() / np.sum(weights)
    return float((np.log(pooled / (1 - pooled)) / 4.2) ** 2)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 80), (37, 50), (21, 33), (6, 4), (1, 9)])
def test_equals_the_definition(height: int, width: int) -> None:
    first = textured(3, height, width)
    for second in (
        textured(3, height, width, seed=2),
        np.clip(first + pattern(0, width, height) / 9, 0, 255),
    ):
        got = haarpsi_colour(tensor(first), tensor(second))
        assert float(got) == pytest.approx(slow(first, second), abs=1e-8)
        got = haarpsi(tensor(first[0]), tensor(second[0]))
        assert float(got) == pytest.approx(slow(first[0], second[0]), abs=1e-8)


@pytest.mark.parametrize(
    ("first", "second", "width", "height", "expected"),
    [
        (0, 1, 64, 64, 0.373060134426),
        (0, 1, 65, 63, 0.398646630698),
        (1, 0, 37, 41, 0.406441215352),
        (2, 0, 32, 32, 0.367527036348),
    ],
)
def test_equals_the_program_of_its_authors(
    first: int, second: int, width: int, height: int, expected: float
) -> None:
    """Values of HaarPSI.m under GNU Octave on patterns of integers, as published with another port of it."""
    a, b = pattern(first, width, height), pattern(second, width, height)
    assert float(haarpsi(tensor(a), tensor(b))) == pytest.approx(expected, abs=1e-8)
    single = haarpsi(tensor(a, torch.float32), tensor(b, torch.float32))
    assert float(single) == pytest.approx(expected, abs=1e-6)


def test_equal_pictures_are_exactly_one() -> None:
    for kind in (torch.float32, torch.float64):
        pictures = tensor(textured(4, 3, 40, 56), kind)
        assert haarpsi_colour(pictures, pictures.clone()).tolist() == [1.0] * 4
        assert haarpsi(pictures, pictures.clone()).tolist() == [[1.0] * 3] * 4


@pytest.mark.parametrize("value", [0.0, 16.0, 255.0])
def test_constant_pictures(value: float) -> None:
    flat = torch.full((3, 32, 32), value)
    assert haarpsi_colour(flat, flat) == 1
    assert (haarpsi(flat, flat) == 1).all()
    detail = tensor(textured(3, 32, 32), torch.float32)
    assert 0 <= float(haarpsi_colour(flat, detail)) < 0.6
    # Without detail in either only the border, where zeros begin, tells two levels apart.
    assert 0 <= float(haarpsi(torch.zeros(32, 32), torch.full((32, 32), 255.0))) < 0.6


def test_symmetric_and_within_its_range() -> None:
    for seed in range(5):
        first, second = tensor(textured(3, 40, 48, seed=seed)), tensor(textured(3, 40, 48, seed=seed + 50))
        for measure in (haarpsi, haarpsi_colour):
            there, back = measure(first, second), measure(second, first)
            assert torch.allclose(there, back, rtol=0, atol=1e-12)
            assert bool((there > 0).all() and (there < 1).all())
    assert float(haarpsi(torch.zeros(64, 64), tensor(np.indices((64, 64)).sum(0) // 2 % 2 * 255.0))) >= 0


def test_falls_with_noise_and_with_blur() -> None:
    picture = textured(3, 96, 96)
    noise = np.random.default_rng(2).normal(size=picture.shape)
    noisy = [np.clip(picture + spread * noise, 0, 255) for spread in (0, 2, 5, 12, 30, 80)]
    blurred = [gaussian_filter(picture, (0, s, s)) for s in (0, 0.6, 1.0, 1.6, 2.5, 4.0)]
    for worse_and_worse in (noisy, blurred):
        for measure in (haarpsi_colour, lambda a, b: haarpsi(a, b).mean()):
            values = [float(measure(tensor(picture), tensor(p))) for p in worse_and_worse]
            assert values == sorted(values, reverse=True)
            assert values[0] == 1
            assert values[-1] < 0.6


def test_colour_counts_only_in_colour() -> None:
    picture = tensor(textured(3, 64, 64))
    shift = torch.tensor([20.0, 0.0, 20.0 * -0.299 / 0.114])[:, None, None]  # along which luma stays
    assert haarpsi_colour(picture, picture + shift) < 0.98
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)[:, None, None]
    luma, luma_shifted = (weights * picture).sum(0), (weights * (picture + shift)).sum(0)
    assert haarpsi(luma, luma_shifted) == pytest.approx(1, abs=1e-9)


def test_a_batch_is_its_pictures_one_by_one() -> None:
    first, second = tensor(textured(2, 3, 3, 32, 40)), tensor(textured(2, 3, 3, 32, 40, seed=9))
    together = haarpsi_colour(first, second)
    assert together.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        assert float(together[i, j]) == pytest.approx(
            float(haarpsi_colour(first[i, j], second[i, j])), abs=1e-12
        )


def test_bytes_and_half_precision_are_measured_in_single() -> None:
    first, second = (tensor(textured(32, 32, seed=s)).round() for s in (1, 2))
    expected = float(haarpsi(first, second))
    assert float(haarpsi(first.to(torch.uint8), second.to(torch.uint8))) == pytest.approx(expected, abs=1e-6)
    half = haarpsi(first.to(torch.bfloat16), second.to(torch.bfloat16))
    assert half.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert float(haarpsi(first.float(), second.float())) == pytest.approx(expected, abs=1e-6)


def test_gradients_are_those_of_the_function() -> None:
    rng = np.random.default_rng(4)
    first, second = (tensor(rng.uniform(0, 255, (3, 9, 10))).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(haarpsi_colour, (first, second), eps=1e-5, atol=1e-7)
    assert torch.autograd.gradcheck(haarpsi, (first, second), eps=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_gradients_stay_finite(kind: torch.dtype) -> None:
    picture = tensor(textured(3, 32, 32), kind)
    black = torch.zeros_like(picture)
    for first, second in ((picture, picture), (black, black), (picture, black), (black, picture)):
        shown = second.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(haarpsi_colour(first, shown), shown)
        assert bool(gradient.isfinite().all())
        if first is second:
            assert bool((gradient == 0).all())


def test_descent_finds_the_picture() -> None:
    sent = tensor(textured(3, 32, 32), torch.float32)
    shown = tensor(gaussian_filter(textured(3, 32, 32), (0, 1, 1)), torch.float32).requires_grad_()
    optimiser = torch.optim.Adam([shown], lr=1.0)
    values = []
    for _ in range(60):
        value = haarpsi_colour(sent, shown)
        (shown.grad,) = torch.autograd.grad(1 - value, shown)
        optimiser.step()
        values.append(float(value.detach()))
    assert values[-1] > max(0.95, values[0] + 0.1)


def test_shapes_are_checked() -> None:
    for first, second in (((8, 8), (8, 9)), ((8,), (8,)), ((0, 8), (0, 8))):
        with pytest.raises(ValueError, match="pictures"):
            haarpsi(torch.zeros(first), torch.zeros(second))
    for shape in ((8, 8), (4, 8, 8)):
        with pytest.raises(ValueError, match="pictures"):
            haarpsi_colour(torch.zeros(shape), torch.zeros(shape))
