"""The relay as its users start it."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.link.impairments import Impairments
from tests.bench.link.model import Link
from tests.bench.link.replay import Opportunities
from tests.bench.relay.__main__ import main
from tests.bench.relay.client import ask
from tests.bench.relay.options import address, impairments, parse_options
from tests.ports import free_port

PLACES = ["--listen", "127.0.0.1:0", "--to", "127.0.0.1:9"]


def bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(5.0)
    return sock


@contextmanager
def running(*flags: str) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int], socket.socket]]:
    """A relay process that listens, its address, and the socket that it forwards to."""
    listen = ("127.0.0.1", free_port())
    with bound() as target:
        command = [sys.executable, "-m", "tests.bench.relay", "--listen", f"127.0.0.1:{listen[1]}"]
        command += ["--to", f"127.0.0.1:{target.getsockname()[1]}", *flags]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                wait_bound(listen)
                yield process, listen, target
            finally:
                process.kill()


def wait_bound(listen: tuple[str, int]) -> None:
    """Waits until the port is taken."""
    for _ in range(500):
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(listen)
        except OSError:
            return
        time.sleep(0.02)
    raise AssertionError("the relay did not bind its port")


def wait_listening(place: tuple[str, int]) -> None:
    """Waits until connections are taken."""
    for _ in range(500):
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(place):
            return
        time.sleep(0.02)
    raise AssertionError("the relay takes no connections")


def test_a_process_does_what_its_flags_say_and_tells_it_at_the_end(tmp_path: Path) -> None:
    link = Link(Impairments(loss=0.5), 4)
    control = ("127.0.0.1", free_port())
    flags = ["--loss", "0.5", "--seed", "4", "--trace", str(tmp_path / "trace"), "--back-loss", "0"]
    with (
        running(*flags, "--control", f"127.0.0.1:{control[1]}") as (process, listen, target),
        bound() as source,
    ):
        packets = [n.to_bytes(2) * 30 for n in range(200)]
        for packet in packets:
            source.sendto(packet, listen)
        expected = [packet for packet in packets if link.transfer(packet, 0.0)]
        assert [target.recv(2000) for _ in expected] == expected
        wait_listening(control)  # which comes after the port
        ask(control, {"set": {"loss": 0.0, "delay_ms": 80}})
        sent = time.monotonic()
        source.sendto(b"late", listen)
        data, relay = target.recvfrom(2000)
        target.sendto(b"reply", relay)
        assert (data, source.recv(2000)) == (b"late", b"reply")
        assert time.monotonic() - sent >= 0.16
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
    [line] = output.splitlines()
    told = json.loads(line)
    assert (told["forward"]["received"], told["forward"]["forwarded"]) == (201, len(expected) + 1)
    assert told["forward"]["loss_observed"] == round((200 - len(expected)) / 201, 4)
    assert (told["back"]["received"], told["back"]["forwarded"], told["roams"]) == (1, 1, 0)
    trace = [json.loads(line) for line in (tmp_path / "trace").read_text().splitlines()]
    assert [line["copies"] for line in trace] == [*(int(packet in expected) for packet in packets), 1, 1]
    assert [line["way"] for line in trace] == ["forward"] * 201 + ["back"]
    assert {line["wire_bytes"] for line in trace[:200]} == {88}


def test_nothing_returns_when_told_so() -> None:
    with running("--no-return", "--roam-every", "0.2") as (process, listen, target), bound() as source:
        source.sendto(b"there", listen)
        _, relay = target.recvfrom(100)
        target.sendto(b"back", relay)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        told = json.loads(process.communicate(timeout=10)[0])
        source.setblocking(False)
        with pytest.raises(BlockingIOError):
            source.recv(100)
    assert process.returncode == 0
    assert (told["back"]["received"], told["back"]["lost"]) == (1, 1)
    assert told["roams"] >= 1


def test_each_option_can_differ_on_the_way_back(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text("5\n10\n")
    text = (
        f"--loss 0.5 --burst 6 --delay-ms 40 --replay {trace} --outage 1:2 --outage 5:1 --symbol-errors .001"
    )
    text += " --back-burst none --back-delay-ms 10 --back-replay none --back-rate-kbps 64 --back-outage 3:1"
    there, back = impairments(parse_options([*PLACES, *text.split()]))
    errors = Impairments(loss=0.5, symbol_errors=0.001)
    twice = ((1.0, 2.0), (5.0, 1.0))
    recorded = Opportunities((0.005, 0.01), 0.01)
    assert there == replace(errors, burst=6.0, delay_s=0.04, replay=recorded, outages=twice)
    assert back == replace(errors, delay_s=0.01, rate_kbps=64.0, outages=((3.0, 1.0),))
    there, back = impairments(parse_options([*PLACES, "--loss", "0.2", "--no-return"]))
    assert (there.loss, back.loss) == (0.2, 1.0)


@pytest.mark.parametrize(
    ("flags", "code", "error"),
    [
        ("--loss 3", 78, "loss: must be between 0 and 1 (got 3.0)"),
        ("--back-loss 3", 78, "back: loss: must be between 0 and 1 (got 3.0)"),
        ("--delay-ms -5", 78, "delay_ms: must not be negative (got -5.0)"),
        ("--outage 1:0", 78, "outage: must start at 0 s or later and last longer than 0 s (got 1.0:0.0)"),
        ("--replay BAD", 78, "replay: BAD: line 1: must be a whole number of milliseconds"),
        ("--replay BINARY", 78, "replay: BINARY: "),
        ("--replay MISSING", 1, "[Errno 2] No such file or directory: 'MISSING'"),
        ("--trace NOWHERE/trace", 1, "[Errno 2] No such file or directory: 'NOWHERE/trace'"),
        ("--roam-every 0", 78, "roam-every: must be at least 0.01 s (got 0.0)"),
    ],
)
def test_impossible_settings_end_with_their_name(
    flags: str,
    code: int,
    error: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("BAD").write_text("x")
    Path("BINARY").write_bytes(b"\xff\xfe")
    assert main([*PLACES, *flags.split()]) == code
    assert capsys.readouterr().err.startswith(f"relay: {error}")


def test_a_taken_port_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with bound() as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["--listen", place, "--to", "127.0.0.1:9"]) == 1
    assert "Address already in use" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags", ["--outage 5", "--listen 5", "--to host:99999", "--burst x", "--symbol-bits 1.5"]
)
def test_what_cannot_be_read_is_told(flags: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*PLACES, *flags.split()])
    assert ended.value.code == 2
    assert flags.split()[0] in capsys.readouterr().err.splitlines()[-1]


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for word in (
        "--loss",
        "--replay",
        "--back-loss 0",
        "python -m tests.bench.relay --listen",
        '{"outage": 2.0}',
    ):
        assert word in text


def test_addresses() -> None:
    assert address("[::1]:80") == ("::1", 80)
    assert address(":80") == ("0.0.0.0", 80)
