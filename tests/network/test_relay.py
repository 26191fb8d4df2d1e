"""The UDP relay: seeded fates, distinct peers, and honest counts."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.network.relay import DirectionCounts, HostAndPort, Impairment, LossyRelay, is_media

RTP = b"\x80"
STUN = b"\x00"


class Endpoint:
    """A UDP socket on loopback that keeps what it receives, and answers with it if it is an echo."""

    def __init__(self, *, is_echo: bool = False, host: str = "127.0.0.1") -> None:
        self.received: list[bytes] = []
        self.senders: list[HostAndPort] = []
        self._is_echo = is_echo
        self._host = host
        self._arrived = asyncio.Event()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Endpoint"]:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as self._socket:
            self._socket.setblocking(False)
            self._socket.bind((self._host, 0))
            loop = asyncio.get_running_loop()
            loop.add_reader(self._socket, self._read)
            try:
                yield self
            finally:
                loop.remove_reader(self._socket)

    @property
    def address(self) -> HostAndPort:
        host, port = self._socket.getsockname()[:2]
        return host, port

    def send(self, data: bytes, port: int) -> None:
        self._socket.sendto(data, (self._host, port))

    def _read(self) -> None:
        data, address = self._socket.recvfrom(2048)
        self.received.append(data)
        self.senders.append(address[:2])
        self._arrived.set()
        if self._is_echo:
            self._socket.sendto(data, address)

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.received) < count:
                self._arrived.clear()
                await self._arrived.wait()


async def settle(counts: DirectionCounts, received: int) -> None:
    """Return once the relay has taken in so many datagrams: it reads in turns of this same loop."""
    async with asyncio.timeout(5):
        while counts.received < received:  # noqa: ASYNC110  # the counts are plain integers
            await asyncio.sleep(0)


@asynccontextmanager
async def relayed(
    *, is_echo: bool = False, host: str = "127.0.0.1", seed: int = 0, **impairments: Impairment
) -> AsyncIterator[tuple[Endpoint, LossyRelay, Endpoint]]:
    """A server, the relay before it, and a client."""
    async with (
        Endpoint(is_echo=is_echo, host=host).opened() as server,
        Endpoint(host=host).opened() as client,
        LossyRelay(server.address, seed=seed, **impairments) as relay,  # type: ignore[arg-type]  # by direction
    ):
        yield server, relay, client


def datagram(number: int, first: bytes = RTP) -> bytes:
    return first + number.to_bytes(2, "big")


async def what_survives(seed: int, count: int, impairment: Impairment) -> list[bytes]:
    """What a server receives of ``count`` RTP datagrams."""
    async with relayed(seed=seed, to_server=impairment) as (server, relay, client):
        for number in range(count):
            client.send(datagram(number), relay.port)
            await settle(relay.to_server, number + 1)
        await server.wait_for(count - relay.to_server.lost + relay.to_server.duplicated)
    return server.received


async def test_datagrams_pass_both_ways_unharmed() -> None:
    async with relayed(is_echo=True) as (_, relay, client):
        for number in range(100):
            client.send(datagram(number), relay.port)
        await client.wait_for(100)
        assert relay.to_server == DirectionCounts(received=100, sent=100, media=100)
        assert relay.to_client == DirectionCounts(received=100, sent=100, media=100)
        assert client.senders == [(relay.host, relay.port)] * 100
    assert client.received == [datagram(number) for number in range(100)]


async def test_ipv6_passes_too() -> None:
    async with relayed(is_echo=True, host="::1") as (_, relay, client):
        client.send(b"over six", relay.port)
        await client.wait_for(1)
    assert client.received == [b"over six"]


async def test_the_server_sees_a_peer_for_every_client() -> None:
    async with relayed() as (server, relay, first), Endpoint().opened() as second:
        first.send(b"one", relay.port)
        await server.wait_for(1)
        second.send(b"two", relay.port)
        await server.wait_for(2)
        first.send(b"three", relay.port)
        await server.wait_for(3)
        assert server.senders[0] == server.senders[2] != server.senders[1]
        assert relay.clients == {first.address: server.senders[0], second.address: server.senders[1]}


async def test_loss_is_as_large_as_asked_and_repeats_with_its_seed() -> None:
    once = await what_survives(1, 1000, Impairment(loss=0.05))
    again = await what_survives(1, 1000, Impairment(loss=0.05))
    other = await what_survives(2, 1000, Impairment(loss=0.05))
    assert 920 < len(once) < 980
    assert once == again
    assert once != other


async def test_a_short_form_sets_both_directions_alike() -> None:
    async with (
        Endpoint(is_echo=True).opened() as server,
        Endpoint().opened() as client,
        LossyRelay(server=server.address, loss=0.5, seed=1) as relay,
    ):
        for number in range(100):
            client.send(datagram(number), relay.port)
        await settle(relay.to_server, 100)
        await settle(relay.to_client, relay.to_server.sent)
        assert 30 < relay.to_server.lost < 70
        assert 0 < relay.to_client.lost < relay.to_client.received


async def test_a_clients_fate_does_not_depend_on_other_clients() -> None:
    half = Impairment(loss=0.5)
    alone = await what_survives(7, 100, half)
    async with relayed(seed=7, to_server=half) as (server, relay, client), Endpoint().opened() as other:
        for number in range(100):
            client.send(datagram(number), relay.port)
            await settle(relay.to_server, 2 * number + 1)
            other.send(b"x", relay.port)
            await settle(relay.to_server, 2 * number + 2)
        await server.wait_for(relay.to_server.sent)
    assert [data for data in server.received if data != b"x"] == alone


async def test_directions_are_independent() -> None:
    async with relayed(is_echo=True, to_client=Impairment(loss=1.0)) as (_, relay, client):
        for number in range(20):
            client.send(datagram(number), relay.port)
        await settle(relay.to_client, 20)
        assert (relay.to_server.lost, relay.to_client.lost) == (0, 20)
    assert client.received == []


async def test_only_media_is_harmed_where_the_handshake_must_pass() -> None:
    async with relayed(to_server=Impairment(loss=1.0, only_media=True)) as (server, relay, client):
        client.send(datagram(1, RTP), relay.port)
        client.send(datagram(2, STUN), relay.port)
        await server.wait_for(1)
        assert relay.to_server == DirectionCounts(received=2, lost=1, sent=1, media=1)
    assert server.received == [datagram(2, STUN)]


async def test_duplicates_arrive_twice() -> None:
    survivors = await what_survives(3, 200, Impairment(duplicated=0.25))
    assert 30 < len(survivors) - 200 < 70
    assert set(survivors) == {datagram(number) for number in range(200)}


async def test_reordered_datagrams_arrive_after_later_ones() -> None:
    survivors = await what_survives(4, 200, Impairment(reordered=0.1))
    assert sorted(survivors) == [datagram(number) for number in range(200)] != survivors


async def test_delayed_datagrams_arrive_late_and_in_order() -> None:
    started = asyncio.get_running_loop().time()
    survivors = await what_survives(5, 20, Impairment(delay=0.03))
    assert survivors == [datagram(number) for number in range(20)]
    assert asyncio.get_running_loop().time() - started >= 0.03


async def test_impairment_changes_while_datagrams_flow() -> None:
    async with relayed() as (server, relay, client):
        client.send(b"before", relay.port)
        await server.wait_for(1)
        relay.impair(to_server=Impairment(loss=1.0))
        client.send(b"during", relay.port)
        await settle(relay.to_server, 2)
        relay.impair(to_server=Impairment())
        client.send(b"after", relay.port)
        await server.wait_for(2)
    assert server.received == [b"before", b"after"]


async def test_a_server_that_is_not_there_harms_nobody() -> None:
    async with Endpoint().opened() as gone:
        address = gone.address
    async with Endpoint().opened() as client, LossyRelay(address) as relay:
        for number in range(5):
            client.send(datagram(number), relay.port)
            await settle(relay.to_server, number + 1)
        assert relay.to_server.received == 5
        assert relay.to_server.lost + relay.to_server.sent == 5


@pytest.mark.parametrize(
    ("first", "media"), [(0, False), (20, False), (127, False), (128, True), (191, True), (192, False)]
)
def test_media_is_known_by_its_first_byte(first: int, media: bool) -> None:
    assert is_media(bytes([first])) is media


def test_nothing_is_not_media() -> None:
    assert not is_media(b"")
