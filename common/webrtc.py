"""What both daemons need of WebRTC beside aiortc itself (extra `[web]`)."""

from __future__ import annotations

import aioice.ice


def without_mdns(sdp: str) -> str:
    """The offer without `.local` candidates: resolving them takes multicast, and the browser, which is told our
    addresses, finds us anyway."""
    lines = sdp.splitlines()
    kept = [line for line in lines if not (line.startswith("a=candidate:") and ".local " in line)]
    return "\r\n".join(kept) + "\r\n"


def allow_loopback() -> None:
    """Let a host without any network offer 127.0.0.1, which aioice leaves out even then."""
    original = aioice.ice.get_host_addresses
    if getattr(original, "semcast", False):
        return

    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return original(use_ipv4, use_ipv6) or (["127.0.0.1"] if use_ipv4 else [])

    addresses.semcast = True  # type: ignore[attr-defined]
    aioice.ice.get_host_addresses = addresses
