"""SIGHUP to real daemons: rate, profile, playout delay and sinks change, and the picture goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.demo.process import Child
from tests.demo.scrape import figures
from tests.e2e.daemons import RX, TX, Bench, daemons


def hang_up(child: Child, bench: Bench) -> None:
    """Tell a daemon to read its configuration again, and wait until it has."""
    told = child.log.read_text().count("configuration ")
    os.kill(child.pid, signal.SIGHUP)
    bench.wait("the configuration", lambda: child.log.read_text().count("configuration ") > told)


def test_settings_change_while_pictures_go_on(tmp_path: Path) -> None:
    sends, shows = tmp_path / "sender.yaml", tmp_path / "receiver.yaml"
    first, second = tmp_path / "first.mkv", tmp_path / "second.mkv"
    sends.write_text("rate: {kbps: 60}\n")
    shows.write_text(f"play: [{first}]\nplayout: {{delay_ms: 300}}\n")
    with daemons(tmp_path) as bench:
        receiver = bench.receiver("--config", str(shows), sinks=False)
        sender = bench.sender(None, None, "--config", str(sends), "--session.mode", "one-way")
        bench.wait_shown(20)
        assert bench.sender_figure("rate_target_bytes_per_second") == 7_500

        sends.write_text("rate: {kbps: 110}\ncodec: {profile: classic}\nfps: 20\n")
        hang_up(sender, bench)
        assert bench.sender_figure("rate_target_bytes_per_second") == 13_750
        assert "settings=fps" in sender.log.read_text()  # told, and left as it was
        bench.wait("the other profile", lambda: _profile(bench, "classic") == 1)

        shows.write_text(f"play: [{second}]\nplayout: {{delay_ms: 500}}\n")
        hang_up(receiver, bench)
        bench.wait("the other delay", lambda: bench.figures().get(RX + "playout_delay_seconds") > 0.49)
        seen = len(bench.shown())
        bench.wait_shown(seen + 20)
        assert first.stat().st_size > 1000

        shows.write_text("playout: {delay_ms: soon}\n")
        hang_up(receiver, bench)
        assert "configuration is wrong" in receiver.log.read_text()
        bench.wait_shown(len(bench.shown()) + 10)
        assert bench.stop(sender) == 0 and bench.stop(receiver) == 0
    assert second.stat().st_size > 1000


def _profile(bench: Bench, name: str) -> float:
    return figures(bench.sender_metrics_port).get(TX + "profile", profile=name)
