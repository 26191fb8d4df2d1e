"""UDP sockets for the plane: one a local address, all on one port. By kernels where the host has them."""

import contextlib
import socket
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from visiomedia.batch import PacketBatch
from visiomedia.engine import Address
from visiomedia.errors import ConfigurationError
from visiomedia.jit import HAS_NUMBA
from visiomedia.net.addresses import family_of, sockaddr
from visiomedia.net.structures import SocketTables, make_socket_tables

SOCKET_BUFFER = 4 << 20
"""Bytes that are asked for, each way; the system may give less."""

SO_TIMESTAMPNS = 35
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2
IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO = 23, 2
PORT_ATTEMPTS = 20


class DatagramSockets(Protocol):
    """What the plane wants of its sockets. Two implementations: kernels (``udp``) and portable calls (``portable``)."""

    tables: SocketTables

    @property
    def local_addresses(self) -> list[Address]:
        """Socket index, host and port of each."""

    def filenos(self) -> list[int]:
        """File descriptors to wait on."""

    def receive(self, batch: PacketBatch, now: int) -> int:
        """Append what has arrived to an inbound batch; returns how many rows."""

    def send(self, out: PacketBatch, paths: NDArray[Any]) -> None:
        """Send every row that was not dropped."""

    def send_one(self, data: bytes, address: Address) -> None:
        """Send one datagram outside of any batch; lost where the system refuses it."""

    def close(self) -> None:
        """Close every socket."""


def bind(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """One bound, non-blocking socket an address, all on one port; port 0 chooses one that is free on all.

    Raises ConfigurationError where that port is taken.
    """
    if not addresses:
        raise ConfigurationError("addresses", list(addresses), "at least one")
    attempts = PORT_ATTEMPTS if port == 0 else 1
    for attempt in range(attempts):
        bound: list[socket.socket] = []
        chosen = port
        try:
            for host in addresses:
                bound.append(_bind_one(host, chosen))
                chosen = bound[0].getsockname()[1]
            return bound
        except OSError as error:
            for opened in bound:
                opened.close()
            if attempt + 1 == attempts:
                raise ConfigurationError(
                    "port", chosen, f"a UDP port free on {', '.join(addresses)} ({error.strerror or error})"
                ) from error
    raise AssertionError("the last attempt returned or raised")


def _bind_one(host: str, port: int) -> socket.socket:
    family = family_of(host)
    opened = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            opened.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        if sys.platform == "linux":
            opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            # WebRTC's packets are sized by their senders; a router must not cut them.
            if family == 4:
                opened.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            else:
                opened.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO)
        if family == 6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((host, port))
    except OSError:
        opened.close()
        raise
    return opened


class BoundSockets:
    """The sockets themselves, and what both ways of using them share."""

    def __init__(self, addresses: Sequence[str], port: int) -> None:
        self.sockets = bind(addresses, port)
        families = [4 if opened.family == socket.AF_INET else 6 for opened in self.sockets]
        self.tables = make_socket_tables(
            [(opened.fileno(), family) for opened, family in zip(self.sockets, families, strict=True)]
        )

    @property
    def local_addresses(self) -> list[Address]:
        """Socket index, host and port of each."""
        return [Address(number, *opened.getsockname()[:2]) for number, opened in enumerate(self.sockets)]

    def filenos(self) -> list[int]:
        """File descriptors to wait on."""
        return [opened.fileno() for opened in self.sockets]

    def send_one(self, data: bytes, address: Address) -> None:
        """Send one datagram; lost where the system refuses it."""
        with contextlib.suppress(OSError):
            self.sockets[address.socket].sendto(data, (address.host, address.port))

    def close(self) -> None:
        """Close every socket."""
        for opened in self.sockets:
            opened.close()


def kernels_available() -> bool:
    """Whether this host has recvmmsg and sendmmsg for compiled kernels."""
    return HAS_NUMBA and sys.platform == "linux" and sys.maxsize > 2**32


__all__ = ["BoundSockets", "DatagramSockets", "bind", "kernels_available", "sockaddr"]
