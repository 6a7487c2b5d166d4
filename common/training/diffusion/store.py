"""Samples on disk, a memory-mapped array for each of their values; filling them goes on where it was left."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

log = logging.getLogger("samples")

FACTS = "facts.json"
SAVE_EVERY = 25

Arrays = Mapping[str, NDArray[Any]]


class Store:
    """The samples that are there."""

    def __init__(self, folder: Path) -> None:
        """Raises FileNotFoundError where nothing was made yet."""
        self.count = int(json.loads((folder / FACTS).read_text())["done"])
        self.arrays: dict[str, NDArray[Any]] = {
            path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))
        }


def fill(folder: Path, count: int, key: str, one: Callable[[int], Arrays], stop: Event) -> bool:
    """Make samples until `folder` holds `count`; whether all are there. `one` makes number n, arrays of the same
    shapes each time; `key`: what they depend on, another one starts anew."""
    folder.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {"key": key, "done": 0, "count": count}
    if (folder / FACTS).exists():
        old = json.loads((folder / FACTS).read_text())
        facts = old if (old["key"], old["count"]) == (key, count) else facts
    if not facts["done"]:  # what another key left: facts first, they vouch for the rest
        for left in (folder / FACTS, *folder.glob("*.npy")):
            left.unlink(missing_ok=True)
    first = int(facts["done"])
    arrays: dict[str, NDArray[Any]] = {}
    begun = time.monotonic()
    for number in range(first, count):
        for name, value in one(number).items():
            if name not in arrays:
                path = str(folder / f"{name}.npy")
                fresh = (count, *value.shape)
                arrays[name] = np.load(path, "r+") if first else open_memmap(path, "w+", value.dtype, fresh)
            arrays[name][number] = value
        done = number + 1
        if done % SAVE_EVERY == 0 or done == count or stop.is_set():
            _save(folder, facts | {"done": done}, arrays)
            pace = (time.monotonic() - begun) / (done - first)
            log.info("%d of %d made, %.1f minutes left", done, count, pace * (count - done) / 60)
        if stop.is_set():
            return done == count
    return True


def _save(folder: Path, facts: dict[str, Any], arrays: Arrays) -> None:
    for array in arrays.values():
        if isinstance(array, np.memmap):
            array.flush()
    partial = folder / f"{FACTS}.partial"
    partial.write_text(json.dumps(facts) + "\n")
    partial.replace(folder / FACTS)
