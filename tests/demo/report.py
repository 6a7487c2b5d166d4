"""Turns what a run left behind into summary.json and side_by_side.mp4."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from common.video import Picture, planes
from tests.bench.quality import SMALLEST_SIDE, ms_ssim, psnr
from tests.demo import measure
from tests.demo.logs import Sent, SentIndex, ShownLine, read_packets, read_sent, read_shown
from tests.demo.maps import MapMeasure, exact_maps, has_maps
from tests.demo.measure import Change, Window
from tests.demo.settings import DemoError, Settings
from tests.demo.side_by_side import SideBySide

KEEP = 256  # decoded sent pictures kept, for pictures shown out of order


@dataclass(frozen=True, slots=True)
class Files:
    """Where a run leaves its things."""

    out: Path

    @property
    def clip_folder(self) -> Path:
        return self.out / "clip"

    @property
    def sent_log(self) -> Path:
        return self.out / "sent.jsonl"

    @property
    def sent_video(self) -> Path:
        return self.out / "sent.mkv"

    @property
    def shown_log(self) -> Path:
        return self.out / "shown.jsonl"

    @property
    def shown_video(self) -> Path:
        return self.out / "shown.y4m"

    @property
    def capture(self) -> Path:
        return self.out / "received.smc"

    @property
    def plain_log(self) -> Path:
        return self.out / "plain.jsonl"

    @property
    def plain_video(self) -> Path:
        return self.out / "plain.y4m"

    @property
    def trace(self) -> Path:
        return self.out / "packets.jsonl"

    @property
    def received(self) -> Path:
        return self.out / "received.mp4"

    @property
    def side_by_side(self) -> Path:
        return self.out / "side_by_side.mp4"

    @property
    def summary(self) -> Path:
        return self.out / "summary.json"

    @property
    def key(self) -> Path:
        return self.out / "demo.key"

    def process_log(self, name: str) -> Path:
        """Standard error of one process."""
        return self.out / f"{name}.log"

    @property
    def relay_counts(self) -> Path:
        return self.out / "relay.json"

    def forget_last_run(self) -> None:
        """Removes what an earlier run left, and nothing else that may be in the folder."""
        results = [self.received, self.side_by_side, self.summary, self.key, self.relay_counts]
        traces = [self.sent_log, self.sent_video, self.shown_log, self.shown_video, self.trace]
        plain = [self.capture, self.plain_log, self.plain_video]
        for path in results + traces + plain:
            path.unlink(missing_ok=True)


class SentPictures:
    """The sender's recording, by number; reads forward once and keeps the last KEEP pictures."""

    def __init__(self, path: Path) -> None:
        self._pictures = _decoded(path)
        self._kept: OrderedDict[int, Picture] = OrderedDict()
        self._next = 0

    def at(self, number: int) -> Picture | None:
        """None when that picture was dropped from memory already, or never recorded."""
        while self._next <= number:
            picture = next(self._pictures, None)
            if picture is None:
                return None
            self._kept[self._next] = picture
            self._next += 1
            if len(self._kept) > KEEP:
                self._kept.popitem(last=False)
        return self._kept.get(number)


class PlainPictures:
    """The pictures as they were before the generative decoder, from a replay; tick by tick, read forward once."""

    def __init__(self, files: Files) -> None:
        self._pictures = _decoded(files.plain_video)
        self._lines = {line.number: (line.unit, line.offset) for line in read_shown(files.plain_log)}
        self._next = 0

    def at(self, line: ShownLine) -> Picture | None:
        """None where the replay showed another one at that tick."""
        picture = None
        while self._next <= line.number:
            picture = next(self._pictures, None)
            self._next += 1
        return picture if self._lines.get(line.number) == (line.unit, line.offset) else None


