"""`python -m sender`, and the console script `sender`."""

from __future__ import annotations

import sys

from common import log, service
from sender import app
from sender.config import SenderConfig, load_config


def main() -> int:
    """Run the sender with the arguments of the process; the exit code."""
    return service.launch(configure, lambda config, reloads: app.run(config, reloads=reloads))


def configure() -> SenderConfig:
    """The configuration of the process, with logging set up as it says."""
    config = load_config(sys.argv[1:])
    log.setup(config.log.level, config.log.format)
    return config


if __name__ == "__main__":
    raise SystemExit(main())
