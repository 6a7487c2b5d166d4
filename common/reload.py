"""Reading the configuration again while a daemon runs (SIGHUP): what can change live does, the rest is told.

Settings come from the same place as at the start: file, environment and flags of the process, later ones winning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Generic, TypeVar

from common.config import ConfigError, Section, leaves
from common.log import Log

ConfigT = TypeVar("ConfigT", bound=Section)
Apply = Callable[[ConfigT], Awaitable[None]]
log = Log("reload")


class Reloads(Generic[ConfigT]):
    """Hands a daemon its configuration again. Event loop thread."""

    def __init__(self, configure: Callable[[], ConfigT], config: ConfigT) -> None:
        """`configure` reads it anew (it may block) and raises ConfigError; `config` is the one in force."""
        self.config = config
        """The one in force."""
        self.done = self.refused = 0
        """Reloads that were applied, and those that were not because the new configuration is wrong."""
        self._configure = configure
        self._live: Collection[str] = ()
        self._apply: Apply[ConfigT] | None = None
        self._busy = asyncio.Lock()

    def follow(self, live: Collection[str], apply: Apply[ConfigT]) -> None:
        """From now on `apply` is given every new configuration, in which only settings named in `live` have changed
        (`rate.kbps`; `rate.` for the whole section)."""
        self._live, self._apply = live, apply

    async def reload(self) -> None:
        """Read it again and apply what has changed; says in the log what it did. Never raises."""
        async with self._busy:
            try:
                new = await asyncio.to_thread(self._configure)
                changed = changes(self.config, new)
                live = [name for name in changed if self._is_live(name)]
                fixed = [name for name in changed if not self._is_live(name)]
                merged = merge(self.config, new, live)
            except ConfigError as error:
                self.refused += 1
                log.error("configuration is wrong, the one in force stays", reason=str(error))
                return
            if fixed:
                log.warning(
                    "settings that only a restart can change stay as they were", settings=" ".join(fixed)
                )
            if live and self._apply is not None:
                try:
                    await self._apply(merged)
                except Exception as error:
                    self.refused += 1
                    log.exception("settings could not all be changed", error, settings=" ".join(live))
                    return
            self.config = merged
            self.done += 1
            log.info("configuration read", changed=" ".join(live) or "nothing")

    def _is_live(self, name: str) -> bool:
        return any(name == entry or (entry.endswith(".") and name.startswith(entry)) for entry in self._live)


def changes(old: Section, new: Section) -> list[str]:
    """Names of the settings that differ."""
    return [leaf.name for leaf in leaves(type(old)) if value(old, leaf.path) != value(new, leaf.path)]


def merge(old: ConfigT, new: ConfigT, names: Collection[str]) -> ConfigT:
    """`old` with the settings of these names as in `new`. Raises ConfigError where these contradict the others."""
    tree = old.model_dump()
    for leaf in leaves(type(old)):
        if leaf.name in names:
            branch = tree
            for part in leaf.path[:-1]:
                branch = branch[part]
            branch[leaf.path[-1]] = value(new, leaf.path)
    try:
        return type(old).model_validate(tree)
    except ValueError as error:
        raise ConfigError(f"only a restart can change this: {error}") from None


def value(config: Section, path: tuple[str, ...]) -> Any:
    """The setting at a path."""
    found: Any = config
    for part in path:
        found = getattr(found, part)
    return found
