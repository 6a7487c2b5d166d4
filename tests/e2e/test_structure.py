"""Maps and small pictures at 7 kbit/s through loss: a real sender and relay, the receiver in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path

import numpy as np

from common.codec.contour.worth import counts, mean_iou
from common.maps.base import MapSource
from common.tabletop.classes import CLASSES
from common.values import Size
from common.video import Frame, blank
from receiver.app import App
from receiver.config import configure
from receiver.play.base import Shown
from sender.capture import create_source
from sender.capture.base import CaptureOptions
from sender.maps.create import create_map_source
from tests.e2e.daemons import Bench, daemons
from tests.waiting import until

FPS, SIZE = 10.0, Size(480, 352)
SOURCE = ("--source", "tabletop:1", "--fps", "10", "--size", "480x352")
STRUCTURE = (*SOURCE, "--profile", "structure", "--rate-kbps", "7")


@contextlib.asynccontextmanager
async def receiving(bench: Bench, *flags: str) -> AsyncIterator[tuple[App, list[Shown]]]:
    """A receiver, and all that it shows."""
    shown: list[Shown] = []
    listen = ("--listen", f"127.0.0.1:{bench.udp_port}", "--metrics.listen", "off")
    app = App(
        configure([*listen, "--key-file", str(bench.key), "--play", str(bench.folder / "x.mkv"), *flags])
    )
    show = app.player._show

    def keep(one: Shown) -> None:
        shown.append(one)
        show(one)

    app.player._show = keep
    task = asyncio.create_task(app.main())
    try:
        await until(lambda: app.port)
        yield app, shown
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@cache
def exact_maps() -> MapSource:
    """Of the clip that is sent."""
    return create_map_source("source", create_source("tabletop:1", CaptureOptions(SIZE, FPS)), SIZE, FPS)


def exact(log: Path, shown: list[Shown]) -> float:
    """Mean IoU of the maps shown against those of the frames that the sender had captured then."""
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    times = np.array([entry["captured_at"] for entry in entries])
    maps = exact_maps()
    found = np.zeros((len(CLASSES), len(CLASSES)), np.int64)
    for one in shown:
        assert one.map is not None
        at = one.captured_at - one.map.age_s
        nearest = int(np.abs(times - at).argmin())
        if abs(times[nearest] - at) < 0.5 / FPS:
            index = entries[nearest]["index"]
            truth = maps.map(Frame(blank(SIZE.width, SIZE.height), float(times[nearest]), index))
            assert truth is not None
            found += counts(truth.labels, np.minimum(one.map.labels, len(CLASSES) - 1), len(CLASSES))
    return mean_iou(found)


def names(shown: Shown) -> tuple[str, ...]:
    """The classes of its map, as far as they have been told."""
    return () if shown.map is None else shown.map.legend.classes


async def test_pictures_and_maps_come_through_loss_and_the_maps_are_right(tmp_path: Path) -> None:
    log = tmp_path / "captured.jsonl"
    with daemons(tmp_path) as bench:
        async with receiving(bench) as (app, shown):
            _, port = bench.relay("--loss", "0.3", "--seed", "5")
            bench.sender(port, None, *STRUCTURE, "--frame-log", str(log))
            await until(lambda: sum(one.map is not None for one in shown) >= 40, 60)
            # What is lost at the beginning comes again by and by.
            await until(lambda: exact(log, [one for one in shown if one.map is not None][-30:]) > 0.6, 60)
            await until(lambda: any(names(one)[:2] == ("table", "box") for one in shown[-9:]), 60)
            assert app.status()["maps"] is True and app.status()["map_age_s"] is not None
            assert shown[-1].picture.shape == (SIZE.height * 3 // 2, SIZE.width)


async def test_one_way_a_receiver_joins_late(tmp_path: Path) -> None:
    with daemons(tmp_path) as bench:
        bench.sender(bench.udp_port, None, *STRUCTURE, "--session.mode", "one-way")
        await asyncio.sleep(5.0)
        async with receiving(bench, "--session.mode", "one-way") as (_, shown):
            await until(lambda: sum(one.map is not None for one in shown) >= 10, 30)
            assert shown[-1].map is not None and (shown[-1].map.labels > 0).any()


async def test_without_the_profile_there_are_no_maps(tmp_path: Path) -> None:
    with daemons(tmp_path) as bench:
        async with receiving(bench) as (app, shown):
            bench.sender(bench.udp_port, None, *SOURCE)
            await until(lambda: len(shown) >= 10, 30)
            assert all(one.map is None for one in shown)
            assert app.status()["maps"] is False and app.player.profile == "resilient"
