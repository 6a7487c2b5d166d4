"""`--frame-log`: one JSON line for every picture shown, for measuring."""

from __future__ import annotations

import base64
import contextlib
import json
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import numpy as np

from common.log import Log
from common.service import EX_CANTCREAT, ServiceError
from receiver.contours.figures import same
from receiver.contours.store import ShownMap
from receiver.play.base import Shown

log = Log("framelog")


class FrameLog:
    """Written line by line on the event loop thread: a line is some 500 bytes, some 3 kB more with a new map of
    classes, and goes to the page cache."""

    def __init__(self, path: Path) -> None:
        """Raises ServiceError when the file cannot be made."""
        self._failed = False
        self._map: ShownMap | None = None
        try:
            self._file: TextIO = path.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            raise ServiceError(f"frame_log: cannot write {path}: {error.strerror}", EX_CANTCREAT) from None

    def write(self, shown: Shown) -> None:
        """Add a line.  A full disk ends the log, not the daemon."""
        if self._failed:
            return
        try:
            told = line(shown) | ({} if shown.map is None else {"classes": classes(shown.map, self._map)})
            self._map = shown.map or self._map
            self._file.write(json.dumps(told, separators=(",", ":")) + "\n")
        except OSError as error:
            self._failed = True
            log.error("frame log ended", reason=error.strerror)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()


def line(shown: Shown) -> dict[str, object]:
    """`picture`: CRC32 of its samples, which tells whether two runs showed the same; `trust`: shares received,
    recovered, imagined; `map`: one digit a region, row by row, `columns` wide."""
    counts = np.bincount(shown.trust.ravel(), minlength=3)[:3]
    return {
        "number": shown.number,
        "unit": shown.unit,
        "offset": shown.offset,
        "captured_at": round(shown.captured_at, 4),
        "shown_at": round(shown.shown_at, 4),
        "picture": zlib.crc32(shown.picture.tobytes()),
        "arrived": round(shown.arrived, 4),
        "trust": [round(float(count) / max(1, shown.trust.size), 4) for count in counts],
        "concealed": shown.concealed,
        "repeated": shown.repeated,
        "columns": shown.trust.shape[1],
        "map": (shown.trust.ravel() + ord("0")).tobytes().decode("ascii"),
    }


def classes(shown: ShownMap, before: ShownMap | None) -> dict[str, object]:
    """Of a line with a map of classes: its age (seconds) and, where it does not look as the map before, its trust as in
    `map`, its legend where that is another, and its labels row by row (base64 of zlib)."""
    told: dict[str, object] = {"age": round(shown.age_s, 4)}
    if before is None or shown.legend != before.legend:
        told["legend"] = asdict(shown.legend)
    if before is None or not same(shown, before):
        height, width = shown.labels.shape
        packed = base64.b64encode(zlib.compress(shown.labels.tobytes(), 1)).decode("ascii")
        trust = (shown.trust.ravel() + ord("0")).tobytes().decode("ascii")
        told |= {"width": width, "height": height, "labels": packed}
        told |= {"columns": shown.trust.shape[1], "trust": trust}
    return told
