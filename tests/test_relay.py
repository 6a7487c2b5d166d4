from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import relay
from tests.channel import Channel, Impairments


def bound(timeout: float = 5.0) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(timeout)
    return sock


@contextmanager
def running(*flags: str) -> Iterator[tuple[subprocess.Popen[str], tuple[str, int], socket.socket]]:
    """A relay process, its address, and the socket that it forwards to."""
    with bound() as free:
        listen = free.getsockname()
    with bound() as target:
        command = [sys.executable, "-m", "tests.relay", "--listen", f"127.0.0.1:{listen[1]}"]
        command += ["--to", f"127.0.0.1:{target.getsockname()[1]}", *flags]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, **pipes, text=True) as process:  # type: ignore[call-overload]
            try:
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


def test_process_loses_what_the_channel_says_and_reports_it(tmp_path: Path) -> None:
    channel = Channel(Impairments(loss=0.5), 4)
    flags = ["--loss", "0.5", "--seed", "4", "--trace", str(tmp_path / "trace")]
    with running(*flags) as (process, listen, target), bound() as source:
        wait_bound(listen)
        packets = [n.to_bytes(2, "big") * 30 for n in range(200)]
        for packet in packets:
            source.sendto(packet, listen)
        expected = [packet for packet in packets if channel.transfer(packet, 0.0)]
        assert [target.recv(2000) for _ in expected] == expected
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")
    counts = json.loads(output)
    assert counts["received"] == 200
    assert counts["forwarded"] == len(expected)
    assert counts["loss_observed"] == round(1 - len(expected) / 200, 4)
    trace = [json.loads(line) for line in (tmp_path / "trace").read_text().splitlines()]
    assert [line["copies"] for line in trace] == [int(packet in expected) for packet in packets]
    assert {line["wire_bytes"] for line in trace} == {88}


def test_delay_is_real_and_ipv6_addresses_parse() -> None:
    with running("--delay-ms", "80") as (process, listen, target), bound() as source:
        wait_bound(listen)
        sent = time.monotonic()
        source.sendto(b"late", listen)
        assert target.recv(100) == b"late"
        assert 0.079 <= time.monotonic() - sent < 1.0
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert process.returncode == 0
    assert relay.address("[::1]:80") == ("::1", 80)


def test_bad_settings_end_with_their_name() -> None:
    with running("--loss", "3") as (process, _, _):
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 78
    assert errors == "relay: loss: must be between 0 and 1 (got 3.0)\n"
