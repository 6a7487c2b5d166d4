"""Multicast groups, IPv4 and IPv6: one stream, many receivers, no way back."""

from __future__ import annotations

import ipaddress
import socket
import struct

ANY = ""
"""Let the system choose the network interface."""


def is_group(host: str) -> bool:
    """Whether an address (not a name) is that of a multicast group."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_multicast
    except ValueError:
        return False


def send_options(sock: socket.socket, hops: int, interface: str = ANY) -> None:
    """Let packets to a group pass so many routers (1: none), out of a network interface such as `eth0`. OSError where
    there is no such interface."""
    index = _index(interface)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, hops)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, hops)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _ip_mreqn("0.0.0.0", index))


def connected(group: str, port: int, hops: int, interface: str = ANY) -> socket.socket:
    """A socket that sends to a group, see `send_options`; not blocking. Raises OSError.

    The interface is set before connecting: a host without a route to groups then has one."""
    found = socket.getaddrinfo(group, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    family, _, _, _, address = found[0]
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        send_options(sock, hops, interface)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def join(sock: socket.socket, group: str, interface: str = ANY) -> None:
    """Receive what is sent to a group on a network interface. OSError where that is not possible."""
    index = _index(interface)
    if sock.family == socket.AF_INET6:
        request = socket.inet_pton(socket.AF_INET6, group.partition("%")[0]) + struct.pack("=I", index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, _ip_mreqn(group, index))


def _index(interface: str) -> int:
    return socket.if_nametoindex(interface) if interface else 0


def _ip_mreqn(group: str, index: int) -> bytes:
    """struct ip_mreqn of ip(7)."""
    return socket.inet_aton(group) + socket.inet_aton("0.0.0.0") + struct.pack("=i", index)
