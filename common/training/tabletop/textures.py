"""Procedural textures: (rows, columns, 3) sRGB pictures in 0 to 1, drawn from a seeded generator."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from common.font import text_mask

Texture = NDArray[np.float32]
Shape = tuple[int, int]
Colour = NDArray[np.float64]

_WORDS = (
    "SUN",
    "OAT",
    "NOVA",
    "MILD",
    "FRESH",
    "ALPA",
    "RIO",
    "KORN",
    "TEA",
    "ZEST",
    "MOKA",
    "LUX",
    "PURE",
    "BIO",
)


def colour(
    rng: Generator,
    saturation: tuple[float, float] = (0.35, 0.9),
    value: tuple[float, float] = (0.35, 0.95),
    hue: tuple[float, float] = (0.0, 1.0),
) -> Colour:
    """A random sRGB colour within ranges of hue, saturation and value."""
    return np.array(
        colorsys.hsv_to_rgb(rng.uniform(*hue) % 1.0, rng.uniform(*saturation), rng.uniform(*value))
    )


def grid(shape: Shape) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column of each texel's centre, 0 to 1."""
    y, x = np.meshgrid(
        (np.arange(shape[0]) + 0.5) / shape[0], (np.arange(shape[1]) + 0.5) / shape[1], indexing="ij"
    )
    return y, x


def noise(rng: Generator, shape: Shape, cells: tuple[float, float], octaves: int = 4) -> NDArray[np.float64]:
    """Smooth noise in 0 to 1 with about `cells` bumps down and across; each octave doubles them at half the height."""
    total, weight, sum_of_weights = np.zeros(shape), 1.0, 0.0
    for octave in range(octaves):
        rows, columns = (max(1.0, count * 2**octave) for count in cells)
        lattice = rng.random((int(rows) + 3, int(columns) + 3))
        total += weight * _stretched(lattice, shape, (rows, columns))
        sum_of_weights += weight
        weight *= 0.5
    return total / sum_of_weights


def _stretched(lattice: NDArray[np.float64], shape: Shape, cells: tuple[float, float]) -> NDArray[np.float64]:
    y, x = (np.arange(side) / side * count for side, count in zip(shape, cells, strict=True))
    i, j = y.astype(int), x.astype(int)
    fy, fx = ((f * f * (3 - 2 * f)) for f in (y - i, x - j))
    rows = lattice[i] * (1 - fy)[:, None] + lattice[i + 1] * fy[:, None]
    return np.asarray(rows[:, j] * (1 - fx) + rows[:, j + 1] * fx)


def mix(a: Colour | Texture, b: Colour | Texture, share: NDArray[np.floating[Any]]) -> Texture:
    """From `a` where `share` is 0 to `b` where it is 1."""
    share = np.clip(share, 0, 1)[..., None]
    return (a * (1 - share) + b * share).astype(np.float32)


def plain(rng: Generator, shape: Shape, base: Colour, spread: float = 0.06) -> Texture:
    """One colour, a little uneven."""
    uneven = 1 + spread * (noise(rng, shape, (6, 6), 5)[..., None] - 0.5) * 2
    return np.clip(base * uneven, 0, 1).astype(np.float32)


def wood(rng: Generator, shape: Shape, planks: int = 0) -> Texture:
    """Grain along the rows' direction, in boards when `planks` is above 0."""
    hue = (0.05, 0.09)
    dark = colour(rng, (0.45, 0.7), (0.25, 0.5), hue)
    light = np.minimum(dark * rng.uniform(1.35, 1.9), 0.95)
    y, _ = grid(shape)
    board = np.minimum((y * planks).astype(int), max(planks - 1, 0))
    shift = rng.uniform(0, 10, max(planks, 1))[board]
    warp = noise(rng, shape, (5, 1.2), 3)
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * ((y * rng.uniform(5, 12) + shift) + 2.2 * warp))
    fibre = noise(rng, shape, (170, 4), 2)
    tone = 0.55 * rings**1.5 + 0.45 * fibre + 0.25 * (rng.random(max(planks, 1))[board] - 0.5)
    picture = mix(dark, light, tone)
    if planks:
        edge = np.abs((y * planks + 0.5) % 1 - 0.5) * shape[0] / planks
        picture *= np.clip(0.35 + edge / 3, 0, 1)[..., None]
    return picture.astype(np.float32)


