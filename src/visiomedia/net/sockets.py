"""UDP sockets for the plane: one a local address, all on one port. By kernels where the host has them."""

import contextlib
import errno
import socket
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from visiomedia.batch import PacketBatch
from visiomedia.engine import Address
from visiomedia.errors import ConfigurationError
from visiomedia.jit import HAS_NUMBA
from visiomedia.net.addresses import family_of
from visiomedia.net.structures import SocketTables, make_socket_tables

SOCKET_BUFFER = 4 << 20
"""Bytes that are asked for, each way; the system may give less, unless we may go beyond its limit."""

SO_TIMESTAMPNS = 35
SO_RXQ_OVFL = 40
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2
IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO = 23, 2
PORT_ATTEMPTS = 20

NOT_OURS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


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

    Raises ConfigurationError, which names the address, where that port is taken or the address is not ours.
    """
    if not addresses:
        raise ConfigurationError("addresses", list(addresses), "at least one")
    attempts = PORT_ATTEMPTS if port == 0 else 1
    while True:
        attempts -= 1
        chosen = port
        with contextlib.ExitStack() as opened:
            bound: list[socket.socket] = []
            for host in addresses:
                try:
                    bound.append(opened.enter_context(_bind_one(host, chosen)))
                except OSError as error:
                    if error.errno == errno.EADDRINUSE and attempts > 0:
                        break
                    raise _refusal(host, chosen, error) from error
                chosen = bound[0].getsockname()[1]
            else:
                opened.pop_all()
                return bound


def _refusal(host: str, port: int, error: OSError) -> ConfigurationError:
    reason = error.strerror or str(error)
    if error.errno in NOT_OURS:
        return ConfigurationError("address", host, f"an address of this machine ({reason})")
    return ConfigurationError("port", port, f"a UDP port that is free on {host} ({reason})")


def _bind_one(host: str, port: int) -> socket.socket:
    family = family_of(host)
    opened = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        _enlarge_buffers(opened)
        if sys.platform == "linux":
            opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            with contextlib.suppress(OSError):  # then what a full buffer loses is not seen
                opened.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
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


def _enlarge_buffers(opened: socket.socket) -> None:
    """Ask for SOCKET_BUFFER; some systems give less without a word, some refuse what is above their limit."""
    for option, beyond_limit in ((socket.SO_RCVBUF, SO_RCVBUFFORCE), (socket.SO_SNDBUF, SO_SNDBUFFORCE)):
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        if sys.platform == "linux":
            with contextlib.suppress(PermissionError):
                opened.setsockopt(socket.SOL_SOCKET, beyond_limit, SOCKET_BUFFER)


class BoundSockets:
    """The sockets themselves, and what both ways of using them share.

    A parent class, against the house's habit: by composition both would repeat five methods that only pass on.
    """

    def __init__(self, addresses: Sequence[str], port: int, *, segments: int = 1) -> None:
        self.sockets = bind(addresses, port)
        families = [4 if opened.family == socket.AF_INET else 6 for opened in self.sockets]
        self.tables = make_socket_tables(
            [(opened.fileno(), family) for opened, family in zip(self.sockets, families, strict=True)],
            segments=segments,
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
    """Whether this host has recvmmsg and sendmmsg for compiled kernels, and lays out structures as they do."""
    return HAS_NUMBA and sys.platform == "linux" and sys.maxsize > 2**32 and sys.byteorder == "little"
