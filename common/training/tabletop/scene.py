"""One video as a seeded scene: pictures, instance maps and class maps, one frame after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from common.tabletop.classes import GRIPPER, NUMBERS
from common.training.tabletop import camera, catalogue, textures, world
from common.training.tabletop.render import Picture, Renderer, Table
from common.training.tabletop.settings import Settings

_TABLE_HALF = 0.42  # metres: more than any camera sees
_MOST, _FEWEST = 10, 4  # objects


class TabletopFrame(NamedTuple):
    """What one frame shows."""

    picture: Picture
    """(S, S, 3) sRGB."""
    instances: Picture
    """(S, S): 0 the table, else the number of the object, the same over the whole video."""
    classes: Picture
    """(S, S): 0 the table, else a number of `classes.CLASSES`."""


class TabletopScene:
    """The scene of (settings, number): same arguments, same frames, on one machine.

    Of the settings, `crf` plays no part. Raises ValueError as their `check` does.
    """

    def __init__(self, settings: Settings, number: int) -> None:
        settings.check()
        size, fps, seconds = settings.size, settings.fps, settings.seconds
        rng = np.random.default_rng([settings.seed, number])
        self._fps, self.frame_count = fps, max(1, round(fps * seconds))
        names = rng.choice(list(catalogue.BUILDERS), int(rng.integers(_FEWEST, _MOST + 1)))
        self._models = [catalogue.BUILDERS[str(name)](rng) for name in names]
        gripper = bool(rng.random() < 0.5)
        self._entries = world.entries(rng, self._models, seconds)
        self._pushes = world.pushes(rng, len(self._models), seconds, gripper)
        self._gripper = any(push.by_gripper for push in self._pushes)
        if self._gripper:
            self._models.append(catalogue.gripper(rng))
        self._settle = float(rng.choice([0.0, 0.15, 2.0, 2.0]))
        view, light = camera.overhead(rng, size), camera.room(rng)
        side = int(np.clip(size * 2, 128, 1100))
        self.table, texture = textures.table(rng, (side, side))
        self._renderer = Renderer(view, light, Table(texture, _TABLE_HALF), self._models)
        self.instances = {number + 1: model.name for number, model in enumerate(self._models)}
        """Class names of the instances by their number."""

    def frames(self) -> Iterator[TabletopFrame]:
        """All frames from the first."""
        lookup = np.zeros(256, np.uint8)
        for number, name in self.instances.items():
            lookup[number] = GRIPPER if name == "gripper" else NUMBERS[name]
        with world.World(self._models, self._entries, self._pushes, self._gripper) as simulation:
            simulation.settle(self._settle)
            for number in range(self.frame_count):
                if number:
                    simulation.advance(1 / self._fps)
                picture, instances = self._renderer.frame(simulation.poses())
                yield TabletopFrame(picture, instances, lookup[instances])

    def facts(self) -> dict[str, Any]:
        """What was drawn, for the video's record."""
        return {
            "table": self.table,
            "objects": len(self._entries),
            "gripper": self._gripper,
            "pushes": len(self._pushes),
        }
