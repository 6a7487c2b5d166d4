"""Configuration of a daemon: defaults < YAML file < environment < flags, into one frozen pydantic model.

A model is a tree of `Section`s whose leaves are made with `option(...)`. `load` derives from it the flags
(`--rate.kbps 60`, plus the short aliases), the environment names (`SEMCAST_SENDER_RATE__KBPS=60`), the help
text and the error texts. Everything unknown is an error that names the setting and the nearest known name.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from common.config_errors import EX_CONFIG, ConfigError, nearest, problems
from common.settings import Leaf, LogSection, MetricsSection, Section, leaves, option

__all__ = [
    "EX_CONFIG",
    "Command",
    "ConfigError",
    "LogSection",
    "MetricsSection",
    "Section",
    "leaves",
    "load",
    "option",
    "to_yaml",
]

ConfigT = TypeVar("ConfigT", bound=Section)
OFF = ("off", "none", "null", "")
"""What a flag or an environment variable says for a setting that may be left out."""


@dataclass(frozen=True, slots=True)
class Command:
    """A flag that does one thing and ends the program, such as `--new-key FILE`."""

    flag: str
    metavar: str
    help: str
    run: Callable[[str, Section | None], None]
    """Given the value, and the section that it asked for."""
    default: str | None = None
    """The value of the flag alone; None: it needs one."""
    section: str | None = None
    """A section that it needs of the settings in force; what else is set need not be complete."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise ConfigError(message)


def load(
    model: type[ConfigT],
    argv: Sequence[str],
    *,
    prog: str,
    description: str,
    env_prefix: str,
    environ: Mapping[str, str] | None = None,
    epilog: str = "",
    commands: Sequence[Command] = (),
) -> ConfigT:
    """The configuration that file, environment and flags give together. Raises ConfigError.

    Prints and raises SystemExit(0) for `--help`, `--print-config` and `commands`.
    """
    settings = list(leaves(model))
    environ = os.environ if environ is None else environ
    parser = _parser(settings, prog, description, epilog, env_prefix, commands)
    flags, unknown = parser.parse_known_args(list(argv))
    if unknown:
        known = [text for action in parser._actions for text in action.option_strings]
        strange = [text for text in unknown if text.startswith("-")] or unknown
        raise ConfigError(*(f"{text}: unknown argument{nearest(text, known)}" for text in strange))
    given = [(command, value) for command in commands if (value := getattr(flags, command.flag)) is not None]
    for command, value in given:
        if command.section is None:
            command.run(value, None)
            raise SystemExit(0)
    origins: dict[str, str] = {}
    tree = _from_file(flags.config or environ.get(env_prefix + "CONFIG"), settings, origins)
    _merge(tree, _from_environment(environ, env_prefix, settings, origins))
    for leaf in settings:
        if (flag := getattr(flags, leaf.name)) is not None:
            _put(tree, leaf, _given(leaf, flag))
            origins[leaf.name] = leaf.flag
    for command, value in given:
        assert command.section is not None
        command.run(value, _section(model, command.section, tree, settings, origins, env_prefix))
        raise SystemExit(0)
    try:
        config = model.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(*problems(error, settings, origins, env_prefix)) from None
    if flags.print_config:
        print(to_yaml(config), end="")
        raise SystemExit(0)
    return config


def _section(
    model: type[BaseModel],
    name: str,
    tree: Mapping[str, Any],
    settings: Sequence[Leaf],
    origins: Mapping[str, str],
    prefix: str,
) -> Section:
    """One section of the settings, whatever is wrong or missing elsewhere. Raises ConfigError."""
    kind = model.model_fields[name].annotation
    assert isinstance(kind, type) and issubclass(kind, Section)
    try:
        return kind.model_validate(tree.get(name) or {})
    except ValidationError as error:
        within = [leaf for leaf in settings if leaf.path[0] == name]
        raise ConfigError(*problems(error, within, origins, prefix, (name,))) from None


