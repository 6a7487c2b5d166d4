"""All objects by name, and the gripper."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from common.training.tabletop import mesh, objects_packs, objects_things
from common.training.tabletop.model import Builder, Model, Part, block, one_colour
from common.training.tabletop.textures import colour

BUILDERS: dict[str, Builder] = {
    "box": objects_packs.box,
    "can": objects_packs.can,
    "tin": objects_packs.tin,
    "bottle": objects_packs.bottle,
    "mug": objects_packs.mug,
    "cup": objects_packs.cup,
    "bowl": objects_packs.bowl,
    "plate": objects_packs.plate,
    "ball": objects_packs.sphere,
    "apple": objects_things.apple,
    "pear": objects_things.pear,
    "lemon": objects_things.lemon,
    "banana": objects_things.banana,
    "brick": objects_packs.brick,
    "die": objects_packs.die,
    "spoon": objects_things.spoon,
    "hammer": objects_things.hammer,
    "screwdriver": objects_things.screwdriver,
    "wrench": objects_things.wrench,
    "marker": objects_things.marker,
    "letter": objects_things.letter,
    "ring": objects_packs.ring,
}


def gripper(rng: Generator) -> Model:
    """Two fingers on a palm at the origin, on an arm that reaches out of the picture towards -x."""
    tone = colour(rng, (0.0, 0.2), (0.25, 0.9))
    accent = colour(rng, (0.5, 1.0), (0.4, 0.9))
    palm = mesh.box((0.05, 0.1, 0.035), 0.008).moved((0, 0, 0.085))
    fingers = [mesh.box((0.02, 0.014, 0.085), 0.003).moved((0.012, side, 0.045)) for side in (-0.033, 0.033)]
    pads = [mesh.box((0.016, 0.018, 0.03), 0.002).moved((0.014, side, 0.02)) for side in (-0.033, 0.033)]
    x = np.linspace(-0.02, -0.9, 8)
    arm = mesh.tube(np.stack([x, 0 * x, 0.1 + 0.12 * np.minimum(1, -x / 0.5)], -1), 0.027, 28)
    cuff = mesh.tube([(-0.02, 0, 0.1), (-0.09, 0, 0.117)], 0.033, 28)
    parts = (
        Part(mesh.join([palm, arm]), one_colour(tone), 0.55),
        Part(cuff, one_colour(accent), 0.45),
        Part(mesh.join(fingers), one_colour(np.array([0.55, 0.55, 0.58])), 0.7, True),
        Part(mesh.join(pads), one_colour(np.array([0.1, 0.1, 0.11])), 0.15),
    )
    solids = (block((0.02, 0.085, 0.085), (0.012, 0, 0.047)), block((0.05, 0.1, 0.035), (0, 0, 0.085)))
    return Model("gripper", parts, solids, 1.0, friction=0.3)
