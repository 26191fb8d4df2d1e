"""A UDP relay between clients and one server: loses, delays, doubles and reorders datagrams as a seed says.

Every client has an upstream socket of its own, so that the server sees distinct peers. Put the relay's
port in place of the server's in a candidate, and both directions of that leg pass here.
"""

import asyncio
import random
import socket
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

MAX_DATAGRAM = 65_535
SOCKET_BUFFER = 4 << 20
"""Bytes asked for, so that what is lost is lost by the seed and not by a full socket."""

DATAGRAMS_A_TURN = 64
"""Read from one socket before the loop may go on to others."""

HostAndPort = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """What happens to the datagrams of one direction. Shares are between 0 and 1, times are seconds."""

    loss: float = 0.0
    delay: float = 0.0
    duplicated: float = 0.0
    """Share of datagrams that arrive twice."""
    reordered: float = 0.0
    """Share of datagrams that arrive ``reordering_delay`` later than they would have."""
    reordering_delay: float = 0.02
    only_media: bool = False
    """Spare STUN and DTLS: only what RFC 7983 calls RTP or RTCP is harmed."""


@dataclass(slots=True)
class DirectionCounts:
    """Datagrams of one direction: once none is under way, ``received + duplicated == lost + sent``."""

    received: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    sent: int = 0
    media: int = 0
    """Of those received, how many were RTP or RTCP."""


@dataclass(slots=True)
class _Client:
    address: HostAndPort
    upstream: socket.socket
    to_server: random.Random
    to_client: random.Random


@dataclass(slots=True)
class _Direction:
    impairment: Impairment
    counts: DirectionCounts = field(default_factory=DirectionCounts)


class LossyRelay:
    """Relays UDP between the clients that write to ``port`` and ``server``; an asynchronous context manager.

    ``loss`` and ``only_media`` set both directions alike; ``to_server`` and ``to_client`` say more about one.
    With the same seed, a client's harmed datagrams meet the same fates, whatever the other clients do.
    """

    def __init__(
        self,
        server: HostAndPort,
        *,
        loss: float = 0.0,
        only_media: bool = False,
        seed: int = 0,
        to_server: Impairment | None = None,
        to_client: Impairment | None = None,
    ) -> None:
        both = Impairment(loss=loss, only_media=only_media)
        self._server = server
        self._seed = seed
        self._up = _Direction(to_server or both)
        self._down = _Direction(to_client or both)
        self._clients: dict[HostAndPort, _Client] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._socket: socket.socket | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._socket = _open_socket(self._server[0])
        self._socket.bind((self._server[0], 0))
        self._loop.add_reader(self._socket, self._read_from_clients, self._socket)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for open_socket in [self._listening(), *(client.upstream for client in self._clients.values())]:
            self._loop.remove_reader(open_socket)
            open_socket.close()
        self._socket = None

    @property
    def host(self) -> str:
        """The address that clients write to: the one the server has, so that families agree."""
        return self._server[0]

    @property
    def port(self) -> int:
        """The port that clients write to instead of the server's."""
        return int(self._listening().getsockname()[1])

    @property
    def to_server(self) -> DirectionCounts:
        """What has happened so far to datagrams of all clients toward the server."""
        return self._up.counts

    @property
    def to_client(self) -> DirectionCounts:
        """What has happened so far to datagrams of the server toward all clients."""
        return self._down.counts

    @property
    def clients(self) -> dict[HostAndPort, HostAndPort]:
        """Every client's address, and the address by which the server knows it."""
        return {client.address: client.upstream.getsockname()[:2] for client in self._clients.values()}

    def impair(self, *, to_server: Impairment | None = None, to_client: Impairment | None = None) -> None:
        """Change a direction while datagrams flow; a direction that is not named stays as it is."""
        self._up.impairment = to_server or self._up.impairment
        self._down.impairment = to_client or self._down.impairment

    def _listening(self) -> socket.socket:
        assert self._socket is not None, "a relay is used inside its async with"
        return self._socket

    def _read_from_clients(self, listening: socket.socket) -> None:
        for _ in range(DATAGRAMS_A_TURN):
            try:
                data, address = listening.recvfrom(MAX_DATAGRAM)
            except (BlockingIOError, ConnectionError):
                return
            client = self._client(address[:2])
            self._pass_on(self._up, client.to_server, data, client.upstream, None)

    def _read_from_server(self, client: _Client) -> None:
        for _ in range(DATAGRAMS_A_TURN):
            try:
                data = client.upstream.recv(MAX_DATAGRAM)
            except (BlockingIOError, ConnectionError):
                return
            self._pass_on(self._down, client.to_client, data, self._listening(), client.address)

    def _client(self, address: HostAndPort) -> _Client:
        client = self._clients.get(address)
        if client is None:
            upstream = _open_socket(self._server[0])
            upstream.connect(self._server)
            number = len(self._clients)
            fates = (random.Random(f"{self._seed}/{number}/{direction}") for direction in ("up", "down"))
            client = self._clients[address] = _Client(address, upstream, *fates)
            self._loop.add_reader(upstream, self._read_from_server, client)
        return client

    def _pass_on(
        self,
        direction: _Direction,
        fate: random.Random,
        data: bytes,
        through: socket.socket,
        to: HostAndPort | None,
    ) -> None:
        impairment, counts = direction.impairment, direction.counts
        media = is_media(data)
        counts.received += 1
        counts.media += media
        delay, copies = impairment.delay, 1
        if media or not impairment.only_media:
            # Three draws a datagram, whatever comes of them: its own fate does not shift the next one's.
            loss, duplicate, reorder = fate.random(), fate.random(), fate.random()
            if loss < impairment.loss:
                counts.lost += 1
                return
            if duplicate < impairment.duplicated:
                counts.duplicated += 1
                copies = 2
            if reorder < impairment.reordered:
                counts.reordered += 1
                delay += impairment.reordering_delay
        for _ in range(copies):
            self._send_after(delay, counts, data, through, to)

    def _send_after(
        self,
        delay: float,
        counts: DirectionCounts,
        data: bytes,
        through: socket.socket,
        to: HostAndPort | None,
    ) -> None:
        if delay <= 0:
            _send(counts, data, through, to)
            return

        def send() -> None:
            self._timers.discard(timer)
            _send(counts, data, through, to)

        timer = self._loop.call_later(delay, send)
        self._timers.add(timer)


def is_media(data: bytes) -> bool:
    """Whether a datagram is RTP or RTCP by its first byte (RFC 7983 section 7)."""
    return len(data) > 0 and 128 <= data[0] <= 191


def _open_socket(host: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        opened.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
    return opened


def _send(counts: DirectionCounts, data: bytes, through: socket.socket, to: HostAndPort | None) -> None:
    try:
        if to is None:
            through.send(data)
        else:
            through.sendto(data, to)
    except (BlockingIOError, ConnectionError):
        counts.lost += 1  # nobody listens there, or the socket is full: UDP's own loss
        return
    counts.sent += 1
