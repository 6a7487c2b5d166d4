"""WHIP as a source of frames: the server in its thread, frames on ours."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from common.config import ConfigError
from common.service import ServiceError
from common.values import Size
from common.video import Frame
from sender.capture import create_source
from sender.capture.base import CaptureOptions, SourceError
from sender.capture.whip.source import WhipSource
from tests.ports import free_port
from tests.sender.capture.clips import number
from tests.sender.capture.whip.camera import Numbers, publishing
from tests.waiting import until

OPTIONS = CaptureOptions(Size(64, 64), 10.0, timeout=0.6)


class Run:
    """A source that is read by a thread."""

    def __init__(self, source: WhipSource) -> None:
        self.source = source
        self.frames: list[Frame] = []
        self.failure: BaseException | None = None
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        try:
            for frame in self.source.frames(self.stop):
                self.frames.append(frame)
        except BaseException as error:
            self.failure = error

    def end(self) -> None:
        """Ends soon."""
        self.stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


def health(run: Run) -> tuple[bool, int]:
    """(whether it is connected, how often it was lost)."""
    return run.source.stats.connected, run.source.stats.reconnects


@contextlib.asynccontextmanager
async def reading(text: str, options: CaptureOptions = OPTIONS) -> AsyncIterator[Run]:
    source = create_source(text, options)
    assert isinstance(source, WhipSource)
    run = Run(source)
    try:
        await until(lambda: bool(source.url) or run.failure is not None)
        if run.failure is not None:
            raise run.failure
        yield run
    finally:
        await asyncio.to_thread(run.end)


async def test_frames_of_the_sessions_size_through_loss_and_return_of_the_publisher() -> None:
    async with reading("whip://127.0.0.1:0/cam") as run, aiohttp.ClientSession(run.source.url) as client:
        stats = run.source.stats
        assert run.source.token is None and health(run) == (False, 0)
        async with publishing(client, Numbers(4, 160, 96)) as (_, place):
            await until(lambda: len(run.frames) >= 5)
            assert health(run) == (True, 0)
            async with client.delete(place):
                await until(lambda: not stats.connected)
        assert health(run) == (False, 1)
        held = len(run.frames)
        async with publishing(client, Numbers(6)) as (connection, _):
            await until(lambda: len(run.frames) >= held + 5)
            assert health(run) == (True, 1)
            # It vanishes: nothing is said, no packet comes any more.
            connection.getSenders()[0].replaceTrack(None)
            await until(lambda: not stats.connected)
            assert health(run) == (False, 2)
            connection.getSenders()[0].replaceTrack(Numbers(2))
            await until(lambda: stats.connected)
    assert {frame.picture.shape for frame in run.frames} == {(96, 64)}
    assert number(run.frames[0].picture) == 4 and number(run.frames[held + 3].picture) == 6
    assert [frame.index for frame in run.frames] == list(range(len(run.frames)))
    assert not health(run)[0] and run.failure is None
    times = [frame.captured_at for frame in run.frames]
    assert times == sorted(times)


async def test_https_with_a_token_made_and_told_once(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "semcast"):
        async with reading("whips://0.0.0.0:0/cam") as run:
            token = run.source.token
            assert token is not None and len(token) >= 24
            said = capsys.readouterr().err
            assert said.count(f"#token={token}") == 1
            records = [record.__dict__.get("fields", {}) for record in caplog.records]
            assert token not in repr(records)
            digest = next(fields["sha256"] for fields in records if "sha256" in fields)
            pinned = aiohttp.Fingerprint(bytes.fromhex(digest.replace(":", "")))
            url = run.source.url.replace(run.source.url.split("/")[2].rpartition(":")[0], "127.0.0.1")
            connector = aiohttp.TCPConnector(ssl=pinned)
            async with aiohttp.ClientSession(url, connector=connector) as client:
                async with client.get("/state.json") as answer:
                    assert answer.status == 401
                async with publishing(client, headers={"Authorization": f"Bearer {token}"}):
                    await until(lambda: len(run.frames) >= 2)
            async with aiohttp.ClientSession(url) as client:
                with pytest.raises(aiohttp.ClientConnectorCertificateError):
                    await client.get("/")
    assert run.source.stats.refused == 1


async def test_the_token_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "token"
    options = CaptureOptions(Size(64, 64), 10.0, token_file=path)
    async with reading("whip://127.0.0.1:0/cam", options) as run:
        token = path.read_text().strip()
        assert run.source.token == token and token not in capsys.readouterr().err
    async with reading("whip://127.0.0.1:0/cam", options) as run:
        assert run.source.token == token
    path.chmod(0o644)
    with pytest.raises(ConfigError, match=r"capture\.token_file: .*token: open to others .*chmod 600"):
        list(create_source("whip://127.0.0.1:0/cam", options).frames(threading.Event()))


async def test_an_address_in_use_ends_the_source() -> None:
    async with reading("whip://127.0.0.1:0/cam") as run:
        port = run.source.url.rstrip("/").rpartition(":")[2]
        with pytest.raises(SourceError, match="cannot listen on") as caught:
            list(create_source(f"whip://127.0.0.1:{port}/cam", OPTIONS).frames(threading.Event()))
        assert caught.value.exit_code == 66


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("whip://", "needs the port to listen on, for example whips://:8889/cam"),
        ("whip://127.0.0.1/cam", "needs the port"),
        ("whip://:99999/cam", "Port out of range"),
        ("whip://:x/cam", "whips://:8889/cam"),
        ("whip://u:p@:8889/cam", "set capture.token_file instead"),
        ("whip://:8889/cam?token=x", "set capture.token_file instead"),
        ("whip://:8889/a b", "a path is made of letters"),
        ("whip://:8889/a/../b", "a path is made of letters"),
        ("whip://:8889/{x}", "a path is made of letters"),
        ("whips://:8889/state.json", "a path is made of letters"),
    ],
)
def test_texts_that_cannot_be(text: str, told: str) -> None:
    with pytest.raises(SourceError) as caught:
        create_source(text, OPTIONS)
    assert told in str(caught.value)
    assert "u:p" not in str(caught.value)


def test_a_certificate_needs_https() -> None:
    options = CaptureOptions(Size(64, 64), 10.0, tls_cert=Path("x"), tls_key=Path("y"))
    with pytest.raises(ConfigError, match="whips:// instead of whip://"):
        create_source("whip://:8889/cam", options)
    with pytest.raises(ConfigError, match="No such file"):
        list(create_source(f"whips://127.0.0.1:{free_port()}", options).frames(threading.Event()))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sender.capture.whip.source", None)
    with pytest.raises(ServiceError, match=r"needs aiortc and aiohttp .*pip install 'semcast\[web\]'"):
        create_source("whip://:8889/cam", OPTIONS)
