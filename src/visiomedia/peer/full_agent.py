"""A full ICE agent (RFC 8445) that checks from the plane's own sockets.

aioice holds the conversation; its datagrams leave by the plane's port and come back by it, so that a peer that was
dialled costs no socket and its media take the same way as everybody's.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import aioice
from aioice.ice import StunProtocol

from visiomedia.engine import Address
from visiomedia.ice.credentials import Credentials
from visiomedia.plane import Plane, TransportOwner
from visiomedia.sdp.attributes import Candidate


class _SocketOfPlane(asyncio.DatagramTransport):
    """One socket of the plane, as aioice writes to it. Responses to what it asks are led back to the owner."""

    def __init__(self, plane: Plane, owner: TransportOwner, local: Address) -> None:
        super().__init__()
        self._plane, self._owner, self._local = plane, owner, local
        self.protocol: StunProtocol | None = None

    def sendto(self, data: Any, addr: Any = None) -> None:
        """asyncio's; ``addr``: host and port."""
        datagram = bytes(data)
        self._plane.directory.expect_answer(datagram, self._owner)
        self._plane.send_unproven(datagram, Address(self._local.socket, *addr[:2]))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """asyncio's."""
        return (self._local.host, self._local.port) if name == "sockname" else default

    def close(self) -> None:
        """asyncio's. The socket is the plane's and stays."""
        if self.protocol is not None:
            self.protocol.connection_lost(None)


class _Connection(aioice.Connection):
    """aioice's agent on sockets that exist."""

    def __init__(self, sockets: Sequence[_SocketOfPlane], *, is_controlling: bool, local: Credentials) -> None:
        super().__init__(is_controlling, local_username=local.ufrag, local_password=local.password)
        self._sockets = sockets
        self.protocols: dict[int, StunProtocol] = {}
        """By the plane's socket."""

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 5,  # noqa: ASYNC109 (aioice's signature)
    ) -> list[aioice.Candidate]:
        """What aioice would bind sockets for: one candidate for each socket of the plane."""
        for preference, socket in enumerate(self._sockets):
            host, port = socket.get_extra_info("sockname")
            protocol = StunProtocol(self)
            protocol.connection_made(socket)
            protocol.local_candidate = aioice.Candidate(
                foundation=f"host{preference}",
                component=component,
                transport="udp",
                # RFC 8445 section 5.1.2.1.
                priority=(126 << 24) | ((65535 - preference) << 8) | (256 - component),
                host=host,
                port=port,
                type="host",
            )
            socket.protocol = protocol
            self.protocols[socket._local.socket] = protocol
        self._protocols += self.protocols.values()
        return [protocol.local_candidate for protocol in self.protocols.values()]

    @property
    def nominated(self) -> Address:
        """The pair that was chosen: our socket, the peer's host and port."""
        pair = self._nominated[1]
        [index] = [index for index, protocol in self.protocols.items() if protocol is pair.protocol]
        return Address(index, *pair.remote_addr)


class FullAgent:
    """Finds a way to one peer and keeps it: checks, nomination, consent."""

    def __init__(self, plane: Plane, *, is_controlling: bool = True) -> None:
        self._plane = plane
        self.credentials = Credentials.generate()
        self._is_controlling = is_controlling
        self._connection: _Connection | None = None

    def _open(self, owner: TransportOwner) -> _Connection:
        if self._connection is None:
            sockets = [_SocketOfPlane(self._plane, owner, address) for address in self._plane.local_addresses]
            self._connection = _Connection(sockets, is_controlling=self._is_controlling, local=self.credentials)
        return self._connection

    async def run(
        self,
        owner: TransportOwner,
        remote: Credentials,
        candidates: Sequence[Candidate],
        *,
        remote_is_lite: bool,
        nominated: Callable[[Address], None],
    ) -> str:
        """Connect, tell ``nominated`` where, and hold on until consent is lost; returns why it ended.

        ``owner`` gets what the peer answers, and passes STUN on to ``receive_datagram``.
        """
        connection = self._open(owner)
        await connection.gather_candidates()
        connection.remote_username, connection.remote_password = remote.ufrag, remote.password
        connection.remote_is_lite = remote_is_lite
        for candidate in candidates:
            with contextlib.suppress(ValueError):  # a kind that this agent does not know
                await connection.add_remote_candidate(aioice.Candidate.from_sdp(candidate.serialize()))
        await connection.add_remote_candidate(None)
        try:
            await connection.connect()
        except ConnectionError as error:
            return f"ICE: {error}"
        nominated(connection.nominated)
        await connection.get_event()
        return "consent expired: the peer answers no checks (RFC 7675)"

    def receive_datagram(self, data: bytes, address: Address) -> None:
        """A STUN datagram of the peer's."""
        protocol = None if self._connection is None else self._connection.protocols.get(address.socket)
        if protocol is not None:
            protocol.datagram_received(data, (address.host, address.port))

    async def close(self) -> None:
        """End all checks. Harmless when closed."""
        if self._connection is not None:
            await self._connection.close()
