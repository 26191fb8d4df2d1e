"""aioice as the full, controlling agent against ours, over loopback sockets."""

import asyncio
import time
from typing import cast

import aioice
import aioice.ice
import pytest

from visiomedia.engine import Address
from visiomedia.ice import (
    CandidatePairNominated,
    CandidatePairValidated,
    Credentials,
    LiteAgent,
    Restarted,
    UfragDirectory,
    host_candidate,
)

pytestmark = pytest.mark.interop


class LoopbackServer(asyncio.DatagramProtocol):
    """One socket that hands STUN to the agent its ufrag names, and echoes media of a selected address."""

    def __init__(self) -> None:
        self.directory: UfragDirectory[LiteAgent] = UfragDirectory(8)
        self.agents: list[LiteAgent] = []
        self.transport: asyncio.DatagramTransport | None = None
        self.has_dropped = asyncio.Event()
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)

    async def close(self) -> None:
        """Returns once the socket is closed."""
        assert self.transport is not None
        self.transport.close()
        await self.closed

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        address = Address(0, addr[0], addr[1])
        if data[0] > 3:
            if any(agent.selected == address for agent in self.agents):
                self.transport.sendto(data, addr)
            return
        agent = self.directory.find(data)
        if agent is not None:
            agent.receive_datagram(data, address, time.monotonic())
            answers = agent.datagrams_to_send()
            if not answers:
                self.has_dropped.set()
            for datagram in answers:
                self.transport.sendto(datagram.data, (datagram.address.host, datagram.address.port))


@pytest.fixture
def _loopback_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    def addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr(aioice.ice, "get_host_addresses", addresses)


async def dial(server: LoopbackServer, remote: Credentials, *, is_controlling: bool = True) -> aioice.Connection:
    """A connection of aioice to our credentials; its own are in its local_username and local_password."""
    assert server.transport is not None
    host, port = server.transport.get_extra_info("sockname")
    connection = aioice.Connection(ice_controlling=is_controlling)
    connection.remote_is_lite = True
    connection.remote_username, connection.remote_password = remote.ufrag, remote.password
    await connection.add_remote_candidate(aioice.Candidate.from_sdp(host_candidate(host, port).serialize()))
    await connection.add_remote_candidate(None)
    await connection.gather_candidates()
    return connection


async def open_server() -> LoopbackServer:
    loop = asyncio.get_running_loop()
    _, server = await loop.create_datagram_endpoint(LoopbackServer, local_addr=("127.0.0.1", 0))
    return server


def credentials_of(connection: aioice.Connection) -> Credentials:
    return Credentials(connection.local_username, connection.local_password)


@pytest.mark.usefixtures("_loopback_candidates")
@pytest.mark.parametrize("is_controlling", [True, False])
async def test_aioice_connects_in_whichever_role_it_starts(is_controlling: bool) -> None:
    server = await open_server()
    local = Credentials.generate()
    connection = await dial(server, local, is_controlling=is_controlling)
    agent = LiteAgent(local, credentials_of(connection))
    server.directory.register(local.ufrag, agent)
    server.agents.append(agent)
    try:
        await connection.connect()
        host, port = connection.local_candidates[0].host, connection.local_candidates[0].port
        events = agent.events()
        assert isinstance(events[0], CandidatePairValidated)
        assert events[1] == CandidatePairNominated(Address(0, host, port))
        assert agent.counters.role_conflict == (0 if is_controlling else 1)
        await connection.send(b"\x80media")
        assert await connection.recv() == b"\x80media"
    finally:
        await connection.close()
        await server.close()


@pytest.mark.usefixtures("_loopback_candidates")
async def test_aioice_takes_over_a_session_by_a_restart() -> None:
    server = await open_server()
    local, renewed = Credentials.generate(), Credentials.generate()
    first = await dial(server, local)
    second = await dial(server, renewed)
    agent = LiteAgent(local, credentials_of(first))
    server.agents.append(agent)
    server.directory.register(local.ufrag, agent)
    try:
        await first.connect()
        agent.restart(renewed, credentials_of(second), time.monotonic())
        server.directory.register(renewed.ufrag, agent)
        agent.events()
        await second.connect()
        assert Restarted(renewed.ufrag) in agent.events()
        assert agent.selected == Address(0, "127.0.0.1", second.local_candidates[0].port)
    finally:
        await first.close()
        await second.close()
        await server.close()


@pytest.mark.usefixtures("_loopback_candidates")
async def test_aioice_with_a_wrong_password_gets_no_answer() -> None:
    server = await open_server()
    local = Credentials.generate()
    connection = await dial(server, Credentials(local.ufrag, "aGuessedPasswordOfLetters"))
    agent = LiteAgent(local, credentials_of(connection))
    server.directory.register(local.ufrag, agent)
    try:
        connecting = asyncio.create_task(connection.connect())
        await server.has_dropped.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert agent.counters.bad_integrity > 0
        assert agent.counters.answered == 0
    finally:
        await connection.close()
        await server.close()
