"""Processor time of the page's server for several WebRTC viewers: python -m tests.bench.viewers

The server has a process of its own, which is what is measured; the viewers, aiortc's, have another.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import time
from dataclasses import replace
from multiprocessing.connection import Connection

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from receiver.config import WebSection
from receiver.play.web import WebSink
from tests.receiver.play.pictures import shown

FPS = 15
DISTINCT = 30


def serve(pipe: Connection, size: tuple[int, int], seconds: float) -> None:
    """Shows a moving scene; sends the address, waits for a word, sends processor seconds per shown second."""

    async def main() -> None:
        section = WebSection.model_validate({"listen": "127.0.0.1:0"})
        sink = WebSink(section, lambda: {"state": "live"}, lambda _: False)
        await sink.start()
        pictures = [shown(number, *size).picture for number in range(DISTINCT)]
        pipe.send(sink.url)
        begun = cpu = 0.0
        first = shown(0, *size)
        number = 0
        while not begun or time.monotonic() - begun < seconds:
            if not begun and pipe.poll():
                pipe.recv()
                begun, cpu = time.monotonic(), time.process_time()
            sink.show(
                replace(first, number=number, picture=pictures[number % DISTINCT], shown_at=number / FPS)
            )
            number += 1
            await asyncio.sleep(1 / FPS)
        pipe.send((time.process_time() - cpu) / (time.monotonic() - begun))
        await sink.close()

    asyncio.run(main())


async def watch(url: str, ready: asyncio.Queue[None]) -> None:
    """One viewer."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    tracks: asyncio.Queue[object] = asyncio.Queue()
    peer.on("track", tracks.put_nowait)
    peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    async with (
        aiohttp.ClientSession(url) as client,
        client.post(
            "/whep", data=peer.localDescription.sdp, headers={"Content-Type": "application/sdp"}
        ) as answer,
    ):
        await peer.setRemoteDescription(RTCSessionDescription(await answer.text(), "answer"))
    track = await tracks.get()
    try:
        await track.recv()  # type: ignore[attr-defined]
        ready.put_nowait(None)
        while True:
            await track.recv()  # type: ignore[attr-defined]
    except MediaStreamError:
        await peer.close()


async def measure(viewers: int, size: tuple[int, int], seconds: float) -> float:
    """Processor seconds of the server per second that is shown."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there, size, seconds))
    server.start()
    url = await asyncio.to_thread(here.recv)
    ready: asyncio.Queue[None] = asyncio.Queue()
    tasks = [asyncio.create_task(watch(url, ready)) for _ in range(viewers)]
    for _ in tasks:
        await ready.get()
    here.send("go")
    cpu = float(await asyncio.to_thread(here.recv))
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.to_thread(server.join)
    return cpu


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--viewers", type=int, nargs="+", default=[0, 1, 4], help="how many at a time")
    parser.add_argument("--size", type=int, nargs=2, default=[256, 256], metavar=("W", "H"))
    parser.add_argument("--seconds", type=float, default=8.0, help="that are measured")
    arguments = parser.parse_args()
    print("| viewers | processor s per s |\n|---:|---:|")
    for count in arguments.viewers:
        cpu = asyncio.run(measure(count, tuple(arguments.size), arguments.seconds))
        print(f"| {count} | {cpu:.3f} |", flush=True)


if __name__ == "__main__":
    main()
