"""What both daemons need of WebRTC beside aiortc itself (extra `[web]`)."""

from __future__ import annotations

import ipaddress

import aioice.ice

MAX_CANDIDATES = 32
"""Of an offer; browsers have fewer. Each is tried, which takes time, and may be anybody's address."""

_CANDIDATE = "a=candidate:"


def without_mdns(sdp: str) -> str:
    """The offer without candidates that are names: resolving `.local` ones takes multicast, and the browser, which is
    told our addresses, finds us anyway. Of the others the first MAX_CANDIDATES."""
    kept, candidates = [], 0
    for line in sdp.splitlines():
        if line.startswith(_CANDIDATE):
            candidates += _is_address(line.split())
            if candidates > MAX_CANDIDATES or not _is_address(line.split()):
                continue
        kept.append(line)
    return "\r\n".join(kept) + "\r\n"


def _is_address(words: list[str]) -> bool:
    """Whether a candidate (RFC 8839 section 5.1) has an address where there may be a name."""
    try:
        ipaddress.ip_address(words[4].partition("%")[0])
    except (IndexError, ValueError):
        return False
    return True


def allow_loopback() -> None:
    """Let a host without any network offer 127.0.0.1, which aioice leaves out even then."""
    original = aioice.ice.get_host_addresses
    if getattr(original, "semcast", False):
        return

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return original(use_ipv4, use_ipv6) or (["127.0.0.1"] if use_ipv4 else [])

    addresses.semcast = True  # type: ignore[attr-defined]
    aioice.ice.get_host_addresses = addresses
