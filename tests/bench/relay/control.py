"""The control socket of the relay: TCP, a line of JSON for each request, a line of JSON for each answer.

{"set": {"loss": 0.5}, "direction": "forward"}    any of impairments.NAMES; "direction" is "both" when left out
{"outage": 2.0}                                   nothing gets in for so many seconds from now on; "direction" as above
{"roam": true}                                    another source port towards the target
{"get": "stats"}, {"get": "settings"}             by direction

An answer holds "ok": true and what was asked for, or "error" with what is wrong; nothing has changed then.
"""

from __future__ import annotations

import asyncio
import json
import time

from tests.bench.link.draws import Direction
from tests.bench.link.impairments import MAX_LINE, fields_of, json_object, number, settings_of
from tests.bench.link.model import Link
from tests.bench.relay.forwarder import Address, Relay

MAX_CONNECTIONS = 8
MAX_OUTAGE_S = 86_400.0
COMMANDS = ("set", "outage", "roam", "get")
DIRECTIONS = {"forward": (Direction.FORWARD,), "back": (Direction.BACK,), "both": tuple(Direction)}


def answer(relay: Relay, line: bytes) -> dict[str, object]:
    """What a request is told; carries it out."""
    try:
        return {"ok": True} | _carried_out(relay, json_object(line))
    except (ValueError, OSError) as error:
        return {"error": str(error)}


def _carried_out(relay: Relay, request: dict[str, object]) -> dict[str, object]:
    commands = [name for name in COMMANDS if name in request]
    unknown = [name for name in request if name not in (*COMMANDS, "direction")]
    if len(commands) != 1 or unknown:
        raise ValueError(f"a request has one of {', '.join(COMMANDS)}, and may have direction")
    command, links = commands[0], _links(relay, request.get("direction", "both"))
    value = request[command]
    if command == "set":
        _set(links, value)
    elif command == "outage":
        seconds = number("outage", value)
        if not 0.0 < seconds <= MAX_OUTAGE_S:
            raise ValueError(f"outage: must be above 0 s and at most {MAX_OUTAGE_S:g} s (got {seconds:g})")
        for link in links:
            link.outage(time.monotonic(), seconds)
    elif command == "roam":
        if value is not True:
            raise ValueError("roam: must be true")
        relay.roam()
    elif value == "stats":
        return relay.stats()
    elif value == "settings":
        return {way.name.lower(): settings_of(lane.link.impairments) for way, lane in relay.lanes.items()}
    else:
        raise ValueError("get: must be stats or settings")
    return {}


def _links(relay: Relay, direction: object) -> list[Link]:
    if not isinstance(direction, str) or direction not in DIRECTIONS:
        raise ValueError(f"direction: must be one of {', '.join(DIRECTIONS)}")
    return [relay.lanes[way].link for way in DIRECTIONS[direction]]


def _set(links: list[Link], settings: object) -> None:
    """All links or none."""
    if not isinstance(settings, dict):
        raise ValueError("set: must be an object")
    fields = fields_of(settings)
    for link in links:
        link.changed(**fields)
    for link in links:
        link.change(**fields)


class ControlServer:
    """Serves at most MAX_CONNECTIONS at a time, in the loop of the relay."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, listen: Address) -> Address:
        """Listens; returns where. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, *listen, limit=MAX_LINE)
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def close(self) -> None:
        """Ends every connection."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._writers) >= MAX_CONNECTIONS:
            writer.write(_line({"error": f"there are {MAX_CONNECTIONS} connections already"}))
            writer.close()
            return
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                await writer.drain()
        except OSError:
            pass  # the other end is gone
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; False when there are no more, or where the next one begins cannot be told."""
        try:
            line = await reader.readline()
        except ValueError:
            writer.write(_line({"error": f"longer than {MAX_LINE} characters"}))
            return False
        if not line.endswith(b"\n"):
            return False
        writer.write(_line(answer(self._relay, line)))
        return True


def _line(message: dict[str, object]) -> bytes:
    return json.dumps(message).encode() + b"\n"
