"""See command.py: what worker processes load must not be in `__main__`."""

from __future__ import annotations

import sys

from common.training.tabletop.command import main

sys.exit(main())
