"""What stands still in the synthetic scene: a far layer (sky, hills, skyline) and a street before it."""

from __future__ import annotations

import numpy as np

from sender.capture.paint import Canvas, Plane, blank, box, ellipse, lay, noise, rgb, shaded

HORIZON = 0.56  # where the far ground begins, as a share of the world's height
KERB = 0.70  # pavement above, road below
VERGE = 0.88  # road above, grass below

_FACADES = (
    (0.72, 0.36, 0.28),
    (0.85, 0.74, 0.55),
    (0.52, 0.58, 0.66),
    (0.78, 0.56, 0.38),
    (0.63, 0.68, 0.55),
    (0.86, 0.82, 0.76),
    (0.55, 0.40, 0.42),
)


def far_layer(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """Sky with clouds, two ranges of hills and a hazy skyline; opaque."""
    canvas = blank(height, width)
    up = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None, None] / np.float32(HORIZON)
    zenith, haze = rgb(0.26, 0.50, 0.82), rgb(0.93, 0.86, 0.76)
    blend = np.clip(up, 0, 1) ** 1.5
    sky = np.broadcast_to(zenith * (1 - blend) + haze * blend, (height, width, 3)).astype(np.float32)
    clouds = np.clip((noise(rng, height, width, height / 3, 6) - 0.5) * 3.2, 0, 1)
    clouds *= np.clip(1.25 - up[..., 0], 0, 1)
    lay(canvas, np.ones((height, width), np.float32), sky)
    lay(canvas, (clouds * 0.9).astype(np.float32), (0.98, 0.97, 0.96))
    sun = ellipse(height, width, height * 0.17, width * 0.62, height * 0.045, height * 0.045)
    y, x = np.ogrid[:height, :width]
    glow = np.exp(-np.hypot(y - height * 0.17, x - width * 0.62) / (0.16 * height)).astype(np.float32)
    lay(canvas, glow * np.float32(0.7), (1.0, 0.95, 0.78))
    lay(canvas, sun, (1.0, 0.98, 0.88))
    for base, reach, colour in ((0.40, 0.16, (0.52, 0.60, 0.72)), (0.49, 0.10, (0.38, 0.50, 0.50))):
        ridge = height * (base - reach * noise(rng, 1, width, height * 0.45, 6)[0] + reach * 0.4)
        cover = np.clip(np.arange(height, dtype=np.float32)[:, None] - ridge[None, :] + 0.5, 0, 1)
        slopes = 0.8 + 0.4 * noise(rng, height, width, height / 9, 5)
        ink = np.clip(rgb(*colour) * slopes[..., None], 0, 1)
        lay(canvas, cover.astype(np.float32), ink.astype(np.float32))
    left = 0.0
    while left < width:
        wide, tall = height * rng.uniform(0.05, 0.11), height * rng.uniform(0.08, 0.22)
        tone = rng.uniform(0.50, 0.64)
        _block(
            canvas,
            rng,
            left,
            height * (HORIZON + 0.02) - tall,
            wide,
            tall,
            (tone, tone + 0.03, tone + 0.07),
            0.35,
        )
        left += wide * rng.uniform(0.9, 1.5)
    return canvas


