"""Packs and crockery: box, can, tin, bottle, mug, cup, bowl, plate, ring, brick, die."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from common.training.tabletop import mesh, textures
from common.training.tabletop.model import Model, Part, Solid, ball, block, one_colour, ringed, rod
from common.training.tabletop.textures import Colour, Texture, colour

STEEL = np.array([0.72, 0.72, 0.74])


def box(rng: Generator) -> Model:
    """A printed carton."""
    size = (rng.uniform(0.05, 0.11), rng.uniform(0.025, 0.06), rng.uniform(0.07, 0.15))
    base = colour(rng, (0.3, 0.95), (0.5, 0.95))
    faces = [textures.label(rng, (128, 128), base) for _ in range(3)]
    atlas = np.concatenate([np.concatenate(faces, 1), np.concatenate(faces, 1)], 0)
    shape = mesh.box(size, 0.0015)
    return Model("box", (Part(shape, atlas, 0.35),), (block(size),), 0.25, bounce=0.15)


def _wrapped(rng: Generator) -> Texture:
    base = colour(rng, (0.2, 0.95), (0.4, 0.95))
    return np.concatenate([textures.label(rng, (128, 160), base) for _ in range(2)], 1)


def _packed(name: str, radius: float, height: float, rng: Generator, mass: float) -> Model:
    h, r, rim = height / 2, radius, 0.003
    side = mesh.lathe([(r, -h + rim), (r, h - rim)])
    lid = h - 0.004
    grooves = [
        (r * (s + d), lid + z) for s in (0.72, 0.4) for d, z in ((0.06, 0.0), (0.03, 0.0007), (0.0, 0.0))
    ]
    ends = [
        (r, h - rim),
        (r + 0.0008, h - rim / 2),
        (r, h),
        (r - 0.003, h),
        (r - 0.004, lid),
        *grooves,
        (0, lid),
    ]
    top = mesh.lathe(ends)
    bottom = top.moved(turn=mesh.turned("x", np.pi))
    metal = Part(mesh.join([top, bottom]), one_colour(STEEL), 0.5, True)
    return Model(name, (Part(side, _wrapped(rng), 0.5), metal), (rod(radius, height),), mass)


def can(rng: Generator) -> Model:
    """A tall food can."""
    return _packed("can", rng.uniform(0.028, 0.038), rng.uniform(0.09, 0.125), rng, 0.35)


def tin(rng: Generator) -> Model:
    """A flat fish tin."""
    return _packed("tin", rng.uniform(0.038, 0.05), rng.uniform(0.026, 0.036), rng, 0.18)


def bottle(rng: Generator) -> Model:
    """A bottle with a neck, a cap and a label."""
    r, height = rng.uniform(0.026, 0.036), rng.uniform(0.16, 0.22)
    neck, shoulder = rng.uniform(0.009, 0.014), rng.uniform(0.5, 0.68) * height
    s = np.linspace(0, 1, 12)
    curve = neck + (r - neck) * (0.5 + 0.5 * np.cos(np.pi * s))
    z = shoulder + s * (0.88 * height - shoulder)
    low = -0.45 * height
    body = [(0, 0.003), (r * 0.8, 0), (r * 0.95, 0.003), (r, 0.01), (r, shoulder)]
    body += [*zip(curve[1:], z[1:], strict=True), (neck, 0.93 * height)]
    glass = mesh.lathe(body).moved((0, 0, low))
    cap = mesh.lathe(
        [(neck * 1.25, 0.9 * height), (neck * 1.25, height - 0.002), (neck * 1.1, height), (0, height)]
    )
    band = mesh.lathe([(r + 0.0005, shoulder * 0.2), (r + 0.0005, shoulder * 0.85)])
    parts = (
        Part(glass, one_colour(colour(rng, (0.2, 0.9), (0.25, 0.9))), 0.85),
        Part(cap.moved((0, 0, low)), one_colour(colour(rng)), 0.4),
        Part(band.moved((0, 0, low)), _wrapped(rng), 0.35),
    )
    upper = 0.94 * height - shoulder
    solids = (
        rod(r, shoulder + 0.02, (0, 0, low + (shoulder + 0.02) / 2)),
        rod(neck * 1.4, upper, (0, 0, low + shoulder + 0.06 * height + upper / 2)),
    )
    return Model("bottle", parts, solids, 0.3, rolling=0.0012)


def _glaze(rng: Generator) -> tuple[Texture, Texture]:
    """Outside and inside of a piece of crockery."""
    outside = colour(rng, (0.1, 0.8), (0.4, 0.95))
    inside = colour(rng, (0.0, 0.1), (0.8, 0.95)) if rng.random() < 0.6 else outside
    picture = textures.plain(rng, (64, 128), outside, 0.04)
    if rng.random() < 0.5:
        top = int(rng.integers(5, 40))
        picture[top : top + int(rng.integers(4, 16))] = colour(rng)
    return picture, one_colour(inside)


def _open(profile: list[tuple[float, float]], wall: float, low: float) -> tuple[mesh.Mesh, mesh.Mesh]:
    """Outside and inside of an open vessel; the profile goes up its outside."""
    inner = [(max(0.0, r - wall), z + (wall if r < profile[-1][0] * 0.98 else 0.0)) for r, z in profile[::-1]]
    inner[0] = (profile[-1][0] - wall, profile[-1][1])
    outside = mesh.lathe(
        [(0, profile[0][1]), *profile, (profile[-1][0] - wall / 2, profile[-1][1] + wall / 3)]
    )
    inside = mesh.lathe([(profile[-1][0] - wall / 2, profile[-1][1] + wall / 3), *inner, (0, inner[-1][1])])
    return outside.moved((0, 0, low)), inside.moved((0, 0, low))


def mug(rng: Generator) -> Model:
    """A mug with a handle."""
    r, height, wall = rng.uniform(0.036, 0.044), rng.uniform(0.08, 0.1), 0.004
    low = -height / 2
    outside, inside = _open([(r * 0.9, 0), (r, 0.006), (r, height)], wall, low)
    angle = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 14)
    reach = rng.uniform(0.022, 0.03)
    path = np.stack([r - 0.002 + reach * np.cos(angle), 0 * angle, 0.3 * height * np.sin(angle)], -1)
    handle = mesh.tube(path, 0.0055, 12)
    print_, ground = _glaze(rng)
    parts = (
        Part(outside, print_, 0.7),
        Part(inside, ground, 0.7),
        Part(handle, one_colour(print_[1, 0].astype(np.float64)), 0.7),
    )
    grip = block((reach, 0.011, 0.6 * height), (r + reach / 2, 0, 0))
    return Model(
        "mug",
        parts,
        (*ringed(r - wall / 2, height, wall, low), rod(r, 0.006, (0, 0, low + 0.003)), grip),
        0.3,
    )


def cup(rng: Generator) -> Model:
    """A conical cup without a handle."""
    r, height, wall = rng.uniform(0.032, 0.042), rng.uniform(0.07, 0.11), 0.0025
    low, foot = -height / 2, rng.uniform(0.65, 0.8)
    outside, inside = _open([(r * foot, 0), (r * 0.5 * (1 + foot), height / 2), (r, height)], wall, low)
    print_, ground = _glaze(rng)
    lean = float(np.arctan(r * (1 - foot) / height))
    wall_of = ringed(r * 0.5 * (1 + foot) - 0.002, height, 0.004, low, lean)
    solids = (*wall_of, rod(r * foot, 0.004, (0, 0, low + 0.002)))
    return Model("cup", (Part(outside, print_, 0.4), Part(inside, ground, 0.4)), solids, 0.06)


def bowl(rng: Generator) -> Model:
    """A deep round bowl."""
    r, wall = rng.uniform(0.06, 0.085), 0.004
    height = r * rng.uniform(0.6, 0.8)
    s = np.linspace(0.25, 1, 12)
    profile = [(float(r * np.sin(t * np.pi / 2)), float(height * (1 - np.cos(t * np.pi / 2)))) for t in s]
    foot = (r * 0.38, 0.0)
    low = -0.4 * height
    outside, inside = _open([foot, *profile], wall, low)
    print_, ground = _glaze(rng)
    solids = (
        rod(r * 0.6, 0.15 * height, (0, 0, low + 0.075 * height)),
        *ringed(
            r * 0.84, height * 0.9, 0.008, low + 0.1 * height, float(np.arctan(0.28 * r / (0.9 * height)))
        ),
    )
    return Model("bowl", (Part(outside, print_, 0.75), Part(inside, ground, 0.75)), solids, 0.35)


def plate(rng: Generator) -> Model:
    """A flat plate with a raised rim."""
    r = rng.uniform(0.075, 0.11)
    wall, height = 0.0035, rng.uniform(0.012, 0.02)
    outside, inside = _open([(r * 0.55, 0), (r * 0.65, 0.003), (r, height)], wall, -0.005)
    base = colour(rng, (0.0, 0.25), (0.75, 0.97))
    picture = np.broadcast_to(base, (96, 8, 3)).astype(np.float32).copy()
    edge = int(rng.integers(3, 20))
    picture[edge : edge + int(rng.integers(3, 14))] = colour(rng)
    picture = picture[::-1]  # the inside's texture ends at the rim
    solids = (rod(r * 0.68, 0.006, (0, 0, -0.002)), *ringed(r * 0.84, 0.006, r * 0.32, 0.002))
    back = one_colour(base)
    return Model("plate", (Part(outside, back, 0.7), Part(inside, picture, 0.75)), solids, 0.3)


def ring(rng: Generator) -> Model:
    """A roll of tape."""
    r, height = rng.uniform(0.032, 0.045), rng.uniform(0.015, 0.03)
    hole, h = r * rng.uniform(0.6, 0.75), height / 2
    tape = mesh.lathe([(hole + 0.002, -h), (r, -h), (r, h), (hole + 0.002, h)])
    core = mesh.lathe([(hole + 0.002, h), (hole, h), (hole, -h), (hole + 0.002, -h)])
    parts = (
        Part(tape, one_colour(colour(rng, (0.1, 0.9), (0.3, 0.95))), 0.5),
        Part(core, one_colour(np.array([0.7, 0.58, 0.42])), 0.1),
    )
    return Model("ring", parts, ringed((r + hole) / 2, height, r - hole, -h, count=14), 0.08)


def brick(rng: Generator) -> Model:
    """A toy building brick with studs."""
    unit = rng.uniform(0.016, 0.022)
    columns, rows = int(rng.integers(2, 5)), 2
    size = (columns * unit, rows * unit, unit * 1.2)
    meshes = [mesh.box(size, 0.0008)]
    stud = mesh.lathe([(0.3 * unit, 0), (0.3 * unit, 0.22 * unit), (0, 0.22 * unit)], 20)
    for i in range(columns):
        for j in range(rows):
            place = ((i + 0.5) * unit - size[0] / 2, (j + 0.5) * unit - size[1] / 2, size[2] / 2)
            meshes.append(stud.moved(place))
    part = Part(mesh.join(meshes), one_colour(colour(rng, (0.75, 1.0), (0.5, 0.95))), 0.6)
    studs = block((size[0] * 0.9, size[1] * 0.9, 0.22 * unit), (0, 0, size[2] / 2 + 0.11 * unit))
    return Model("brick", (part,), (block(size), studs), 0.05)


def die(rng: Generator) -> Model:
    """A large die with pips."""
    side = rng.uniform(0.028, 0.045)
    pale = rng.random() < 0.6
    ground = colour(rng, (0.0, 0.1), (0.85, 0.95)) if pale else colour(rng, (0.6, 1), (0.3, 0.8))
    ink: Colour = np.full(3, 0.08 if pale else 0.93)
    y, x = textures.grid((64, 64))
    low, mid, high = 0.25, 0.5, 0.75
    spots = {
        1: [(mid, mid)],
        2: [(low, low), (high, high)],
        3: [(low, low), (mid, mid), (high, high)],
        4: [(low, low), (low, high), (high, low), (high, high)],
        5: [(low, low), (low, high), (high, low), (high, high), (mid, mid)],
        6: [(low, low), (mid, low), (high, low), (low, high), (mid, high), (high, high)],
    }
    faces = []
    for number in (1, 2, 3, 6, 5, 4):
        near = np.min([np.hypot(y - a, x - b) for a, b in spots[number]], axis=0)
        faces.append(textures.mix(ground, ink, (0.1 - near) * 40))
    atlas = np.concatenate([np.concatenate(faces[:3], 1), np.concatenate(faces[3:], 1)], 0)
    solids: tuple[Solid, ...] = (block((side, side, side)),)
    return Model("die", (Part(mesh.box((side,) * 3, side * 0.1), atlas, 0.6),), solids, 0.05, bounce=0.35)


def sphere(rng: Generator) -> Model:
    """A toy ball: plain, two halves or gores."""
    r = rng.uniform(0.022, 0.042)
    y, x = textures.grid((64, 128))
    first, second = colour(rng, (0.4, 1), (0.5, 1)), colour(rng, (0.0, 0.9), (0.6, 1))
    gores = int(rng.integers(2, 5))
    pattern = (
        0 * x,
        (y > 0.5) * 1.0,
        ((x * 2 * gores).astype(int) % 2) * 1.0,
        (np.abs(y - 0.5) < 0.12) * 1.0,
    )
    picture = textures.mix(first, second, np.asarray(pattern[rng.choice(4)], np.float64))
    part = Part(mesh.ellipsoid((r, r, r)), picture, 0.45)
    return Model("ball", (part,), (ball(r),), 0.06, rolling=0.0004, bounce=0.6)
