"""Where the coder's contexts begin (README.md section 3), trained offline.

`python -m tests.bench.structure_tables` makes tables.json: the first from CamVid train and half of the DAVIS masks,
the second, for single objects, from tabletop videos.
"""

from __future__ import annotations

import json
from pathlib import Path

_FOUND: list[dict[str, list[int]]] = json.loads(Path(__file__).with_suffix(".json").read_text())
ZEROS, AGES = ([tuple(one[name]) for one in _FOUND] for name in ("zeros", "ages"))
