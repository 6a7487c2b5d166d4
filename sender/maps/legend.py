"""Legends that users write: what the labels of their maps mean, and how they are coded in their files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from common.config import ConfigError
from common.maps.base import VOID, Colour, Legend
from common.maps.legends import LEGENDS, MATTE, colours
from common.maps.told import MAX_CLASS_BYTES, MAX_NAME_BYTES, clean

MAX_BYTES = 1 << 16
PLAIN_CLASSES = 32
"""Classes where no legend is given."""
UNKNOWN = -1

EXAMPLE = "see --help, or deploy/README.md"


class LegendError(ValueError):
    """A legend is not what it should be; the text says where."""


@dataclass(frozen=True, slots=True)
class Coding:
    """A legend, and which grey level stands for what in the user's files."""

    legend: Legend
    levels: NDArray[np.int16]
    """(256,): the label of a grey level (or palette entry), VOID, or UNKNOWN."""
    coloured: bool = True
    """Whether the colours are those of the files: without a legend they are ours."""


def coding(setting: str | None) -> Coding:
    """What `maps.legend` says: nothing, the name of one of ours, or a file. Raises ConfigError."""
    if setting is None:
        names = tuple(f"class {number}" for number in range(PLAIN_CLASSES))
        return Coding(Legend("maps", names, colours(PLAIN_CLASSES)), _levels(range(PLAIN_CLASSES)), False)
    if setting in LEGENDS:
        return _shipped(LEGENDS[setting])
    try:
        with Path(setting).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"maps.legend: cannot read {setting}: {reason}; give a file or one of {', '.join(LEGENDS)}"
        ) from None
    try:
        return read_legend(data, Path(setting).stem)
    except LegendError as error:
        raise ConfigError(f"maps.legend: {setting}: {error}") from None


def _shipped(legend: Legend) -> Coding:
    if legend is MATTE:  # masks are drawn in black and white, or with a number for each object
        return Coding(legend, np.minimum(np.arange(256), 1).astype(np.int16))
    levels = _levels(range(len(legend.classes)))
    if legend.name == "street":
        levels[len(legend.classes)] = VOID  # as CamVid has it
    return Coding(legend, levels)


def _levels(levels: Any, void: int = VOID) -> NDArray[np.int16]:
    table = np.full(256, UNKNOWN, np.int16)
    table[void] = VOID
    for label, level in enumerate(levels):
        table[level] = label
    return table


class _Loader(yaml.SafeLoader):
    """Without aliases, with which a few lines describe more than memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) cannot be used here")
        return super().compose_node(parent, index)


def read_legend(data: bytes, name: str) -> Coding:
    """The legend in the bytes of a YAML or JSON file. Raises LegendError.

    `classes`: a list of names, or of {name, colour, level}, or names with their colours; `name` and `void` as wanted.
    """
    if len(data) > MAX_BYTES:
        raise LegendError(f"more than {MAX_BYTES} bytes, so not a legend")
    try:
        tree = yaml.load(data.decode("utf-8-sig"), _Loader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise LegendError(f"is not valid YAML or JSON: {' '.join(str(error).split())[:200]}") from None
    try:
        return _coding(tree, name)
    except LegendError:
        raise
    except ValueError:  # Python writes no number of thousands of digits
        raise LegendError("holds a number that is far too large") from None


def _coding(tree: Any, name: str) -> Coding:
    if not isinstance(tree, dict) or "classes" not in tree:
        raise LegendError(f"must hold `classes:` with a name and a colour each ({EXAMPLE})")
    if strange := [str(key) for key in tree if key not in ("name", "classes", "void")]:
        raise LegendError(f"{strange[0]}: unknown; known are name, classes, void")
    entries = _entries(tree["classes"])
    if not 1 <= len(entries) < VOID:
        raise LegendError(f"classes: must be 1 to {VOID - 1} (got {len(entries)})")
    names = tuple(_name(entry.get("name"), number) for number, entry in enumerate(entries))
    if len(set(names)) < len(names):
        raise LegendError("classes: two have the same name")
    ours = colours(len(entries))
    shown = tuple(
        _colour(entry["colour"], names[number]) if entry.get("colour") is not None else ours[number]
        for number, entry in enumerate(entries)
    )
    levels = [_level(entry.get("level", number), names[number]) for number, entry in enumerate(entries)]
    void = _level(tree.get("void", VOID), "void")
    if len({*levels}) < len(levels) or ("void" in tree and void in levels):
        raise LegendError("level: two classes (or a class and void) have the same")
    given = all(entry.get("colour") is not None for entry in entries)
    title = _name(tree.get("name", clean(name, MAX_NAME_BYTES).strip() or "maps"), -1)
    return Coding(Legend(title, names, shown), _levels(levels, void), given)


def _entries(classes: Any) -> list[dict[str, Any]]:
    if isinstance(classes, dict):
        return [{"name": name, "colour": colour} for name, colour in classes.items()]
    if not isinstance(classes, list):
        raise LegendError("classes: must be a list, or names with their colours")
    found = []
    for number, entry in enumerate(classes):
        if not isinstance(entry, dict):
            entry = {"name": entry}
        if strange := [str(key) for key in entry if key not in ("name", "colour", "color", "level")]:
            raise LegendError(f"class {number}: {strange[0]}: unknown; known are name, colour, level")
        found.append({**entry, "colour": entry.get("colour", entry.get("color"))})
    return found


def _name(value: Any, number: int) -> str:
    where = "name" if number < 0 else f"class {number}: name"
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
        raise LegendError(f"{where}: must be text (got {str(value)[:40]!r})")
    text, most = str(value).strip(), MAX_NAME_BYTES if number < 0 else MAX_CLASS_BYTES
    if not text.isprintable() or len(text.encode("utf-8", "replace")) > most:
        raise LegendError(f"{where}: must be at most {most} bytes of text in one line")
    return text


def _colour(value: Any, name: str) -> Colour:
    if isinstance(value, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        red, green, blue = bytes.fromhex(value[1:])
        return red, green, blue
    if isinstance(value, list) and len(value) == 3 and all(type(v) is int and 0 <= v <= 255 for v in value):
        return value[0], value[1], value[2]
    raise LegendError(f'{name}: colour: must be "#rrggbb" or [red, green, blue] (got {str(value)[:40]!r})')


def _level(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value <= 255:
        raise LegendError(f"{name}: level: must be a whole number from 0 to 255 (got {str(value)[:40]!r})")
    return int(value)
