"""`--stats` against a real address: nobody there, something else there, and the real server."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from common.config import ConfigError
from common.service import ServiceError
from common.stats import fetch as fetching
from common.stats import live
from common.stats.daemons import RECEIVER, SENDER
from common.stats.fetch import fetch
from common.stats.scrape import StatsError
from common.values import Address
from receiver.config import configure
from sender.config import load_config
from tests.common.stats.expositions import exposition
from tests.ports import free_port

ROOT = Path(__file__).parents[3]


class Served(BaseHTTPRequestHandler):
    """An exposition that is a second older at each request."""

    body: bytes | None = None
    status = 200
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        body = exposition(type(self).asked).encode() if self.body is None else self.body
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(body: bytes | None = None, status: int = 200, port: int = 0) -> Iterator[Address]:
    handler = type("Handler", (Served,), {"body": body, "status": status})
    with HTTPServer(("127.0.0.1", port), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield Address("127.0.0.1", server.server_port)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "INTERVAL_S", 0.01)


def test_once_is_text_or_an_object() -> None:
    with served() as address:
        assert live.once(RECEIVER, address, False).startswith(f"receiver {address}: live\n")
        assert json.loads(live.once(RECEIVER, address, True))["figures"]["packet_loss_ratio"] == 0.5


def test_nobody_there_is_one_error_with_the_fix() -> None:
    address = Address("127.0.0.1", free_port())
    with pytest.raises(
        ServiceError, match=r"Connection refused; start the receiver, or .*--metrics.listen"
    ) as raised:
        live.once(RECEIVER, address, False)
    assert raised.value.exit_code == 69
    with pytest.raises(ServiceError, match="start the sender"):
        live.live(SENDER, address)


def test_something_else_there_is_told() -> None:
    with served() as address, pytest.raises(ServiceError, match="use `receiver --stats`"):
        live.once(SENDER, address, False)
    for body, status, words in (
        (b"no", 404, "answers 404"),
        (b"a{", 200, "text format"),
        (b"\xff\n", 200, "text"),
    ):
        with served(body, status) as address, pytest.raises(ServiceError, match=words):
            live.once(RECEIVER, address, False)


def test_an_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MAX_BYTES", 1000)
    with served() as address, pytest.raises(StatsError, match="sends more"):
        fetch(address)


def test_what_does_not_speak_http_is_told() -> None:
    async def talk() -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"SSH-2.0-x\r\n")
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises((StatsError, OSError)):
            await asyncio.to_thread(fetch, Address("127.0.0.1", port))
        server.close()
        await server.wait_closed()

    asyncio.run(talk())


def test_an_address_for_all_interfaces_is_asked_on_this_host() -> None:
    with served() as address:
        assert fetch(Address("0.0.0.0", address.port)).samples
        assert fetch(Address("", address.port)).samples


def test_the_flag_needs_no_key_and_reads_the_address_where_the_daemon_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with served() as address:
        (tmp_path / "r.yaml").write_text(f"metrics: {{listen: '{address}'}}\nlisten: nonsense\n")
        for arguments in (["--metrics.listen", str(address)], ["--config", str(tmp_path / "r.yaml")]):
            with pytest.raises(SystemExit) as ended:
                configure(["--stats=once", *arguments])
            assert not ended.value.code
            assert "packets" in capsys.readouterr().out
        monkeypatch.setenv("SEMCAST_RECEIVER_METRICS__LISTEN", str(address))
        with pytest.raises(SystemExit):
            configure(["--stats"])  # no terminal: once
        assert "packets" in capsys.readouterr().out


def test_wrong_words_are_configuration_errors(tmp_path: Path) -> None:
    typo = tmp_path / "typo.yaml"
    typo.write_text("metrics: {lisden: 'x:1'}")
    with pytest.raises(ConfigError, match="one of live, once, json"):
        load_config(["--stats=twice"])
    with pytest.raises(ConfigError, match="is off; give the address"):
        load_config(["--stats", "--metrics.listen", "off"])
    with pytest.raises(ConfigError, match=r"^metrics.listen: must be HOST:PORT.*from --metrics.listen"):
        load_config(["--stats", "--metrics.listen", "nowhere"])
    with pytest.raises(ConfigError, match=r"metrics.lisden: unknown setting; did you mean metrics.listen"):
        configure(["--stats", "--config", str(typo)])


@pytest.mark.parametrize("load", [configure, load_config])
def test_the_help_tells_of_it(
    load: Callable[[list[str]], object], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        load(["--help"])
    assert "--stats [live|once|json]" in capsys.readouterr().out


def test_the_live_view_in_a_terminal_goes_on_while_the_daemon_is_away_and_ends_on_q() -> None:
    port = free_port()
    here, there = pty.openpty()
    with served(port=port):
        command = [sys.executable, "-m", "receiver", "--stats", "--metrics.listen", f"127.0.0.1:{port}"]
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
        child = subprocess.Popen(command, cwd=ROOT, stdin=there, stdout=there, stderr=there, env=environment)
        os.close(there)
        seen = _until(here, "LIVE")
    try:
        seen = _until(here, "NO ANSWER")
        assert "trying again" in seen
        with served(port=port):
            _until(here, "LIVE")
            os.write(here, b"q")
            assert child.wait(20) == 0
    finally:
        child.kill()
        child.wait()
        os.close(here)


def _until(terminal: int, words: str) -> str:
    """What the terminal shows up to and with the words, and what follows at once."""
    seen, deadline = "", time.monotonic() + 40
    while words not in seen:
        assert time.monotonic() < deadline, seen[-2000:]
        if select.select([terminal], [], [], 0.5)[0]:
            seen += os.read(terminal, 65536).decode(errors="replace")
    return seen
