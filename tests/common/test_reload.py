"""Reading the configuration again: what changes live, what waits for a restart, what is refused."""

from __future__ import annotations

import logging

import pytest

from common.config import ConfigError, Section, option
from common.reload import Reloads, changes, merge


class Inner(Section):
    """A section."""

    low: int = option(1, "lower bound")
    high: int = option(9, "upper bound")

    def model_post_init(self, _: object) -> None:
        if self.low > self.high:
            raise ValueError("low must not be above high")


class Outer(Section):
    """All of it."""

    name: str = option("a", "a name")
    inner: Inner = Inner()


def test_changes_are_named() -> None:
    old, new = Outer(), Outer(name="b", inner=Inner(high=5))
    assert changes(old, old) == []
    assert changes(old, new) == ["name", "inner.high"]
    assert merge(old, new, ["inner.high"]) == Outer(inner=Inner(high=5))


def test_what_only_together_makes_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="only a restart can change this"):
        merge(Outer(), Outer(inner=Inner(low=20, high=30)), ["inner.low"])


class Daemon:
    def __init__(self, *configurations: Outer | ConfigError) -> None:
        self._coming = list(configurations)
        self.applied: list[Outer] = []
        self.reloads = Reloads(self._configure, Outer())
        self.reloads.follow(["inner."], self._apply)

    def _configure(self) -> Outer:
        coming = self._coming.pop(0)
        if isinstance(coming, ConfigError):
            raise coming
        return coming

    async def _apply(self, config: Outer) -> None:
        self.applied.append(config)


async def test_live_settings_are_applied_and_the_others_stay(caplog: pytest.LogCaptureFixture) -> None:
    daemon = Daemon(Outer(name="b", inner=Inner(high=5)))
    with caplog.at_level(logging.INFO, "semcast"):
        await daemon.reloads.reload()
    assert daemon.applied == [Outer(inner=Inner(high=5))]
    assert daemon.reloads.config == daemon.applied[0]
    assert daemon.reloads.done == 1


async def test_a_wrong_configuration_changes_nothing_and_the_next_one_counts() -> None:
    daemon = Daemon(ConfigError("rate.kbps: must be a number"), Outer(), Outer(inner=Inner(low=3)))
    for _ in range(3):
        await daemon.reloads.reload()
    assert daemon.applied == [Outer(inner=Inner(low=3))]  # nothing had changed in the second
    assert (daemon.reloads.done, daemon.reloads.refused) == (2, 1)


async def test_a_change_that_fails_is_told_and_the_next_one_counts(caplog: pytest.LogCaptureFixture) -> None:
    daemon = Daemon(Outer(inner=Inner(high=5)), Outer(inner=Inner(high=6)))

    async def fail(_: Outer) -> None:
        raise OSError("no such device")

    daemon.reloads.follow(["inner."], fail)
    await daemon.reloads.reload()
    assert "settings could not all be changed" in caplog.text
    daemon.reloads.follow(["inner."], daemon._apply)
    await daemon.reloads.reload()
    assert [config.inner.high for config in daemon.applied] == [6]
