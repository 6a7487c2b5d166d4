"""The flag `--stats` of both daemons."""

from __future__ import annotations

import sys

from common.config import Command, ConfigError, MetricsSection
from common.settings import Section
from common.stats.report import Daemon

MODES = ("live", "once", "json")


def stats_command(daemon: Daemon) -> Command:
    """Shows the figures of the daemon that runs at `metrics.listen`, and ends; needs no other setting."""

    def run(mode: str, section: Section | None) -> None:
        assert isinstance(section, MetricsSection)
        if mode not in MODES:
            raise ConfigError(f"--stats: must be one of {', '.join(MODES)} (got {mode[:80]})")
        address = section.listen
        if address is None or address.port == 0:
            raise ConfigError(
                f"--stats: metrics.listen is {'off' if address is None else address}; "
                "give the address that the running daemon has, as --metrics.listen HOST:PORT"
            )
        from common.stats.live import live, once

        # A pipe or a file gets what can be read there.
        if mode == "live" and sys.stdout.isatty():
            live(daemon, address)
        else:
            sys.stdout.write(once(daemon, address, mode == "json"))

    return Command(
        "--stats",
        "live|once|json",
        f"show the figures of the {daemon.name} that runs at metrics.listen: live in this terminal (q ends it), "
        "once as text, or as JSON; needs no key",
        run,
        default="live",
        section="metrics",
    )
