from __future__ import annotations

import aioice.ice
import pytest

from common.webrtc import MAX_CANDIDATES, allow_loopback, without_mdns


def test_mdns_candidates_are_left_out() -> None:
    lines = [
        "v=0",
        "a=candidate:1 1 udp 1 abcd.local 5000 typ host",
        "a=candidate:2 1 udp 1 10.0.0.1 5000 typ host",
    ]
    assert without_mdns("\r\n".join(lines)) == f"{lines[0]}\r\n{lines[2]}\r\n"


def test_candidates_are_few_and_addresses() -> None:
    bad = [
        "a=candidate:1 1 udp 1 X.LOCAL 5000 typ host",
        "a=candidate:1 1 udp 1 evil.example 9 typ host",
        "a=candidate:",
    ]
    good = [f"a=candidate:{n} 1 udp 1 10.0.0.{n} 5000 typ host" for n in range(100)]
    assert without_mdns("\n".join([*bad, *good, "a=mid:0"])).splitlines() == [
        *good[:MAX_CANDIDATES],
        "a=mid:0",
    ]


@pytest.mark.parametrize(
    ("own", "offered"), [([], ["127.0.0.1"]), (["192.0.2.5"], ["192.0.2.5"])], ids=["alone", "network"]
)
def test_loopback_is_offered_by_a_host_without_a_network_alone(
    monkeypatch: pytest.MonkeyPatch, own: list[str], offered: list[str]
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: own)
    allow_loopback()
    allow_loopback()
    assert aioice.ice.get_host_addresses(True, True) == offered
    assert aioice.ice.get_host_addresses(False, True) == own
