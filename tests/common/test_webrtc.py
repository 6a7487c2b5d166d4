from __future__ import annotations

import aioice.ice
import pytest

from common.webrtc import allow_loopback, without_mdns


def test_mdns_candidates_are_left_out() -> None:
    lines = [
        "v=0",
        "a=candidate:1 1 udp 1 abcd.local 5000 typ host",
        "a=candidate:2 1 udp 1 10.0.0.1 5000 typ host",
    ]
    assert without_mdns("\r\n".join(lines)) == f"{lines[0]}\r\n{lines[2]}\r\n"


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
