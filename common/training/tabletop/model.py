"""What an object is: its looks for the renderer, its collision shape and mass for the simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from common.training.tabletop.mesh import Mesh
from common.training.tabletop.textures import Colour, Texture

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]

UPRIGHT: Quaternion = (0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Part:
    """A mesh of one material."""

    mesh: Mesh
    texture: Texture
    """sRGB, any size."""
    gloss: float = 0.3
    """0 dull, 1 polished."""
    metal: bool = False


@dataclass(frozen=True, slots=True)
class Solid:
    """A collision primitive: `box` (size: half sides), `sphere` (size[0]: radius), or `cylinder` and `capsule`
    (size: radius, length without the capsule's ends) along z."""

    kind: str
    size: Vector
    position: Vector = (0.0, 0.0, 0.0)
    turn: Quaternion = UPRIGHT


@dataclass(frozen=True, slots=True)
class Model:
    """An object at the origin, about its centre of mass."""

    name: str
    parts: tuple[Part, ...]
    solids: tuple[Solid, ...]
    mass: float
    """Kilograms."""
    friction: float = 0.5
    rolling: float = 0.0006
    bounce: float = 0.2

    @property
    def radius(self) -> float:
        """Of a sphere about the origin that holds all of it."""
        return max(float(np.linalg.norm(part.mesh.corners, axis=-1).max()) for part in self.parts)


Builder = Callable[[Generator], Model]


def ball(radius: float, position: Vector = (0.0, 0.0, 0.0)) -> Solid:
    """A sphere."""
    return Solid("sphere", (radius, 0.0, 0.0), position)


def block(size: Vector, position: Vector = (0.0, 0.0, 0.0), turn: Quaternion = UPRIGHT) -> Solid:
    """A box of three full side lengths."""
    return Solid("box", (size[0] / 2, size[1] / 2, size[2] / 2), position, turn)


def rod(
    radius: float,
    length: float,
    position: Vector = (0.0, 0.0, 0.0),
    turn: Quaternion = UPRIGHT,
    round_: bool = False,
) -> Solid:
    """A cylinder along z, or a capsule."""
    return Solid("capsule" if round_ else "cylinder", (radius, length, 0.0), position, turn)


def about(axis: str, angle: float) -> Quaternion:
    """The rotation by `angle` radians about a coordinate axis, as (x, y, z, w)."""
    s, c = float(np.sin(angle / 2)), float(np.cos(angle / 2))
    return (s * (axis == "x"), s * (axis == "y"), s * (axis == "z"), c)


MOST_SOLIDS = 16
"""Of one model: PyBullet silently leaves out what is over."""


def ringed(
    radius: float, height: float, wall: float, bottom: float = 0.0, lean: float = 0.0, count: int = 12
) -> tuple[Solid, ...]:
    """Boxes around z that stand for a round wall of mean `radius` from z = `bottom`; `lean` is outwards, radians."""
    width = 2 * radius * float(np.tan(np.pi / count)) + wall
    size = (wall, width, height / float(np.cos(lean)))
    sl, cl = float(np.sin(lean / 2)), float(np.cos(lean / 2))
    solids = []
    for number in range(count):
        angle = 2 * np.pi * number / count
        s, c = float(np.sin(angle / 2)), float(np.cos(angle / 2))
        place = (radius * float(np.cos(angle)), radius * float(np.sin(angle)), bottom + height / 2)
        solids.append(block(size, place, (-s * sl, c * sl, s * cl, c * cl)))
    return tuple(solids)


def one_colour(base: Colour) -> Texture:
    """The smallest texture."""
    return np.broadcast_to(base, (2, 2, 3)).astype(np.float32)
