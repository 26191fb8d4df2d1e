"""Hosts and their bytes: 16-byte addresses with IPv4 mapped (RFC 4291), sockaddr structures, this machine's own."""

import ipaddress
import socket
import struct

import ifaddr

from visiomedia.engine import Address
from visiomedia.errors import ConfigurationError
from visiomedia.net.tables import PathKind

_MAPPED = bytes(10) + b"\xff\xff"


def family_of(host: str) -> int:
    """4 or 6. Raises ConfigurationError for what is no address."""
    try:
        return ipaddress.ip_address(host).version
    except ValueError as error:
        raise ConfigurationError("address", host, "an IPv4 or IPv6 address") from error


def address_to_bytes(host: str) -> bytes:
    """16 bytes, IPv4 mapped. ``host`` is an address already (``family_of`` tells)."""
    return socket.inet_pton(socket.AF_INET6, host if ":" in host else f"::ffff:{host}")


def address_from_bytes(data: bytes) -> str:
    """The host of 16 bytes; a mapped address is written as IPv4."""
    if data[:12] == _MAPPED:
        return socket.inet_ntoa(data[12:])
    return socket.inet_ntop(socket.AF_INET6, data)


def sockaddr(host: str, port: int) -> bytes:
    """struct sockaddr_in or sockaddr_in6, as Linux lays it out."""
    if family_of(host) == 4:
        return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)
    head = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0)
    return head + socket.inet_pton(socket.AF_INET6, host) + bytes(4)


def path_command(address: Address, transport: int) -> tuple[tuple[int, ...], bytes]:
    """Values and body of ADD_PATH for a remote address."""
    name = sockaddr(address.host, address.port)
    values = (PathKind.UDP, transport, address.socket, address.port, len(name))
    return values, address_to_bytes(address.host) + name.ljust(28, b"\0")


def interface_addresses() -> list[str]:
    """This machine's addresses that a peer may reach, loopback first; no link-local ones.

    Order: IPv4 before IPv6, as an SDP's default address is the first.
    """
    found: list[ipaddress.IPv4Address | ipaddress.IPv6Address] = []
    for adapter in ifaddr.get_adapters():
        for entry in adapter.ips:
            address = ipaddress.ip_address(entry.ip if isinstance(entry.ip, str) else entry.ip[0])
            if not address.is_link_local and address not in found:
                found.append(address)
    found.sort(key=lambda address: (not address.is_loopback, address.version, int(address)))
    return [str(address) for address in found] or ["127.0.0.1"]