def to_yaml(config: Section) -> str:
    """The configuration as a YAML file that `--config` accepts."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _parser(
    settings: Sequence[Leaf],
    prog: str,
    description: str,
    epilog: str,
    env_prefix: str,
    commands: Sequence[Command],
) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
        usage=f"{prog} [--config FILE] [options]",
    )
    general = parser.add_argument_group("general")
    general.add_argument("-h", "--help", action="help", help="show this text and exit")
    general.add_argument(
        "--config",
        metavar="FILE",
        help="YAML file with any of the settings below; the environment "
        f"({env_prefix}SECTION__NAME=...) overrides it, flags override both",
    )
    general.add_argument(
        "--print-config", action="store_true", help="print the settings in force as YAML and exit"
    )
    for command in commands:
        nargs = None if command.default is None else "?"
        general.add_argument(
            command.flag,
            dest=command.flag,
            metavar=command.metavar,
            help=command.help,
            nargs=nargs,
            const=command.default,
        )
    groups: dict[str, Any] = {}
    for leaf in settings:
        group = groups.setdefault(leaf.group, parser.add_argument_group(leaf.group or "main settings"))
        _add_flag(group, leaf)
    return parser


def _add_flag(group: Any, leaf: Leaf) -> None:
    names = [leaf.flag, *([leaf.extra["alias"]] if leaf.extra.get("alias") else [])]
    help_text = (leaf.field.description or "").replace("%", "%%") + _default_text(leaf).replace("%", "%%")
    metavar = leaf.extra.get("metavar") or "|".join(map(str, leaf.choices)) or _metavar(leaf)
    keywords: dict[str, Any] = {"dest": leaf.name, "help": help_text, "default": None, "metavar": metavar}
    if leaf.field.annotation is bool:
        keywords |= {"nargs": "?", "const": "true", "metavar": "true|false"}
    if leaf.is_list:
        keywords["action"] = "append"
    group.add_argument(*names, **keywords)


def _metavar(leaf: Leaf) -> str:
    kinds = {int: "N", float: "X", Path: "FILE"}
    candidates = (leaf.field.annotation, *get_args(leaf.field.annotation))
    return next((kinds[kind] for kind in candidates if kind in kinds), "TEXT")


def _default_text(leaf: Leaf) -> str:
    unit = f" {leaf.extra['unit']}" if leaf.extra.get("unit") else ""
    if leaf.field.is_required():
        return f"{f' [{unit.strip()}]' if unit else ''} (required)"
    default = leaf.field.get_default(call_default_factory=True)
    if leaf.is_list:
        shown = " ".join(map(str, default)) or "none"
        return f" (repeatable; default {shown}{unit})"
    if default is None:
        return " (default off)"
    return f" (default {str(default).lower() if isinstance(default, bool) else default}{unit})"


def read_yaml(path: str | Path) -> dict[str, Any]:
    """What the file that --config names holds. Raises ConfigError."""
    try:
        tree = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--config: cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"--config: {path} is not valid YAML: {' '.join(str(error).split())}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"--config: {path} must hold settings as `name: value` lines")
    return tree


def _from_file(path: str | None, settings: Sequence[Leaf], origins: dict[str, str]) -> dict[str, Any]:
    if path is None:
        return {}
    tree = read_yaml(path)
    for leaf in settings:
        branch: Any = tree
        for part in leaf.path:
            branch = branch.get(part) if isinstance(branch, dict) else None
        if branch is not None:
            origins[leaf.name] = path
    return tree


def _from_environment(
    environ: Mapping[str, str], prefix: str, settings: Sequence[Leaf], origins: dict[str, str]
) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    names = {leaf.variable(prefix): leaf for leaf in settings}
    unknown = [
        name for name in environ if name.startswith(prefix) and name not in (*names, prefix + "CONFIG")
    ]
    if unknown:
        unknown.sort()
        raise ConfigError(*(f"{name}: unknown variable{nearest(name, list(names))}" for name in unknown))
    for name, leaf in names.items():
        if name in environ:
            value: Any = environ[name]
            _put(tree, leaf, _given(leaf, value.split() if leaf.is_list else value))
            origins[leaf.name] = name
    return tree


def _given(leaf: Leaf, value: Any) -> Any:
    """What a flag or a variable says, which is text: of listed values the one that is written so (pydantic takes none
    but the value itself, so never "40" for 40)."""
    if not isinstance(value, str):
        return value
    if leaf.optional and value.strip().lower() in OFF:
        return None
    return next((choice for choice in leaf.choices if str(choice) == value.strip()), value)


def _put(tree: dict[str, Any], leaf: Leaf, value: Any) -> None:
    for part in leaf.path[:-1]:
        branch = tree.get(part)
        if not isinstance(branch, dict):
            branch = tree[part] = {}
        tree = branch
    tree[leaf.path[-1]] = value


def _merge(tree: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        below = tree.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            _merge(below, value)
        else:
            tree[key] = value
