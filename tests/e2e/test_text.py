"""The operator's text from a file at the sender's host to the receiver, real daemons on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.daemons import RX, Bench, daemons


@pytest.mark.parametrize("mode", ["auto", "one-way"])
def test_lines_of_a_file_arrive_through_loss(tmp_path: Path, mode: str) -> None:
    source = tmp_path / "telemetry.txt"
    source.write_text("alt 80 m\n")
    with daemons(tmp_path) as bench:
        receiver = bench.receiver()
        _, port = bench.relay("--loss", "0.3", "--seed", "7")
        bench.sender(port, None, "--text", str(source), "--session.mode", mode)
        _line(bench, 1)
        with source.open("a") as file:
            file.write("alt 90 m\nalt 95 m, 11.9 V\n")
        bench.wait("the last line", lambda: "alt 95 m, 11.9 V" in receiver.log.read_text())
        assert bench.sender_figure("text_lines_total") == 3
        if mode == "auto":
            _line(bench, 3)
            bench.wait("acknowledgements", lambda: bench.sender_figure("text_waiting") == 0)


def _line(bench: Bench, count: int) -> None:
    bench.wait(f"{count} lines", lambda: bench.figures().get(RX + "text_lines_total") >= count)
