"""aiortc as two processes: UDP packets in, over the link, UDP packets out, as data channel or as RTP video.

`python -m tests.bench.transport.webrtc send|receive --path data|rtp ...`. Offer and answer go over TCP on loopback and
lose nothing; ICE, DTLS and all that follows go through the relay. As RTP a unit is a VP8 frame that was coded elsewhere
(aiortc takes those), with aiortc's NACK and retransmission; as data a packet is a message, unordered, given up after
the budget.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import socket
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import aioice.ice
import aiortc
import aiortc.rtcrtpreceiver
import av

from tests.bench.transport.workload import HOST, WORKLOADS, Piece, Workload, udp_socket

LIFETIME_MS = 500
MAX_BUFFERED = 1 << 14  # bytes that may wait in a data channel; a live sender drops what comes then
CLOCK = 90_000
CONNECT_S = 10.0
_PORT = re.compile(r"(a=candidate:\S+ \d+ \S+ \d+ \S+) \d+ ")


class OnePort(asyncio.SelectorEventLoop):
    """ICE binds any port; the relay has to know which."""

    port = 0

    async def create_datagram_endpoint(  # type: ignore[override]
        self, protocol_factory: Any, local_addr: Any = None, **rest: Any
    ) -> Any:
        """With `port` where any would do."""
        if local_addr is not None and local_addr[1] == 0:
            local_addr = (local_addr[0], self.port)
        return await super().create_datagram_endpoint(protocol_factory, local_addr, **rest)


class Units(aiortc.MediaStreamTrack):
    """Units as coded frames."""

    kind = "video"

    def __init__(self, sock: socket.socket, workload: Workload) -> None:
        super().__init__()
        self._sock = sock
        self._workload = workload
        self._start = time.monotonic()

    async def recv(self) -> av.Packet[Any]:
        """The next whole unit."""
        unit: list[bytes] = []
        while True:
            payload = await asyncio.get_running_loop().sock_recv(self._sock, 1 << 16)
            piece = Piece.parse(payload, self._workload.size)
            if piece is None:
                continue
            unit = [payload] if piece.place == 0 else [*unit, payload]
            if len(unit) == piece.packets:
                packet = av.Packet(b"".join(unit))
                packet.pts = round((piece.sent - self._start) * CLOCK)
                packet.time_base = Fraction(1, CLOCK)
                return packet


class Collector:
    """In the place of a decoder: hands the units on."""

    def __init__(self, deliver: Callable[[bytes], None], size: int) -> None:
        self._deliver = deliver
        self._size = size

    def decode(self, frame: Any) -> list[object]:
        """The packets of a unit; shows nothing."""
        for start in range(0, len(frame.data), self._size):
            self._deliver(frame.data[start : start + self._size])
        return []


def through(sdp: str, port: int) -> str:
    """A description whose candidates are all the relay's port."""
    return _PORT.sub(rf"\g<1> {port} ", sdp)


def vp8_only(peer: aiortc.RTCPeerConnection) -> None:
    """VP8 and its retransmissions, for all that the peer carries."""
    codecs = aiortc.RTCRtpSender.getCapabilities("video").codecs
    wanted = [codec for codec in codecs if codec.mimeType in ("video/VP8", "video/rtx")]
    for transceiver in peer.getTransceivers():
        transceiver.setCodecPreferences(wanted)


async def signalled(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the receiving end."""
    async with asyncio.timeout(CONNECT_S):
        while True:
            try:
                return await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.02)


async def send(args: argparse.Namespace) -> None:
    """Until cancelled."""
    near, workload = udp_socket(args.near), WORKLOADS[args.workload]
    peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    channel = None
    if args.path == "rtp":
        peer.addTransceiver(Units(near, workload), direction="sendonly")
        vp8_only(peer)
    else:
        channel = peer.createDataChannel("units", ordered=False, maxPacketLifeTime=LIFETIME_MS)
    await peer.setLocalDescription(await peer.createOffer())
    reader, writer = await signalled(args.signal)
    writer.write(json.dumps(peer.localDescription.sdp).encode() + b"\n")
    answer = through(json.loads(await reader.readline()), args.far)
    await peer.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer"))
    while channel is not None:
        payload = await asyncio.get_running_loop().sock_recv(near, 1 << 16)
        if channel.readyState == "open" and channel.bufferedAmount < MAX_BUFFERED:
            channel.send(payload)
    await asyncio.get_running_loop().create_future()


async def receive(args: argparse.Namespace) -> None:
    """Until cancelled."""
    near, workload = udp_socket(), WORKLOADS[args.workload]

    def deliver(payload: bytes) -> None:
        near.sendto(payload, (HOST, args.near))

    vars(aiortc.rtcrtpreceiver)["get_decoder"] = lambda codec: Collector(deliver, workload.size)
    peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    answered = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        offer = through(json.loads(await reader.readline()), args.relay)
        await peer.setRemoteDescription(aiortc.RTCSessionDescription(offer, "offer"))
        if args.path == "rtp":
            vp8_only(peer)
        await peer.setLocalDescription(await peer.createAnswer())
        writer.write(json.dumps(peer.localDescription.sdp).encode() + b"\n")
        answered.set()

    @peer.on("datachannel")
    def opened(channel: aiortc.RTCDataChannel) -> None:
        channel.on("message", deliver)

    @peer.on("track")
    def added(track: aiortc.MediaStreamTrack) -> None:
        tasks.append(asyncio.ensure_future(track.recv()))  # frames come out of the decoder's place

    tasks: list[asyncio.Future[Any]] = []
    async with await asyncio.start_server(answer, HOST, args.signal):
        await asyncio.get_running_loop().create_future()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one end until it is killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.transport.webrtc", description=__doc__)
    parser.add_argument("end", choices=["send", "receive"])
    parser.add_argument("--path", choices=["data", "rtp"], required=True)
    parser.add_argument("--near", type=int, required=True, help="UDP port of the application's packets")
    parser.add_argument("--far", type=int, required=True, help="UDP port of the link")
    parser.add_argument("--relay", type=int, default=0, help="receiver: where the relay sends from")
    parser.add_argument("--signal", type=int, required=True, help="TCP port of offer and answer")
    parser.add_argument("--workload", choices=sorted(WORKLOADS), required=True)
    args = parser.parse_args(argv)
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [HOST]
    OnePort.port = args.far if args.end == "receive" else 0
    with asyncio.Runner(loop_factory=OnePort) as runner:
        runner.run(send(args) if args.end == "send" else receive(args))
    return 0


if __name__ == "__main__":
    sys.exit(main())
