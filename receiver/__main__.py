"""`receiver`, or `python -m receiver`."""

from __future__ import annotations

import sys

from common.service import launch
from receiver.app import main as receive
from receiver.config import configure


def main() -> int:
    """Entry point of the console script; returns the exit code."""
    if sys.argv[1:2] == ["inspect"]:
        from receiver.inspect.__main__ import main as inspect

        return inspect(sys.argv[2:])
    return launch(configure, receive)


if __name__ == "__main__":
    sys.exit(main())