def street_layer(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """Houses, trees, pavement, road and grass; transparent above the roofs."""
    canvas = blank(height, width)
    left = -0.05 * height
    spots: list[float] = []
    while left < width:
        wide = height * rng.uniform(0.20, 0.36)
        tall = height * rng.uniform(0.22, 0.44)
        facade = _FACADES[int(rng.integers(len(_FACADES)))]
        _block(canvas, rng, left, height * (KERB - 0.05) - tall, wide, tall, facade, 1.0)
        gap = height * (rng.uniform(0.16, 0.28) if rng.random() < 0.45 else 0.0)
        spots.append(left + wide + gap / 2)
        left += wide + gap
    _band(canvas, rng, KERB - 0.055, KERB - 0.045, (0.45, 0.44, 0.42), 0.15, height / 30)
    _band(canvas, rng, KERB - 0.045, KERB, (0.70, 0.67, 0.62), 0.25, height / 60)
    _paving(canvas, height, width)
    for spot in spots:
        _tree(canvas, rng, spot, height * (KERB - 0.01), height * rng.uniform(0.20, 0.30))
    _band(canvas, rng, KERB, KERB + 0.012, (0.82, 0.80, 0.77), 0.1, height / 20)
    _band(canvas, rng, KERB + 0.012, VERGE, (0.36, 0.36, 0.38), 0.30, height / 90)
    for left in np.arange(0.0, width, height * 0.17):
        dash = box(height, width, height * 0.787, left, height * 0.797, left + height * 0.09, 1.0)
        lay(canvas, dash * np.float32(0.9), (0.93, 0.91, 0.84))
    _band(canvas, rng, VERGE, VERGE + 0.01, (0.74, 0.72, 0.68), 0.1, height / 20)
    _grass(canvas, rng)
    return canvas


def _block(
    canvas: Canvas,
    rng: np.random.Generator,
    left: float,
    top: float,
    wide: float,
    tall: float,
    colour: tuple[float, float, float],
    contrast: float,
) -> None:
    """A building with rows of windows; contrast below 1 fades its details into the distance."""
    rows, columns = max(2, int(tall)), max(2, int(wide))
    ink = shaded(rows, columns, colour, 0.25)
    ink *= (1 + 0.14 * contrast * (noise(rng, rows, columns, max(2.0, wide / 6), 4) - 0.5))[..., None]
    pitch = max(5.0, wide / max(2, round(wide / (canvas.shape[0] * 0.058))))
    down = pitch * rng.uniform(1.05, 1.4)
    dark, lit = rgb(0.16, 0.20, 0.28), rgb(0.98, 0.86, 0.55)
    sill = np.clip(rgb(*colour) * 1.25, 0, 1)
    for y in np.arange(down * 0.35, rows - down * 0.6, down):
        for x in np.arange(pitch * 0.22, columns - pitch * 0.5, pitch):
            pane: Plane = lit if rng.random() < 0.16 else dark + rng.uniform(0.0, 0.22)
            pane = np.asarray(colour, np.float32) * (1 - contrast) + pane * contrast
            y1, x1 = int(y + down * 0.55), int(x + pitch * 0.56)
            ink[int(y) : y1, int(x) : x1] = pane
            ink[int(y) : y1, (int(x) + x1) // 2] = sill * contrast + np.asarray(colour) * (1 - contrast)
            ink[y1 : y1 + max(1, int(pitch / 10)), int(x) - 1 : x1 + 1] = sill
    edge = max(1, int(wide * 0.03))
    ink[:, -edge:] *= 0.75
    cover = np.ones((rows, columns), np.float32)
    lay(canvas, cover, np.clip(ink, 0, 1), int(top), int(left))
    if contrast == 1.0:
        eaves = np.ones((max(2, int(tall * 0.04)), columns + 2 * edge), np.float32)
        lay(canvas, eaves, (0.30, 0.24, 0.24), int(top) - eaves.shape[0] + 1, int(left) - edge)


def _tree(canvas: Canvas, rng: np.random.Generator, x: float, foot: float, tall: float) -> None:
    size = int(tall * 1.3) + 4
    trunk = box(size, size, size * 0.5, size * 0.47, size, size * 0.53, 1.0)
    top, left = int(foot - size), int(x - size / 2)
    lay(canvas, trunk, (0.34, 0.24, 0.17), top, left)
    crown: Plane = np.zeros((size, size), np.float32)
    for _ in range(12):
        cy, cx = size * rng.uniform(0.2, 0.52), size * rng.uniform(0.24, 0.76)
        radius = size * rng.uniform(0.13, 0.21)
        crown = np.maximum(crown, ellipse(size, size, cy, cx, radius, radius))
    leaves = noise(rng, size, size, size / 5, 6)
    crown = np.clip(crown * np.clip((leaves - 0.22) * 7, 0, 1), 0, 1).astype(np.float32)
    y, _ = np.ogrid[:size, :size]
    light = (0.55 + 1.1 * (leaves - 0.35) + 0.35 * (0.55 - y / size))[..., None]
    green = rgb(0.30 + 0.1 * rng.random(), 0.52, 0.18)
    lay(canvas, crown, np.clip(green * light * 1.3, 0, 1).astype(np.float32), top, left)


def _band(
    canvas: Canvas,
    rng: np.random.Generator,
    top: float,
    bottom: float,
    colour: tuple[float, float, float],
    rough: float,
    cell: float,
) -> None:
    """A horizontal strip of textured ground across the whole layer."""
    height, width = canvas.shape[:2]
    first = int(top * height)
    rows = int(bottom * height) - first
    texture = 1 + rough * (noise(rng, rows, width, max(3.0, cell * 4), 5) - 0.5)
    ink = shaded(rows, width, colour, 0.12) * texture[..., None]
    lay(canvas, np.ones((rows, width), np.float32), np.clip(ink, 0, 1).astype(np.float32), first, 0)


def _paving(canvas: Canvas, height: int, width: int) -> None:
    for x in range(0, width, max(6, int(height * 0.04))):
        canvas[int((KERB - 0.045) * height) : int(KERB * height), x, :3] *= 0.82


def _grass(canvas: Canvas, rng: np.random.Generator) -> None:
    height, width = canvas.shape[:2]
    first = int((VERGE + 0.01) * height)
    rows = height - first
    patches, blades = noise(rng, rows, width, height / 8, 4), noise(rng, rows * 2, width, 7.0, 3)[::2]
    light = 0.55 + 0.45 * patches + 0.55 * (blades - 0.5)
    ink = rgb(0.36, 0.58, 0.20) * light[..., None]
    flowers = (rng.random((rows, width)) < 0.0025) & (patches > 0.5)
    lay(canvas, np.ones((rows, width), np.float32), np.clip(ink, 0, 1).astype(np.float32), first, 0)
    for y, x in zip(*np.nonzero(flowers), strict=True):
        dot = ellipse(7, 7, 3.5, 3.5, 2.4, 2.4)
        tint = ((0.95, 0.85, 0.25), (0.95, 0.95, 0.95), (0.85, 0.35, 0.55))[int(rng.integers(3))]
        lay(canvas, dot, tint, first + int(y) - 3, int(x) - 3)