class Analysis:
    """Walks once through the pictures of the window, in the order they were shown."""

    def __init__(self, files: Files, settings: Settings) -> None:
        self.files = files
        self.settings = settings
        self.sent = read_sent(files.sent_log)
        shown = read_shown(files.shown_log)
        if not shown or not self.sent:
            raise DemoError("no picture was shown; the logs in the output folder say more")
        self.index = SentIndex(self.sent)
        self.window = Window(shown[0].shown_at, settings.seconds)
        self.ticks = measure.in_window(shown, self.window)
        self.psnr_db: list[float] = []
        self.ms_ssim: list[float] = []
        self.plain_db: list[float] = []
        self.shown_changes: list[Change] = []
        self.maps = MapMeasure()

    def run(self) -> None:
        """Measures quality and standstills, and writes side_by_side.mp4."""
        settings, sent = self.settings, SentPictures(self.files.sent_video)
        shown, number = _decoded(self.files.shown_video), -1
        measured = {line.number for line in measure.fresh(self.ticks)}
        before: Picture | None = None
        with_maps = has_maps([line.classes for line in self.ticks])
        exact = exact_maps(settings.source, settings.size) if with_maps else None
        caption = f"LOSS {settings.loss:.0%}  {settings.rate_kbps:g} KBIT/S  {settings.fps:g} FPS"
        plain = PlainPictures(self.files) if settings.generative else None
        with SideBySide(
            *(self.files.side_by_side, settings.size, settings.fps, caption, with_maps, plain is not None)
        ) as video:
            for line in self.ticks:
                picture = before
                while number < line.number:
                    picture = next(shown, None)
                    number += 1
                if picture is None:
                    raise DemoError(f"{self.files.shown_video} ends before picture {line.number}")
                original = self._original(line, sent)
                if original is not None and line.number in measured:
                    self._compare(original, picture)
                self.shown_changes.append(Change(line.shown_at, _difference(picture, before)))
                found = None if line.classes is None else line.classes.shown()
                if with_maps:
                    true = None if exact is None or original is None else exact.of(original)
                    self.maps.add(line.classes, found, true)
                texture = None if plain is None else plain.at(line)
                if texture is not None and original is not None and line.number in measured:
                    self.plain_db.append(psnr(original, texture))
                video.add(original, picture, line.trust, found, texture)
                before = picture

    def _original(self, line: ShownLine, sent: SentPictures) -> Picture | None:
        found = self.index.shown(line)
        return None if found is None else sent.at(found.number)

    def _compare(self, original: Picture, shown: Picture) -> None:
        self.psnr_db.append(psnr(original, shown))
        if min(self.settings.size.width, self.settings.size.height) >= SMALLEST_SIDE:
            self.ms_ssim.append(ms_ssim(original, shown))

    def sent_changes(self) -> list[Change]:
        """How the sent video moved; reads the recording once more."""
        changes, before = [], None
        for line, picture in zip(self.sent, _decoded(self.files.sent_video), strict=False):
            changes.append(Change(line.captured_at, _difference(picture, before)))
            before = picture
        return changes

    def summary(self, measured: Mapping[str, Any], outage: Window | None = None) -> dict[str, Any]:
        """Everything of summary.json; `measured` holds what the running processes told."""
        window, ticks = self.window, self.ticks
        fresh = measure.fresh(ticks)
        first: Sent | None = next(filter(None, (self.index.shown(line) for line in fresh)), None)
        latencies = measure.latencies_ms(ticks, self.index)
        delay = float(np.median(latencies)) / 1e3 if latencies else 0.0
        stood = measure.standstills(self.shown_changes, self.sent_changes(), delay, window.end)
        packets = read_packets(self.files.trace)
        unit_seconds = (1 + max(line.offset for line in self.sent)) / self.settings.fps
        shares = np.mean([line.shares for line in ticks], axis=0) if ticks else np.full(3, math.nan)
        result: dict[str, Any] = {
            "settings": self.settings.described(),
            "frames_sent": measure.frames_sent(self.sent, first, window.seconds),
            "frames_shown": len(fresh),
            "fps_shown": round(len(fresh) / window.seconds, 3),
            "frames_never_shown": measure.never_shown(ticks, self.sent, self.index),
            "frames_unmatched": sum(self.index.shown(line) is None for line in fresh),
            "frames_concealed": sum(line.concealed for line in fresh),
            "frozen_seconds": round(measure.frozen_seconds(stood), 3),
            "longest_freeze_s": round(measure.longest(stood), 3),
            "longest_concealed_s": round(measure.longest_concealed(ticks, self.settings.fps), 3),
            "loss_observed": round(measure.loss(packets, window), 4),
            "wire_kbps": round(measure.wire_kbps(packets, window, unit_seconds), 2),
            "latency_ms": measure.percentiles(latencies, 50, 95, 99),
            "psnr_db": _mean(self.psnr_db, 2),
            "ms_ssim": _mean(self.ms_ssim, 4),
            "trust": dict(
                zip(("received", "recovered", "imagined"), (round(float(s), 4) for s in shares), strict=True)
            ),
        }
        if self.plain_db:
            result["texture_psnr_db"] = _mean(self.plain_db, 2)
        if (maps := self.maps.summary()) is not None:
            result["map"] = maps
        if outage is not None:
            again = measure.new_again(ticks, self.index, outage)
            result["outage"] = measure.outage_figures(outage, window, stood, again)
        return {name: _without_nan(value) for name, value in (result | dict(measured)).items()}


def _decoded(path: Path) -> Iterator[Picture]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8)


def _difference(picture: Picture, before: Picture | None) -> float:
    if before is None:
        return math.inf
    if before is picture:
        return 0.0
    first, second = planes(picture)[0].astype(np.int16), planes(before)[0]
    return float(np.abs(first - second).mean())


def _mean(values: list[float], digits: int) -> float:
    return round(float(np.mean(values)), digits) if values else math.nan


def _without_nan(value: Any) -> Any:
    """JSON has no nan: null says that a figure is not known."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
