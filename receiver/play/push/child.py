"""RTSP, RTMP and SRT: the parent's side of the child process that speaks them (receiver.play.push.muxer)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

from receiver.play.push.coded import CLOCK, Packet, Settings
from receiver.play.push.link import CLOSED, REFUSED, UNKNOWN_HOST, UNVERIFIED, LinkError
from receiver.play.push.muxer import HEAD, Header
from receiver.play.push.target import Target

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from receiver.play.push.muxer import main; main()"

MAX_WAITING = 3
"""Pictures that the child has not handed to the network yet; the next waits in the push, where it may be dropped."""
SOUND_WAITING = 8
"""Packets more, with sound."""

KERNEL_S = 0.5
"""Seconds of video that may wait in the kernel's send buffer."""

CLOSE_TIMEOUT_S = 2.0

INPUT_OUTPUT = "Input/output error"
WRONG_KEY = "the server closed the connection; are the application and the stream key right?"
"""RTMP has no words for a wrong stream key: servers just hang up."""
ADVICE = (
    ("401 unauthorized", "the server refuses the user name or password"),
    ("403 forbidden", "the server forbids publishing there"),
    ("404 not found", "the server knows no such path"),
    ("connection refused", REFUSED),
    ("certificate", UNVERIFIED),
    ("failed to resolve", UNKNOWN_HOST),
    ("broken pipe", CLOSED),
    ("connection reset", CLOSED),
    ("end of file", CLOSED),
)
"""Words of FFmpeg and servers -> what they mean to an operator."""


class ChildLink:
    """One child process, one connection."""

    def __init__(self, target: Target, process: Process, most: int) -> None:
        """`most`: packets that may wait in the child."""
        self._target = target
        self._process = process
        self._waiting, self._most = 0, most
        self._changed = asyncio.Event()
        self._reason: str | None = None
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def connect(cls, target: Target, first: Packet, settings: Settings, sound: bool) -> ChildLink:
        """See `Connect`; a child that does not answer in time is ended by whoever cancels this."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, str(ROOT)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            start_new_session=True,  # Ctrl-C is for the daemon, which closes the pipe
        )
        link = cls(target, process, MAX_WAITING + SOUND_WAITING * sound)
        try:
            header = Header(
                url=target.url,
                scheme=target.scheme,
                options=target.options,
                clock=CLOCK,
                sound=sound,
                send_buffer=round(settings.kbps * 1000 / 8 * KERNEL_S),
            )
            link._write(json.dumps(header).encode() + b"\n" + _framed(first))
            await link._connected()
        except BaseException:
            await link.close()
            raise
        link._reader = asyncio.create_task(link._read(), name="push-child")
        return link

    async def send(self, packet: Packet) -> None:
        while self._reason is None and self._waiting >= self._most:
            self._changed.clear()
            await self._changed.wait()
        if self._reason is not None:
            raise LinkError(self._reason)
        self._waiting += 1
        self._write(_framed(packet))

    async def close(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        stdin.close()
        try:
            if self._reader is not None:  # else it is not connected, and has nothing to say goodbye to
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._process.wait()
        except TimeoutError:
            pass
        finally:
            if self._reader is not None:
                self._reader.cancel()
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, RuntimeError):  # it has ended; its last line tells why
            self._process.stdin.write(data)

    async def _connected(self) -> None:
        line = await self._line()
        if not line.startswith('{"connected"'):
            reason = self._explain(line)
            refused = self._target.scheme.startswith("rtmp") and reason in (CLOSED, INPUT_OUTPUT)
            raise LinkError(WRONG_KEY if refused else reason)

    async def _read(self) -> None:
        while (line := await self._line()) == ".":
            self._waiting -= 1
            self._changed.set()
        self._reason = self._explain(line)
        self._changed.set()

    async def _line(self) -> str:
        assert self._process.stdout is not None
        try:
            return (await self._process.stdout.readline()).decode(errors="replace").strip()
        except ValueError:  # longer than any line of ours
            return ""

    def _explain(self, line: str) -> str:
        """The error that the child told, in words for an operator."""
        try:
            text = str(json.loads(line)["error"])
        except (ValueError, KeyError, TypeError):
            return CLOSED
        said = self._target.scrub(text)
        advice = next((words for sign, words in ADVICE if sign in text.lower()), None)
        return advice or said


def _framed(packet: Packet) -> bytes:
    return HEAD.pack(packet.stream, packet.key, packet.pts, len(packet.data)) + packet.data
