"""Fruit, cutlery, tools and toys: apple, pear, lemon, banana, spoon, hammer, screwdriver, wrench, marker, letter."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from common.training.tabletop import mesh, textures
from common.training.tabletop.model import Model, Part, Solid, about, ball, block, one_colour, rod
from common.training.tabletop.textures import Texture, colour

STEEL = np.array([0.75, 0.75, 0.77])
DARK = np.array([0.12, 0.11, 0.12])
STALK = np.array([0.3, 0.22, 0.12])


def _skin(rng: Generator, hue: tuple[float, float], second: tuple[float, float], share: float) -> Texture:
    """Fruit skin: two colours run into each other, with speckles."""
    shape = (64, 128)
    a, b = colour(rng, (0.65, 0.95), (0.55, 0.9), hue), colour(rng, (0.5, 0.9), (0.6, 0.9), second)
    y, x = textures.grid(shape)
    wave = 0.5 + 0.5 * np.cos(2 * np.pi * (x - rng.random()))
    cloud = textures.noise(rng, shape, (5, 10), 3)
    cloud = cloud * (1 - 2 * np.abs(x - 0.5)) + 0.5 * 2 * np.abs(x - 0.5)  # the seam closes
    picture = textures.mix(a, b, share * wave * 1.6 * cloud + 0.4 * share * y)
    speckle = rng.random(shape) < 0.02
    picture[speckle] *= 0.8
    return picture


def apple(rng: Generator) -> Model:
    """An apple with its dimple and stalk."""
    r = rng.uniform(0.032, 0.041)
    t = np.linspace(-np.pi / 2, np.pi / 2, 26)
    radius = np.cos(t) * (1 + 0.08 * np.sin(t))
    z = (
        np.sin(t) * 0.92
        - 0.28 * np.exp(-(((t - np.pi / 2) / 0.38) ** 2))
        + 0.12 * np.exp(-(((t + np.pi / 2) / 0.3) ** 2))
    )
    body = mesh.lathe(np.stack([r * np.maximum(radius, 0), r * z], -1), 40, 80)
    hue = [(-0.03, 0.02), (0.2, 0.28), (0.1, 0.14)][rng.choice(3)]
    stalk = mesh.tube([(0, 0, 0.55 * r), (0.03 * r, 0, 0.85 * r), (0.16 * r, 0, 1.08 * r)], 0.0014, 8)
    parts = (Part(body, _skin(rng, hue, (0.08, 0.16), 0.7), 0.5), Part(stalk, one_colour(STALK), 0.1))
    return Model("apple", parts, (ball(r * 0.97),), 0.15, rolling=0.0016, bounce=0.25)


def pear(rng: Generator) -> Model:
    """A pear."""
    r = rng.uniform(0.028, 0.036)
    t = np.linspace(0, np.pi, 28)
    radius = np.sin(t) * (1 - 0.36 * (1 - np.cos(t)) * 0.75 * np.sin(t / 2) ** 2)
    z = -np.cos(t) * 1.35 - 0.1
    body = mesh.lathe(np.stack([r * np.maximum(radius, 0), r * z + 0.25 * r], -1), 36, 80)
    stalk = mesh.tube([(0, 0, 1.35 * r), (0.05 * r, 0, 1.65 * r), (0.2 * r, 0, 1.85 * r)], 0.0014, 8)
    parts = (
        Part(body, _skin(rng, (0.15, 0.22), (0.08, 0.14), 0.7), 0.35),
        Part(stalk, one_colour(STALK), 0.1),
    )
    solids = (ball(r * 0.98, (0, 0, -0.22 * r)), ball(r * 0.62, (0, 0, 0.85 * r)))
    return Model("pear", parts, solids, 0.15, rolling=0.002)


def lemon(rng: Generator) -> Model:
    """A lemon, its tips on x."""
    r, long = rng.uniform(0.024, 0.03), rng.uniform(1.3, 1.5)
    t = np.linspace(-np.pi / 2, np.pi / 2, 28)
    radius = np.cos(t) ** 0.9 * (1 - 0.25 * np.abs(np.sin(t)) ** 6)
    z = np.sin(t) * long * (1 + 0.1 * np.abs(np.sin(t)) ** 8)
    body = mesh.lathe(np.stack([r * radius, r * z], -1), 36, 80).moved(turn=mesh.turned("y", np.pi / 2))
    lime = rng.random() < 0.25
    hue = (0.22, 0.28) if lime else (0.13, 0.16)
    solids = (rod(r * 0.88, 2 * r * (long - 1.12), turn=about("y", np.pi / 2), round_=True), ball(r * 0.98))
    part = Part(body, _skin(rng, hue, (0.14, 0.2), 0.4), 0.45)
    return Model("lemon", (part,), solids, 0.1, rolling=0.0016)


def banana(rng: Generator) -> Model:
    """A banana, bent in the plane of the table."""
    bend, length, r = rng.uniform(0.9, 1.4), rng.uniform(0.15, 0.19), rng.uniform(0.015, 0.019)
    s = np.linspace(-1, 1, 24)
    big = length / bend
    path = np.stack([big * np.sin(s * bend / 2), big * (np.cos(s * bend / 2) - np.cos(bend / 3)), 0 * s], -1)
    radii = r * np.clip(1.08 - 0.55 * np.abs(s) ** 3.5, 0.2, 1)
    radii[-4:] = r * np.linspace(0.5, 0.24, 4)
    radii[:2] = r * np.array([0.25, 0.42])
    body = mesh.tube(path, radii, 12)
    yellow = textures.plain(rng, (96, 32), colour(rng, (0.7, 0.9), (0.8, 0.95), (0.12, 0.155)), 0.1)
    spots = textures.noise(rng, (96, 32), (20, 7), 2)
    picture = textures.mix(yellow, np.array([0.3, 0.2, 0.08]), 8 * (spots - rng.uniform(0.68, 0.85)))
    picture[-14:] = textures.mix(
        picture[-14:], np.array([0.42, 0.4, 0.12]), np.linspace(0, 1, 14)[:, None] + np.zeros((14, 32))
    )
    picture[:4] = np.array([0.2, 0.15, 0.08])
    chain = [
        ball(0.95 * float(radii[k]), (float(path[k, 0]), float(path[k, 1]), 0.0)) for k in range(1, 23, 2)
    ]
    return Model("banana", (Part(body, picture, 0.35),), tuple(chain), 0.12, rolling=0.003)


def spoon(rng: Generator) -> Model:
    """A steel or wooden spoon."""
    length, width = rng.uniform(0.13, 0.19), rng.uniform(0.03, 0.04)
    t, a = np.linspace(0, 2 * np.pi, 33), np.linspace(1e-3, 1, 10)
    egg = 0.62 * width * (1 + 0.12 * np.cos(t))
    scoop = np.stack(
        [
            np.outer(a, egg * np.cos(t) * 1.15),
            np.outer(a, 0.8 * egg * np.sin(t)),
            (a[:, None] ** 2 - 1) * 0.008 + 0 * t,
        ],
        -1,
    )
    inside, outside = mesh.surface(scoop), mesh.surface(scoop[::-1] - np.array([0, 0, 0.0015]))
    x = np.linspace(-0.55 * width, -length + width * 0.6, 12)
    s = np.linspace(0, 1, 12)
    path = np.stack([x, 0 * x, 0.010 * np.sin(np.pi * s**0.8) - 0.0005], -1)
    handle = mesh.tube(path, 0.003 + 0.003 * s**2, 10, 0.45)
    wooden = rng.random() < 0.35
    texture = textures.wood(rng, (64, 64)) if wooden else one_colour(STEEL)
    whole = mesh.join([inside, outside, handle]).moved((length / 2 - width * 0.7, 0, 0))
    shift = length / 2 - width * 0.7
    solids = (
        block((1.2 * width, width * 0.9, 0.009), (shift, 0, -0.0045)),
        block((length - width, 0.009, 0.007), (shift - 0.5 * length, 0, 0.003)),
    )
    return Model("spoon", (Part(whole, texture, 0.2 if wooden else 0.9, not wooden),), solids, 0.05)


def hammer(rng: Generator) -> Model:
    """A hammer lying on its side."""
    length, head = rng.uniform(0.17, 0.22), rng.uniform(0.065, 0.085)
    x = np.linspace(-0.6 * length, 0.4 * length, 10)
    handle = mesh.tube(np.stack([x, 0 * x, 0 * x], -1), np.linspace(0.0125, 0.009, 10), 14, 0.8)
    face = mesh.lathe(
        [(0, 0), (0.012, 0), (0.013, 0.002), (0.013, 0.014), (0.009, 0.02), (0.009, head * 0.5)]
    )
    face = face.moved(turn=mesh.turned("x", np.pi / 2)).moved((0.4 * length, head * 0.5, 0))
    middle = mesh.box((0.024, 0.03, 0.024), 0.003).moved((0.4 * length, 0, 0))
    s = np.linspace(0, 1, 8)
    path = np.stack([0.4 * length - 0.012 * s**2, -0.012 - s * head * 0.42, 0 * s], -1)
    claw = mesh.tube(path, 0.011 - 0.007 * s, 12, 0.9)
    wooden = rng.random() < 0.5
    grip = textures.wood(rng, (64, 32)) if wooden else one_colour(colour(rng, (0.7, 1), (0.4, 0.9)))
    parts = (
        Part(handle, grip, 0.25),
        Part(mesh.join([face, middle, claw]), one_colour(rng.uniform(0.3, 0.6) * np.ones(3)), 0.75, True),
    )
    solids = (
        rod(0.0105, length, (-0.1 * length, 0, 0), about("y", np.pi / 2)),
        block((0.025, head, 0.024), (0.4 * length, 0.02 * head, 0)),
    )
    return Model("hammer", parts, solids, 0.35, rolling=0.003)


def screwdriver(rng: Generator) -> Model:
    """A screwdriver with a fluted grip."""
    grip, blade, r = rng.uniform(0.075, 0.1), rng.uniform(0.07, 0.11), rng.uniform(0.011, 0.016)
    t = np.array([0.0, 0.03, 0.12, 0.6, 0.72, 0.85, 1.0])
    radius = r * np.array([0.0, 0.8, 1.0, 1.0, 0.7, 0.75, 0.5])
    handle = mesh.lathe(np.stack([radius, t * grip], -1), 36, 50)
    shaft = mesh.lathe(
        [
            (0.003, grip),
            (0.003, grip + blade * 0.9),
            (0.004, grip + blade * 0.95),
            (0.0015, grip + blade),
            (0, grip + blade),
        ],
        14,
    )
    middle = 0.42 * (grip + blade)
    y, x = textures.grid((64, 96))
    ink = colour(rng, (0.7, 1), (0.5, 0.95))
    flutes = textures.mix(ink, DARK, ((np.sin(x * 12 * np.pi) > 0.3) & (y > 0.4) & (y < 0.92)) * 1.0)
    lay = mesh.turned("y", np.pi / 2)
    parts = (
        Part(handle.moved((0, 0, -middle), None).moved(turn=lay), flutes, 0.5),
        Part(shaft.moved((0, 0, -middle)).moved(turn=lay), one_colour(STEEL), 0.9, True),
    )
    solids = (
        rod(r * 0.95, grip, (grip / 2 - middle, 0, 0), about("y", np.pi / 2)),
        rod(0.0035, blade, (grip + blade / 2 - middle, 0, 0), about("y", np.pi / 2)),
    )
    return Model("screwdriver", parts, solids, 0.1, rolling=0.002)


def wrench(rng: Generator) -> Model:
    """A spanner with a ring at one end and a jaw at the other."""
    length, r, thick = rng.uniform(0.12, 0.17), rng.uniform(0.014, 0.019), 0.008
    bar = mesh.box((length - 1.4 * r, 0.011, thick * 0.75), 0.002)
    eye = mesh.lathe(
        [(0.6 * r, -thick / 2), (r, -thick / 2), (r, thick / 2), (0.6 * r, thick / 2), (0.6 * r, -thick / 2)],
        32,
    )
    angle = np.linspace(0.55, 2 * np.pi - 0.55, 26)
    jaw = mesh.tube(np.stack([r * np.cos(angle), r * np.sin(angle), 0 * angle], -1), 0.0062, 8, 0.72)
    lift = mesh.turned("z", rng.uniform(-0.25, 0.25))
    whole = mesh.join([bar, eye.moved((-length / 2, 0, 0)), jaw.moved(turn=lift).moved((length / 2, 0, 0))])
    solids = (
        block((length - 1.4 * r, 0.011, thick)),
        rod(r, thick, (-length / 2, 0, 0)),
        rod(r, thick, (length / 2, 0, 0)),
    )
    part = Part(whole, one_colour(STEEL * rng.uniform(0.75, 1.0)), 0.9, True)
    return Model("wrench", (part,), solids, 0.15)


def marker(rng: Generator) -> Model:
    """A thick felt pen with its cap."""
    length, r = rng.uniform(0.11, 0.135), rng.uniform(0.0075, 0.01)
    ink = colour(rng, (0.6, 1), (0.2, 0.85))
    h, cut = length / 2, length * 0.16
    body = mesh.lathe([(0, -h), (r * 0.9, -h), (r * 0.95, -h + 0.002), (r * 0.95, cut)], 28)
    cap = mesh.lathe([(r * 0.95, cut), (r, cut), (r * 0.94, h - 0.004), (r * 0.5, h), (0, h)], 28)
    pale = colour(rng, (0.0, 0.1), (0.85, 0.95)) if rng.random() < 0.6 else ink
    picture = np.broadcast_to(pale, (64, 32, 3)).astype(np.float32).copy()
    picture[8:14] = picture[50:56] = ink
    lay = mesh.turned("y", np.pi / 2)
    parts = (Part(body.moved(turn=lay), picture, 0.45), Part(cap.moved(turn=lay), one_colour(ink), 0.5))
    return Model("marker", parts, (rod(r, length, turn=about("y", np.pi / 2)),), 0.03, rolling=0.0012)


# Strokes of toy letters between points of a grid 4 wide and 6 high.
_LETTERS = {
    "A": "0026 2646 4640 1333",
    "E": "0006 0040 0333 0646",
    "F": "0006 0333 0646",
    "H": "0006 4046 0343",
    "K": "0006 0346 0340",
    "L": "0006 0040",
    "M": "0006 0623 2346 4640",
    "N": "0006 0640 4046",
    "T": "2026 0646",
    "V": "0620 2046",
    "X": "0046 0640",
    "Z": "0040 0046 0646",
}


def letter(rng: Generator) -> Model:
    """A flat toy letter."""
    unit, thick = rng.uniform(0.011, 0.016), rng.uniform(0.012, 0.016)
    strokes = _LETTERS[str(rng.choice(list(_LETTERS)))].split()
    width = 1.05 * unit
    meshes: list[mesh.Mesh] = []
    solids: list[Solid] = []
    for stroke in strokes:
        x0, y0, x1, y1 = (int(digit) for digit in stroke)
        length, angle = float(np.hypot(x1 - x0, y1 - y0)) * unit, float(np.arctan2(y1 - y0, x1 - x0))
        place = (((x0 + x1) / 2 - 2) * unit, ((y0 + y1) / 2 - 3) * unit, 0.0)
        size = (length + width, width, thick)
        meshes.append(mesh.box(size, 0.0015).moved(turn=mesh.turned("z", angle)).moved(place))
        solids.append(block(size, place, about("z", angle)))
    part = Part(mesh.join(meshes), one_colour(colour(rng, (0.65, 1), (0.5, 0.95))), 0.45)
    return Model("letter", (part,), tuple(solids), 0.04)
