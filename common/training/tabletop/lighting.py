"""What lamps and the room give to surfaces."""

from __future__ import annotations

import numpy as np

from common.training.tabletop.camera import Floats, Lamp
from common.training.tabletop.rays import RayScene, across, spread
from common.training.tabletop.shapes import Indices


def lamp_rays(
    lamp: Lamp, spots: Floats, pattern: Indices, rays: int, patterns: int, number: int
) -> tuple[Floats, Floats]:
    """Directions and lengths from spots to the point of a lamp that ray `number` of `rays` goes to."""
    toward = lamp.position - spots
    side, above = across(toward / np.linalg.norm(toward, axis=1, keepdims=True))
    p, q = spread(patterns * rays)[pattern * rays + number].T
    r, angle = lamp.radius * np.sqrt(p)[:, None], 2 * np.pi * q[:, None]
    way = toward + r * np.cos(angle) * side + r * np.sin(angle) * above
    length = np.linalg.norm(way, axis=1)
    return (way / length[:, None]).astype(np.float32), length.astype(np.float32)


def lamp_share(
    scene: RayScene, lamp: Lamp, spots: Floats, pattern: Indices, rays: int, patterns: int
) -> Floats:
    """How much of a lamp each spot sees, 0 to 1."""
    free = np.zeros(len(spots), np.float32)
    for number in range(rays):
        free += ~scene.blocked(spots, *lamp_rays(lamp, spots, pattern, rays, patterns, number))
    return np.asarray(free / rays, np.float32)


def room_rays(normals: Floats, pattern: Indices, rays: int, patterns: int, number: int) -> Floats:
    """Directions around normals, closer together towards them as their cosine asks."""
    side, above = across(normals)
    p, q = spread(patterns * rays)[pattern * rays + number].T
    r, angle = np.sqrt(p)[:, None], 2 * np.pi * q[:, None]
    way = r * np.cos(angle) * side + r * np.sin(angle) * above + np.sqrt(1 - p)[:, None] * normals
    return np.asarray(way, np.float32)


def facing(lamp: Lamp, spots: Floats, normals: Floats) -> Floats:
    """Light of a lamp on unshadowed spots, by angle and distance."""
    toward = lamp.position - spots
    far = np.einsum("ij,ij->i", toward, toward)
    cosine = np.einsum("ij,ij->i", toward, normals) / np.sqrt(far)
    return np.asarray(lamp.colour * (np.clip(cosine, 0, None) / far / np.pi)[:, None], np.float32)


def glint(lamp: Lamp, spots: Floats, mirror: Floats, rough: Floats) -> Floats:
    """The lamp's own picture in a surface, the wider and dimmer the rougher that is."""
    toward = lamp.position - spots
    far = np.einsum("ij,ij->i", toward, toward)
    cosine = np.einsum("ij,ij->i", toward, mirror) / np.sqrt(far)
    size = lamp.radius**2 / far
    width = size + rough**2
    lobe = np.exp(-2 * (1 - np.clip(cosine, -1, 1)) / width)
    return np.asarray(lamp.colour * (lobe / (np.pi * width) / far)[:, None], np.float32)
