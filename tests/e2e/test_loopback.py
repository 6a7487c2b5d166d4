"""Real processes on loopback, with the trained codec."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from common.video import planes
from proto.crypto import new_key_file
from sender.capture.synthetic import SyntheticScene
from tests.demo.measure import fresh
from tests.demo.process import ROOT
from tests.e2e.daemons import RX, Bench, daemons, random_bytes

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with daemons(tmp_path) as bench:
        yield bench


@pytest.mark.parametrize("loss", [0.0, 0.5, 0.9])
def test_pictures_keep_coming(bench: Bench, loss: float) -> None:
    receiver = bench.receiver()
    relay, port = bench.relay("--loss", str(loss), "--seed", "3")
    sender = bench.sender(port, None, "--session.mode", "one-way")  # so that the relay counts video alone
    bench.wait_shown(75)
    figures = bench.figures()
    assert [bench.stop(child) for child in (sender, receiver, relay)] == [0, 0, 0]
    shown = bench.shown()
    assert [line.number for line in shown] == list(range(len(shown)))
    steady = shown[15:75]
    assert len(fresh(steady)) >= 54
    span = steady[-1].shown_at - steady[0].shown_at
    assert 13.0 < (len(steady) - 1) / span < 17.0
    arrived = np.mean([line.arrived for line in steady])
    assert arrived == pytest.approx(1.0 - loss**2, abs=0.05 if loss == 0 else 0.2)  # a unit has two packets
    concealed = np.mean([line.concealed for line in steady])
    assert concealed <= {0.0: 0.0, 0.5: 0.5}.get(loss, 1.0)
    lost, got = figures.get(RX + "packets_lost_total"), figures.get(RX + "packets_total")
    # Announcements are among those that came, never among those that are missing.
    assert lost / (lost + got) == pytest.approx(loss, abs=0.25)
    late = figures.get(RX + "packets_dropped_total", reason="late")  # a busy machine may be late now and then
    assert figures.get(RX + "packets_dropped_total") == late <= 0.1 * got
    with av.open(str(bench.folder / "shown.mkv")) as recording:
        assert sum(1 for _ in recording.decode(video=0)) >= 70


def test_without_loss_the_scene_is_recognised(bench: Bench) -> None:
    """The picture shown is more like the one sent than like any a second away."""
    receiver = bench.receiver("--play", "-", output=bench.folder / "shown.y4m")
    sender = bench.sender()
    bench.wait_shown(60)
    assert [bench.stop(child) for child in (sender, receiver)] == [0, 0]
    with av.open(str(bench.folder / "shown.y4m")) as video:
        pictures = [
            np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8) for frame in video.decode(video=0)
        ]
    scene, recognised = SyntheticScene(256, 256, 15), list[bool]()
    for line in [line for line in bench.shown()[30:] if not line.concealed]:
        luma = planes(pictures[line.number])[0].astype(int)
        sent = 4 * line.unit + line.offset
        error = {n: np.abs(planes(scene.picture(n))[0] - luma).mean() for n in (sent, sent + 15, sent - 15)}
        recognised.append(min(error, key=lambda n: error[n]) == sent)
    assert len(recognised) > 10 and np.mean(recognised) > 0.5  # on a busy machine some packets are late


def test_random_bytes_change_nothing(bench: Bench) -> None:
    receiver = bench.receiver()
    bench.sender()
    bench.wait_shown(15)
    before = len(bench.shown())
    with random_bytes(bench.udp_port):
        time.sleep(4.0)
    during = bench.shown()[before:]
    assert len(fresh(during)) > 40  # of 60; on a busy machine some units are late
    assert bench.figures().get(RX + "packets_dropped_total") > 500
    assert bench.figures().get(RX + "sessions") == 1
    assert bench.stop(receiver) == 0


def test_a_wrong_key_shows_nothing(bench: Bench) -> None:
    receiver = bench.receiver()
    other = bench.folder / "other.key"
    new_key_file(other)
    bench.sender(None, other)
    bench.wait(
        "refused packets", lambda: bench.figures().get(RX + "packets_dropped_total", reason="forged") > 20
    )
    assert bench.shown() == []
    assert bench.figures().get(RX + "sessions") == 0
    assert bench.stop(receiver) == 0


def test_replayed_packets_are_refused(bench: Bench) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tap:
        tap.bind(("127.0.0.1", 0))
        tap.settimeout(30.0)
        receiver = bench.receiver()
        sender = bench.sender(tap.getsockname()[1], None, "--session.mode", "one-way")  # no handshakes
        captured = []
        for _ in range(60):
            captured.append(tap.recv(2000))
            tap.sendto(captured[-1], ("127.0.0.1", bench.udp_port))
        assert bench.stop(sender) == 0
        bench.wait("the packets", lambda: bench.figures().get(RX + "packets_total") == 60)
        for packet in captured:
            tap.sendto(packet, ("127.0.0.1", bench.udp_port))
    bench.wait(
        "the copies", lambda: bench.figures().get(RX + "packets_dropped_total", reason="replayed") == 60
    )
    assert bench.figures().get(RX + "packets_total") == 60
    assert bench.stop(receiver) == 0


def test_a_restarted_sender_is_shown_again(bench: Bench) -> None:
    receiver = bench.receiver("--signal.lost-after", "1")
    first = bench.sender()
    bench.wait_shown(30)
    assert bench.stop(first) == 0
    bench.wait("the loss of the signal", lambda: bench.figures().get(RX + "signal_state", state="lost") == 1)
    bench.sender()
    bench.wait("the new sender", lambda: bench.figures().get(RX + "takeovers_total") == 2)
    bench.wait_shown(len(bench.shown()) + 30)
    latest = fresh(bench.shown()[-15:])
    assert sum(not line.concealed for line in latest) >= 12
    assert bench.figures().get(RX + "signal_state", state="live") == 1
    assert bench.stop(receiver) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["sender", "--to", "127.0.0.1:9"], 78, "key_file"),
        (["sender", "--to", "127.0.0.1:9", "--key-file", "KEY", "--rate.kbps", "0"], 78, "rate.kbps"),
        (
            [
                "sender",
                "--to",
                "127.0.0.1:9",
                "--key-file",
                "KEY",
                "--metrics.listen",
                "off",
                "--source",
                "no.mp4",
            ],
            66,
            "no.mp4",
        ),
        (["receiver", "--key-file", "KEY", "--play", "nowhere.avi"], 78, "play"),
    ],
)
def test_mistakes_are_told_with_an_exit_code(
    tmp_path: Path, arguments: list[str], code: int, text: str
) -> None:
    new_key_file(tmp_path / "key")
    command = [str(tmp_path / "key") if word == "KEY" else word for word in arguments]
    result = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == code, result.stderr
    assert text in result.stderr
    assert "Traceback" not in result.stderr
