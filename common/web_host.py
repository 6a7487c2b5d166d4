"""Which names a page that is for this host alone answers to."""

from __future__ import annotations

import contextlib
import ipaddress
from urllib.parse import urlsplit


def own_host(host: str) -> bool:
    """Whether a Host header is an address or localhost: a foreign name may be DNS rebinding."""
    name = ""
    with contextlib.suppress(ValueError):
        name = (
            urlsplit(f"//{host}").hostname if "[" not in host else host.strip("[]").partition("]")[0]
        ) or ""
        ipaddress.ip_address(name)
        return True
    return name.lower() == "localhost"
