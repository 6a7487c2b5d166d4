"""The runs: all contestants at once through links of one kind, each with its own relay and the same seed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.link.impairments import Impairments
from tests.bench.transport.contestants import Contestant
from tests.bench.transport.processes import Ended
from tests.bench.transport.score import score
from tests.bench.transport.stage import Stage
from tests.bench.transport.workload import CONTROL, Workload

DELAY_S = 0.025  # each way
OUTAGE_S = 2.0
DRAIN_S = 0.2  # waited longer than a packet may take
MESSAGE_DRAIN_S = 4.0

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Condition:
    """What the link does, both ways."""

    name: str
    loss: float = 0.0
    burst: float | None = None
    outage: bool = False

    @property
    def link(self) -> Impairments:
        """For the relay."""
        return Impairments(loss=self.loss, burst=self.burst, delay_s=DELAY_S)


LOSSES = tuple(Condition(f"loss {loss:g}", loss) for loss in (0.0, 0.2, 0.5, 0.8))
BURSTS = Condition("bursts of 6, loss 0.2", 0.2, 6.0)
OUTAGE = Condition("outage of 2 s", outage=True)
CONDITIONS = (*LOSSES, BURSTS, OUTAGE)


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds."""

    window_s: float = 20.0  # in which is measured
    settle_s: float = 2.0  # before it, once everyone is connected
    connect_s: float = 15.0  # after so long nobody is waited for
    late_s: float = 0.2  # so long after its budget a packet is late: the way, and what the processes take
    start_limit_s: float = 20.0  # in the runs that measure starts
    between_s: float = 3.0  # from the first unit to the receiver's death, there
    stagger_s: float = 0.4  # from one contestant's start to the next, so that they do not hinder each other
    start_seeds: int = 5


def new_row(kind: str, contestant: Contestant, workload: Workload, condition: Condition, seed: int) -> Row:
    """What identifies a row, and its note."""
    names = {"contestant": contestant.key, "workload": workload.name, "condition": condition.name}
    return {"kind": kind} | names | {"seed": seed, "note": contestant.lacks()}


async def deliveries(
    contestants: Sequence[Contestant],
    workload: Workload,
    condition: Condition,
    plan: Plan,
    seed: int,
    folder: Path,
) -> list[Row]:
    """A row for each: what of a window's units came through, when, and for how many bytes."""
    async with contextlib.AsyncExitStack() as stack:
        rows, running = [], []
        for contestant in contestants:
            carried = CONTROL if contestant.messages else workload
            row = new_row("delivery", contestant, carried, condition, seed)
            rows.append(row)
            if row["note"]:
                continue
            stage = Stage(contestant, carried, condition.link, seed, folder / contestant.key)
            await stack.enter_async_context(stage)
            running.append((row, stage, asyncio.create_task(_connected(row, stage, plan))))
            await asyncio.sleep(plan.stagger_s)
        await asyncio.gather(*(task for _, _, task in running))
        live = [(row, stage) for row, stage, _ in running if not row["note"]]
        if live:
            await asyncio.sleep(plan.settle_s)
            await _window(live, condition, plan)
    return rows


async def _connected(row: Row, stage: Stage, plan: Plan) -> None:
    """Starts both ends and waits for the first usable unit, which may not come."""
    try:
        await stage.start_receiver()
        started = await stage.start_sender()
        row["connected_s"] = await stage.first_usable(started, plan.connect_s)
    except (Ended, TimeoutError, OSError) as error:
        row["note"] = f"failed: {error or 'does not listen'}"


async def _window(live: Sequence[tuple[Row, Stage]], condition: Condition, plan: Plan) -> None:
    first = [len(stage.source.units) for _, stage in live]
    before = [stage.wire_bytes() for _, stage in live]
    begun = time.monotonic()
    restored = None
    if condition.outage:
        length = min(OUTAGE_S, plan.window_s / 2)
        await asyncio.sleep((plan.window_s - length) / 2)
        for _, stage in live:
            stage.outage(length)
        restored = time.monotonic() + length
    await asyncio.sleep(begun + plan.window_s - time.monotonic())
    took = time.monotonic() - begun
    after = [stage.wire_bytes() for _, stage in live]
    units = [len(stage.source.units) - start for (_, stage), start in zip(live, first, strict=True)]
    await asyncio.sleep(max(_drain(stage.contestant, plan) for _, stage in live))
    for place, (row, stage) in enumerate(live):
        try:
            stage.check()
        except Ended as error:
            row["note"] = f"failed: {error}"
        found = score(stage.sink, first[place], units[place], stage.contestant.budget_s + plan.late_s)
        sent = [end - start for start, end in zip(before[place], after[place], strict=True)]
        row |= asdict(found)
        row["forward_kbps"], row["back_kbps"] = (bytes_ * 0.008 / took for bytes_ in sent)
        row["overhead"] = sum(sent) / found.payload_bytes if found.payload_bytes else None
        if restored is not None:
            at = stage.sink.first_after(restored)
            row["resumed_s"] = None if at is None else at - restored


def _drain(contestant: Contestant, plan: Plan) -> float:
    """Seconds after the last packet was handed over in which it may still come."""
    if contestant.messages:
        return min(MESSAGE_DRAIN_S, plan.window_s)
    return contestant.budget_s + plan.late_s + DRAIN_S


async def starts(
    contestants: Sequence[Contestant],
    workload: Workload,
    condition: Condition,
    plan: Plan,
    seeds: Sequence[int],
    folder: Path,
) -> list[Row]:
    """A row for each contestant and seed: from start to picture, and again when the receiver was replaced."""
    rows, tasks = [], []
    for seed in seeds:
        for contestant in contestants:
            row = new_row("start", contestant, workload, condition, seed)
            rows.append(row)
            if not row["note"]:
                place = folder / f"{contestant.key}-{seed}"
                tasks.append(asyncio.create_task(_start(row, contestant, workload, condition, plan, place)))
                await asyncio.sleep(plan.stagger_s)
    await asyncio.gather(*tasks)
    return rows


async def _start(
    row: Row, contestant: Contestant, workload: Workload, condition: Condition, plan: Plan, folder: Path
) -> None:
    async with Stage(contestant, workload, condition.link, row["seed"], folder) as stage:
        try:
            await stage.start_receiver()
            started = await stage.start_sender()
            row["first_s"] = await stage.first_usable(started, plan.start_limit_s)
            row["on_link_s"] = None if stage.sent_at is None else stage.sent_at - started
            if row["first_s"] is None or contestant.modules:  # a browser's page has to be opened again
                return
            await asyncio.sleep(plan.between_s)
            await stage.kill_receiver()
            again = await stage.start_receiver()
            row["listening_s"] = time.monotonic() - again
            row["again_s"] = await stage.first_usable(again, plan.start_limit_s)
        except (Ended, TimeoutError, OSError) as error:
            row["note"] = f"failed: {error or 'does not listen'}"
