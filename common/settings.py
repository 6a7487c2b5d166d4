"""The building blocks of a configuration model: sections, options, and the names of every setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from common.values import AddressField


class Section(BaseModel):
    """Base of all configuration models: unknown keys rejected, never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


def option(
    default: Any, help: str, *, unit: str = "", alias: str = "", metavar: str = "", **limits: Any
) -> Any:
    """One setting. `default=...` (Ellipsis) makes it required; `limits` are pydantic's (ge, le, gt, lt, ...).

    `alias`: a further, shorter flag such as `--size`. `unit` and `metavar` only serve the help text.
    """
    extra: dict[str, Any] = {"unit": unit, "alias": alias, "metavar": metavar}
    return Field(default, description=help, json_schema_extra=extra, **limits)


class LogSection(Section):
    """What the daemon says on standard error."""

    level: Literal["debug", "info", "warning", "error"] = option("info", "least important message shown")
    format: Literal["logfmt", "json"] = option("logfmt", "form of a log line")


class MetricsSection(Section):
    """Figures for Prometheus, over HTTP."""

    listen: AddressField | None = option(
        None, "address of /metrics and /healthz; `off` for none", metavar="HOST:PORT"
    )


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting of a model, with all its names."""

    path: tuple[str, ...]
    field: FieldInfo
    group: str

    @property
    def name(self) -> str:
        """As in error texts: `rate.kbps`."""
        return ".".join(self.path)

    @property
    def flag(self) -> str:
        """`--rate.kbps`; underscores become hyphens."""
        return "--" + self.name.replace("_", "-")

    @property
    def extra(self) -> Mapping[str, str]:
        """unit, alias, metavar: empty texts where there is none."""
        schema = self.field.json_schema_extra
        return {key: str(value) for key, value in schema.items()} if isinstance(schema, dict) else {}

    @property
    def is_list(self) -> bool:
        """Whether the flag may be repeated."""
        return get_origin(self.field.annotation) in (list, tuple)

    @property
    def optional(self) -> bool:
        """Whether None is a value."""
        return type(None) in get_args(self.field.annotation)

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values that it may have, where they are listed (Literal); empty where they are not."""
        kinds = (self.field.annotation, *get_args(self.field.annotation))
        return next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())

    def variable(self, prefix: str) -> str:
        """Name in the environment: `SEMCAST_SENDER_RATE__KBPS`."""
        return prefix + "__".join(self.path).upper()


def leaves(model: type[BaseModel], path: tuple[str, ...] = (), group: str = "") -> Iterator[Leaf]:
    """Every setting of a model, in order; nested sections are walked."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from leaves(kind, (*path, name), f"{'.'.join((*path, name))}: {_first_line(kind)}")
        else:
            yield Leaf((*path, name), field, group)


def _first_line(model: type[BaseModel]) -> str:
    """What the section is about: the first line of the docstring, its own or a parent's."""
    for kind in model.__mro__:
        if issubclass(kind, BaseModel) and kind is not BaseModel and kind.__doc__:
            text = kind.__doc__.strip().splitlines()[0].rstrip(".")
            return text[:1].lower() + text[1:]
    return ""
