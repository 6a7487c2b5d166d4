"""Recordings and captures of the real daemons: a kill in the middle, and what can be made of them afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest

from tests.demo.process import ROOT, Child
from tests.e2e.daemons import RX, Bench, daemons

pytestmark = pytest.mark.timeout(120)


def pictures(path: Path) -> int:
    with av.open(str(path)) as recording:
        return sum(1 for _ in recording.decode(video=0))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def run(*arguments: str) -> str:
    """Standard output of a receiver that ends by itself."""
    command = [sys.executable, "-m", "receiver", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kill(bench: Bench, child: Child) -> None:
    """As the kernel does when memory is short."""
    os.kill(child.pid, signal.SIGKILL)
    bench.children.remove(child)
    assert child.stop() == -signal.SIGKILL


def test_a_killed_receiver_leaves_everything_and_what_was_shown_can_be_shown_again(tmp_path: Path) -> None:
    mkv, mp4, capture = (tmp_path / name for name in ("shown.mkv", "shown.mp4", "received.smc"))
    with daemons(tmp_path) as bench:
        receiver = bench.receiver("--play", str(mkv), "--record", str(mp4), "--record", str(capture))
        _, port = bench.relay("--loss", "0.4", "--seed", "5", "--delay-ms", "20", "--jitter-ms", "10")
        bench.sender(port, None, "--session.name", "mast", "--record", str(tmp_path / "sent.smc"))
        bench.wait_shown(90)
        assert bench.figures().get(RX + "recording_bytes_total", recording=str(mkv)) > 0
        assert bench.figures().get(RX + "capture_records_dropped_total", recording=str(capture)) == 0
        kill(bench, receiver)
    live = lines(bench.shown_log)
    for path in (mkv, mp4):  # a second may be missing, and what a busy machine dropped
        assert pictures(path) >= len(live) - 45, path
    again = tmp_path / "again.jsonl"
    out = ("--play", str(tmp_path / "again.mkv"), "--metrics.listen", "off")
    run("--replay", str(capture), "--replay-speed", "max", "--frame-log", str(again), *out)
    shown = lines(again)
    assert len(shown) >= len(live) - 15
    same = [(a["unit"], a["offset"], a["picture"]) for a in live[: len(shown)]]
    assert [(b["unit"], b["offset"], b["picture"]) for b in shown[: len(live)]] == same
    whole = [b for b in shown if b["arrived"] == 1.0 and not b["concealed"]]
    assert len(whole) > 20
    assert pictures(tmp_path / "again.mkv") == len(shown)  # nothing is dropped, however fast it goes
    told = json.loads(run("inspect", str(capture), "--json"))
    [sender] = told["senders"]
    assert sender["name"] == "mast" and sender["loss"] == pytest.approx(0.4, abs=0.2)
    assert not told["files"][0]["closed"]
    sent = json.loads(run("inspect", str(tmp_path / "sent.smc"), "--json"))
    assert sent["kind"] == "sent" and sent["files"][0]["closed"] and sent["senders"][0]["loss"] == 0.0
    assert sent["packets"] > told["packets"]
    secret = bench.key.read_text().strip()
    data = capture.read_bytes()
    assert secret.encode() not in data and bytes.fromhex(secret) not in data
