"""What is said about a wrong configuration: the setting, what it must be, what was given and where."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from common.redact import redact
from common.settings import Leaf

LIMITS = {
    "greater_than_equal": "must be >= {ge}",
    "greater_than": "must be > {gt}",
    "less_than_equal": "must be <= {le}",
    "less_than": "must be < {lt}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "literal_error": "must be one of {expected}",
    "string_type": "must be text (in quotes)",
    "dataclass_type": "must be written as one word, as in the help text",
    "list_type": "must be a list",
    "model_type": "must be a group of settings",
}
"""pydantic's error types -> our words."""

EX_CONFIG = 78
"""Exit code for a configuration error (sysexits.h); systemd can be told not to restart on it."""


class ConfigError(Exception):
    """The configuration is wrong. `str()` is one line per problem, each with the setting and the fix."""

    exit_code = EX_CONFIG

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def problems(
    error: ValidationError,
    settings: Sequence[Leaf],
    origins: Mapping[str, str],
    prefix: str,
    within: Sequence[str] = (),
) -> list[str]:
    """One text per problem of a model. `origins`: setting -> file, variable or flag that gave it; `within`: where the
    model is in that of all settings."""
    known = {leaf.name: leaf for leaf in settings}
    texts: dict[str, None] = {}
    for found in error.errors(include_url=False):
        item: dict[str, Any] = {**found}
        item["loc"] = (*within, *item["loc"])
        parts = [str(part) for part in item["loc"]]
        # pydantic appends what it tried (an index, a type of a union) to the name of the setting.
        cuts = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
        name = next((cut for cut in cuts if cut in known), ".".join(parts))
        text = _text(item, known.get(name), list(known), prefix)
        origin = f" [from {origins[name]}]" if name in origins else ""
        texts[(f"{name}: " if name else "") + text + origin] = None
    return list(texts)


def _text(item: Any, leaf: Leaf | None, known: list[str], prefix: str) -> str:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        name = ".".join(str(part) for part in item["loc"])
        return f"unknown setting{nearest(name, known)}"
    if kind == "missing" and leaf is not None:
        flag = leaf.extra.get("alias") or leaf.flag
        return f"is required: give {flag}, {leaf.variable(prefix)} or `{leaf.path[-1]}:` in the file"
    if kind == "value_error":
        return f"{context['error']}{_got(item)}"
    if kind in LIMITS:
        plain = {name: f"{value:g}" if isinstance(value, float) else value for name, value in context.items()}
        return LIMITS[kind].format(**plain) + _got(item)
    return str(item["msg"]) + _got(item)


def _got(item: Any) -> str:
    value = item["input"]
    return "" if isinstance(value, dict | BaseModel) else f" (got {redact(str(value))[:80]})"


def nearest(name: str, known: Sequence[str]) -> str:
    """The end of an error text that names the known name most like `name`, or nothing."""
    found = difflib.get_close_matches(name, known, 1, 0.6)
    return f"; did you mean {found[0]}?" if found else ""
