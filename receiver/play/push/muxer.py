"""The child process of a push: coded pictures in on standard input, FFmpeg's RTSP, RTMP or SRT out.

A process of its own, because PyAV holds Python's global lock while it looks up a name, connects and shakes hands: a
server that does not answer would stop playback. The URL comes in on standard input too, so that no password stands in
the process list.

Standard input: one line of JSON (`Header`), then packets, each behind a HEAD. The first holds the parameter sets and is
not sent. Standard output: one line of JSON, `{"connected": true}` or `{"error": "..."}`; then a line `.` for each
packet that has been handed to the network, or an error.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import ssl
import struct
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO, TypedDict, cast

import av
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Stream

HEAD = struct.Struct("!BBqI")
"""Stream, 1 for a key picture, time in units of the stream's time base, bytes that follow."""

VIDEO, SOUND = 0, 1
"""Numbers of the streams."""

MAX_PACKET = 16 << 20
MIN_SEND_BUFFER = 16 << 10
UNANSWERED_MS = 10_000
"""A server that acknowledges nothing for this long is gone."""


Said = list[tuple[int, str, str]]
"""Level, part and text of what FFmpeg logs."""


class Header(TypedDict):
    """What the parent wants."""

    url: str
    scheme: str
    options: dict[str, str]
    clock: int
    sound: bool
    """AAC-LC, mono, 48 kHz, comes too."""
    send_buffer: int
    """Bytes that may wait in the kernel: what is more is thrown away before it is sent, not late."""


def main() -> None:
    """Run until standard input ends. The parent's signals are not ours: it tells us by closing the pipe."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    source = sys.stdin.buffer
    header = cast(Header, json.loads(source.readline()))
    av.logging.set_level(av.logging.ERROR)
    with av.logging.Capture(local=False) as said:
        try:
            push(header, source, said)
        except Exception as error:
            _say({"error": _reason(error, said)})


def push(header: Header, source: BinaryIO, said: Said) -> None:
    """Connect, then send packets until the source ends. `said`: what FFmpeg says, of which little is kept."""
    packets = _packets(source)
    first = next(packets, None)
    if first is None:
        return
    with av.open(io.BytesIO(first[3]), format="h264") as probe:
        output = _open(header)
        assert isinstance(probe, InputContainer)
        stream = output.add_stream_from_template(probe.streams.video[0], opaque=True)
        stream.time_base = Fraction(1, header["clock"])
    streams: dict[int, Stream] = {VIDEO: stream}
    if header["sound"]:
        streams[SOUND] = _sound(output)
    try:
        output.start_encoding()
        _bound(header["send_buffer"])
        _say({"connected": True})
        began: int | None = None
        for number, key, pts, data in packets:
            began = pts if began is None else began
            if pts < began:  # heard before the first picture
                _done()
                continue
            packet = av.Packet(data)
            packet.stream = streams[number]
            packet.time_base = Fraction(1, header["clock"])
            packet.pts = packet.dts = pts - began
            packet.is_keyframe = key
            said.clear()
            output.mux_one(packet)
            _done()
    finally:
        with contextlib.suppress(Exception):  # the reason is that which came first
            output.close()


def _sound(output: OutputContainer) -> Stream:
    """Its encoder is there for the header that it writes; packets come coded."""
    stream = output.add_stream("aac", rate=48_000)
    assert isinstance(stream, AudioStream)
    stream.codec_context.layout = "mono"
    stream.codec_context.bit_rate = 64_000
    return stream


def _open(header: Header) -> OutputContainer:
    url, scheme = header["url"], header["scheme"]
    if scheme == "srt":
        from receiver.play.push.srt import SrtWriter

        live = {"flush_packets": "1", "muxdelay": "0", "pat_period": "1"}
        return _output(SrtWriter(url, header["options"]), "mpegts", live)
    if scheme == "rtmps":
        # PyAV hands no options to the protocol, and without them FFmpeg takes any certificate; `tee` hands them on.
        options = ":".join(f"{name}={value}" for name, value in _verify().items())
        return _output(f"[f=flv:flvflags=no_duration_filesize:{options}]{_escaped(url)}", "tee", {})
    if scheme == "rtmp":
        return _output(url, "flv", {"flvflags": "no_duration_filesize"})
    options_of_rtsp = {"rtsp_transport": "tcp", **(_verify() if scheme == "rtsps" else {})}
    return _output(url, "rtsp", options_of_rtsp)


def _output(file: Any, format: str, options: dict[str, str]) -> OutputContainer:
    return av.open(file, "w", format=format, options=options, buffer_size=1316)


def _verify() -> dict[str, str]:
    """FFmpeg's TLS options for a certificate that is checked against the host's authorities."""
    paths = ssl.get_default_verify_paths()
    bundle = os.environ.get(paths.openssl_cafile_env) or paths.cafile or paths.openssl_cafile
    return {"tls_verify": "1", "ca_file": bundle}


def _escaped(url: str) -> str:
    """For the list of targets of FFmpeg's `tee`."""
    return "".join("\\" + char if char in "\\'|[]" else char for char in url)


def _packets(source: BinaryIO) -> Iterator[tuple[int, bool, int, bytes]]:
    """(stream, key, time, data) until the source ends."""
    while len(head := source.read(HEAD.size)) == HEAD.size:
        stream, key, pts, size = HEAD.unpack(head)
        if size > MAX_PACKET:
            raise ValueError(f"a packet of {size} bytes")
        data = source.read(size)
        if len(data) < size:
            return
        yield stream, bool(key), pts, data


def _bound(size: int) -> None:
    """Limit what waits in the kernel on every TCP connection of this process, and tell a dead one in time."""
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError, ValueError), socket.socket(fileno=os.dup(int(name))) as tcp:
            if tcp.type == socket.SOCK_STREAM and tcp.family in (socket.AF_INET, socket.AF_INET6):
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, max(size, MIN_SEND_BUFFER))
                tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)


def _reason(error: Exception, said: Said) -> str:
    """The error with what FFmpeg said first, which tells more than its numbers and what followed do."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    lines = [line.strip() for _, _, line in said if line.strip()]
    return f"{text} ({lines[0]})" if lines else text


def _done() -> None:
    """A packet has been handed on."""
    sys.stdout.write(".\n")
    sys.stdout.flush()


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
