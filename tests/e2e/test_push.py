"""The real daemons push to real media servers: moving pictures there, and no secret anywhere else."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import numpy as np

from tests.e2e.daemons import RX, Bench, daemons
from tests.receiver.play.push.feeding import decoded
from tests.receiver.play.push.servers import PASSWORD, USER, rtmp_server, rtsp_server, running


def children(pid: int) -> list[str]:
    """The command lines of a process's children."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            stat = (path / "stat").read_text().rpartition(")")[2].split()
            if int(stat[1]) == pid:
                found.append((path / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def connections(bench: Bench) -> dict[str, float]:
    """Push -> times that its server took it."""
    return bench.figures().by(RX + "push_connections_total", "push")


def moving(path: Path) -> bool:
    """Whether there are pictures, and they change."""
    frames = [frame.to_ndarray(format="gray").astype(np.int16) for frame in decoded(path)]
    return len(frames) > 10 and float(np.abs(np.diff(frames, axis=0)).mean()) > 0.1


def test_two_media_servers_get_it_at_once(tmp_path: Path) -> None:
    rtsp_folder, rtmp_folder = tmp_path / "rtsp", tmp_path / "rtmp"
    rtsp_folder.mkdir()
    rtmp_folder.mkdir()
    rtsp, rtmp = rtsp_server(rtsp_folder), rtmp_server(rtmp_folder)
    settings = tmp_path / "receiver.yaml"
    settings.write_text(
        f"play: ['rtsp://{USER}:{PASSWORD}@127.0.0.1:{rtsp.port}/cam', "
        f"'rtmp://127.0.0.1:{rtmp.port}/live/{PASSWORD}']\n"
    )
    names = {f"rtsp://127.0.0.1:{rtsp.port}/cam", f"rtmp://127.0.0.1:{rtmp.port}/live/***"}
    with running(rtsp), running(rtmp), daemons(tmp_path) as bench:
        receiver = bench.receiver("--config", str(settings), sinks=False)
        bench.sender()
        bench.wait("both servers to take it", lambda: connections(bench) == dict.fromkeys(names, 1.0))
        bench.wait_shown(len(bench.shown()) + 20)
        assert len([line for line in children(receiver.pid) if "muxer" in line]) == 2
        assert not any(PASSWORD in line for line in children(receiver.pid))
        with urllib.request.urlopen(f"http://127.0.0.1:{bench.metrics_port}/metrics", timeout=5) as answer:
            metrics = answer.read().decode()
        assert PASSWORD not in metrics and "push_bytes_total" in metrics
        assert bench.figures().get(RX + "push_connected", push=min(names, key=len)) == 1.0
        assert bench.stop(receiver) == 0
        assert PASSWORD not in receiver.log.read_text()
    assert moving(rtsp_folder / "cam.h264") and moving(next(rtmp_folder.glob("*.flv")))
    assert not children(receiver.pid)
