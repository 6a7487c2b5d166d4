"""Asks a daemon for its figures over HTTP."""

from __future__ import annotations

import http.client
import time

from common.clock import monotonic
from common.stats.scrape import Scrape, StatsError, read_exposition
from common.values import Address

TIMEOUT_S = 2.0
MAX_BYTES = 4 << 20
"""An exposition of ours has some tens of kilobytes."""

HERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""What listens everywhere is asked on this host."""


def fetch(address: Address) -> Scrape:
    """One reading.  Blocks for at most some seconds.  Raises OSError when nobody answers, StatsError otherwise."""
    connection = http.client.HTTPConnection(
        HERE.get(address.host, address.host), address.port, timeout=TIMEOUT_S
    )
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        if answer.status != 200:
            raise StatsError(f"answers {answer.status} {answer.reason}"[:80])
        body = answer.read(MAX_BYTES + 1)
    except http.client.HTTPException as error:
        raise StatsError(f"does not speak HTTP ({type(error).__name__})") from None
    finally:
        connection.close()
    if len(body) > MAX_BYTES:
        raise StatsError(f"sends more than {MAX_BYTES >> 20} MiB")
    return read_exposition(body.decode(errors="replace"), monotonic(), time.time())


def reason(error: Exception) -> str:
    """Why there was no reading, in a few words."""
    return (
        (error.strerror or str(error) or type(error).__name__) if isinstance(error, OSError) else str(error)
    )
