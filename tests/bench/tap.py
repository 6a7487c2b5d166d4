"""A wire tap on loopback: carries datagrams both ways between a sender and a receiver, and keeps the forward ones."""

from __future__ import annotations

import select
import socket
import threading
from collections import deque
from types import TracebackType

MOST_RECORDED = 4096
POLL_SECONDS = 0.1


class Tap:
    """Context manager; the sender's `--to` is 127.0.0.1 at `port`."""

    def __init__(self, receiver: tuple[str, int]) -> None:
        self._near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._near.bind(("127.0.0.1", 0))
        self._far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._far.bind(("127.0.0.1", 0))
        self._receiver = receiver
        self._recorded: deque[bytes] = deque(maxlen=MOST_RECORDED)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._carry, name="tap")
        self.port = int(self._near.getsockname()[1])

    @property
    def recorded(self) -> list[bytes]:
        """What the sender sent, the newest last."""
        return list(self._recorded)

    def __enter__(self) -> Tap:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._near.close()
        self._far.close()

    def _carry(self) -> None:
        sender: tuple[str, int] | None = None
        while not self._ended.is_set():
            for ready in select.select([self._near, self._far], [], [], POLL_SECONDS)[0]:
                datagram, source = ready.recvfrom(2048)
                if ready is self._near:
                    sender = source
                    self._recorded.append(datagram)
                    self._far.sendto(datagram, self._receiver)
                elif sender is not None:
                    self._near.sendto(datagram, sender)
