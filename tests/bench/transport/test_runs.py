"""Real processes through real relays, for a second or two."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.transport.contestants import BY_KEY, Contestant, Setup
from tests.bench.transport.processes import ROOT, Ended, Process, is_bound, missing
from tests.bench.transport.runs import LOSSES, Condition, Plan, Row, deliveries, new_row, starts
from tests.bench.transport.workload import THIN, WIDE, udp_socket
from tests.ports import free_port

SHORT = Plan(
    window_s=1.0, settle_s=0.1, connect_s=10.0, late_s=1.0, start_limit_s=10.0, between_s=0.3, stagger_s=0.0
)
OURS = [BY_KEY[key] for key in ("tolerant", "protected", "protected-known", "reliable")]
ABSENT = replace(BY_KEY["srt-1000"], tools=("no-such-tool",))
LOSSLESS, HALF = LOSSES[0], Condition("loss 0.5", 0.5)


def by_contestant(rows: list[Row]) -> dict[str, Row]:
    return {row["contestant"]: row for row in rows}


async def test_without_loss_all_that_are_there_deliver_and_who_lacks_a_tool_is_told_of(
    tmp_path: Path,
) -> None:
    peers = [BY_KEY[key] for key in ("srt-500", "rist-500", "webrtc-data", "webrtc-rtp", "wfb")]
    rows = by_contestant(await deliveries([*OURS, ABSENT, *peers], WIDE, LOSSLESS, SHORT, 1, tmp_path))
    absent = rows.pop("srt-1000")
    assert absent["note"] == "not run: no-such-tool not installed (Debian: srt-tools)"
    assert "delivered" not in absent
    for peer in peers:
        row, lacks = rows.pop(peer.key), peer.lacks()
        assert row["note"] == lacks
        assert lacks or row["delivered"] > 0.9
    assert set(rows) == {contestant.key for contestant in OURS}
    for row in rows.values():
        assert (row["note"], row["delivered"], row["usable"], row["late"]) == ("", 1.0, 1.0, 0)
        assert 25.0 <= row["latency_ms"][0] < 200.0
    assert rows["reliable"]["workload"] == "control"
    assert 1.0 < rows["protected-known"]["overhead"] < 1.2  # no parity: headers alone
    assert rows["protected"]["overhead"] > 1.3


async def test_at_half_loss_any_packet_makes_a_unit_usable_and_parity_costs(tmp_path: Path) -> None:
    plan = replace(SHORT, window_s=2.0)
    rows = by_contestant(await deliveries(OURS[:3], WIDE, HALF, plan, 1, tmp_path))
    assert 0.25 < rows["tolerant"]["delivered"] < 0.75  # four standard deviations of 60 packets
    assert rows["tolerant"]["usable"] > rows["tolerant"]["delivered"]
    assert rows["protected-known"]["delivered"] > rows["protected"]["delivered"]
    assert rows["protected-known"]["forward_kbps"] > rows["protected"]["forward_kbps"] > 1.3 * WIDE.kbps


async def test_an_outage_stops_all_and_ends(tmp_path: Path) -> None:
    condition = Condition("outage of 2 s", outage=True)
    (row,) = await deliveries([BY_KEY["tolerant"]], WIDE, condition, SHORT, 1, tmp_path)
    assert row["freeze_s"] >= 0.4  # half of the window, but for units that were cut into by its ends
    assert 0.0 <= row["resumed_s"] < 0.5


async def test_a_receiver_may_be_replaced(tmp_path: Path) -> None:
    (row,) = await starts([BY_KEY["tolerant-one-way"]], WIDE, LOSSLESS, SHORT, [1], tmp_path)
    assert row["note"] == ""
    assert 0.0 < row["on_link_s"] <= row["first_s"] < SHORT.start_limit_s
    assert row["listening_s"] > 0.0
    assert 0.0 < row["again_s"] < SHORT.start_limit_s


async def test_who_ends_by_himself_is_a_failed_row(tmp_path: Path) -> None:
    def commands(setup: Setup) -> tuple[list[str], list[str]]:
        command = [sys.executable, "-c", "raise SystemExit('no such device')"]
        return command, command

    (row,) = await deliveries(
        [Contestant("tolerant", "broken", commands)], THIN, LOSSLESS, SHORT, 1, tmp_path / "a"
    )
    assert row["note"].startswith("failed: python") and "no such device" in row["note"]
    (row,) = await starts(
        [Contestant("tolerant", "broken", commands)], THIN, LOSSLESS, SHORT, [1], tmp_path / "b"
    )
    assert row["note"].startswith("failed: python")


async def test_processes_that_ignore_a_request_to_end_are_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.bench.transport.processes.STOP_S", 0.05)
    script = "trap '' TERM; echo deaf; while :; do sleep 0.05; done"
    process = await Process.start(["sh", "-c", script], tmp_path / "log")
    while "deaf" not in (tmp_path / "log").read_text():
        await asyncio.sleep(0.01)
    process.check()
    await process.stop()
    with pytest.raises(Ended, match="sh ended with -9: deaf"):
        process.check()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_run_that_is_told_to_end_ends_all_its_processes(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.bench.transport",
        "--quick",
        "--no-starts",
        "--out",
        str(tmp_path),
    ]
    with subprocess.Popen([*command, "--only", "tolerant"], cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        children: list[int] = []
        while len(children) < 2 and process.poll() is None:
            time.sleep(0.02)
            children = children_of(process.pid)
        process.terminate()
        assert process.wait(timeout=10.0) == 130
    assert len(children) == 2
    assert not [child for child in children if Path(f"/proc/{child}").exists()]


def test_ports_are_different_and_seen_when_bound() -> None:
    ports = [free_port() for _ in range(4)]
    assert len(set(ports)) == 4
    assert not is_bound(ports[0])
    with udp_socket(ports[0]):
        assert is_bound(ports[0])


def test_missing_tools_are_named() -> None:
    assert missing(["sh", "no-such-tool"]) == ["no-such-tool"]
    row = new_row("start", replace(BY_KEY["webrtc-rtp"], modules=("no_such_module",)), WIDE, LOSSLESS, 3)
    assert row["note"] == "not run: no_such_module not installed (extra [web])"
    assert row["seed"] == 3