def marble(rng: Generator, shape: Shape) -> Texture:
    """Pale or dark stone with veins."""
    pale = rng.random() < 0.7
    base = colour(rng, (0.0, 0.12), (0.8, 0.95) if pale else (0.1, 0.25))
    vein = colour(rng, (0.05, 0.3), (0.3, 0.55) if pale else (0.5, 0.8))
    share = np.zeros(shape)
    y, x = grid(shape)
    for _ in range(3):
        angle, turbulence = rng.uniform(0, np.pi), noise(rng, shape, (2, 2), 5)
        wave = np.sin(np.pi * (2 * (y * np.sin(angle) + x * np.cos(angle)) + 6 * turbulence))
        share = np.maximum(
            share, rng.uniform(0.3, 0.9) * np.clip(1 - np.abs(wave) * rng.uniform(4, 14), 0, 1)
        )
    cloud = noise(rng, shape, (4, 4), 5)
    return mix(mix(base, vein, 0.5 * (cloud - 0.3)), vein, share)


def cloth(rng: Generator, shape: Shape) -> Texture:
    """A table cloth: plain, striped or checked, woven, with soft creases."""
    base = colour(rng, (0.0, 0.5), (0.6, 0.95))
    second = colour(rng, (0.3, 0.9), (0.2, 0.8))
    y, x = grid(shape)
    count = rng.integers(5, 16)
    stripes_x, stripes_y = ((np.sin(np.pi * 2 * count * t) > rng.uniform(-0.3, 0.6)) * 1.0 for t in (x, y))
    kind = rng.choice(4)
    share = np.stack([0 * x, stripes_x, (stripes_x + stripes_y) / 2, np.maximum(stripes_x, stripes_y) * 0.8])[
        kind
    ]
    weave = np.sin(np.pi * shape[1] / 3 * x) * np.sin(np.pi * shape[0] / 3 * y)
    crease = noise(rng, shape, (3, 3), 3)
    shade = 0.88 + 0.24 * crease + 0.05 * weave
    return np.clip(mix(base, second, share) * shade[..., None], 0, 1).astype(np.float32)


def granite(rng: Generator, shape: Shape) -> Texture:
    """Speckled stone or laminate."""
    base = colour(rng, (0.0, 0.25), (0.25, 0.85))
    picture = plain(rng, shape, base, 0.1)
    for cells in (60, 110, 170):
        speckle = noise(rng, shape, (cells, cells), 2)
        tone = base * 0.6 + 0.4 * colour(rng, (0.0, 0.3), (0.1, 0.95))
        picture = mix(picture, tone, 9 * (speckle - rng.uniform(0.62, 0.7)))
    return picture


def table(rng: Generator, shape: Shape) -> tuple[str, Texture]:
    """The top of a random table, and what it is made of."""
    kind = str(rng.choice(["wood", "planks", "marble", "cloth", "plain", "granite"]))
    if kind == "plain":
        return kind, plain(rng, shape, colour(rng, (0.0, 0.45), (0.3, 0.92)))
    if kind in ("wood", "planks"):
        return kind, wood(rng, shape, int(rng.integers(4, 9)) if kind == "planks" else 0)
    return kind, {"marble": marble, "cloth": cloth, "granite": granite}[kind](rng, shape)


def label(rng: Generator, shape: Shape, base: Colour) -> Texture:
    """The print on a pack: a band, a sign and a word on a ground of colour `base`, which leaves the edges free."""
    picture = np.broadcast_to(base, (*shape, 3)).astype(np.float32).copy()
    y, x = grid(shape)
    second, third = colour(rng), colour(rng, (0.0, 0.3), (0.85, 1.0))
    aspect = shape[1] / shape[0]
    band = np.abs(y - rng.uniform(0.25, 0.75) - rng.uniform(-0.4, 0.4) * (x - 0.5)) < rng.uniform(0.08, 0.25)
    picture[band] = second
    away = np.hypot(y - rng.uniform(0.35, 0.65), (x - 0.5) * aspect)
    radius = rng.uniform(0.18, 0.32) * min(1.0, aspect)
    if rng.random() < 0.5:  # a sun
        angle = np.arctan2(y - 0.5, x - 0.5)
        away = away / (1 + 0.2 * np.sign(np.sin(angle * rng.integers(5, 14))))
    picture[away < radius] = third
    word = str(rng.choice(_WORDS))
    dot = max(1, int(0.8 * shape[1]) // (6 * len(word)))
    mask = text_mask(word, dot)[: shape[0], : shape[1]]
    top, left = (shape[0] - mask.shape[0]) // 2, (shape[1] - mask.shape[1]) // 2
    picture[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = colour(rng, (0.4, 1), (0.05, 0.5))
    line = text_mask("".join(rng.choice(list("AEIORSTLN "), max(1, shape[1] // 9))))[:, : shape[1] - 6]
    row = int(shape[0] * rng.uniform(0.8, 0.9))
    if row + line.shape[0] < shape[0]:
        picture[row : row + line.shape[0], 3 : 3 + line.shape[1]][line] *= 0.4
    return picture


def linear(picture: Texture) -> Texture:
    """sRGB to light."""
    return np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )
