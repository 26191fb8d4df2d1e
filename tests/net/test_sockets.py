"""Both ways of using UDP sockets, by one suite: the portable one is the oracle of the kernels."""

import contextlib
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.net.datagrams import contents, inbound, outbound, paths_to, plain_socket, sources
from visiomedia.batch import MAX_DATAGRAM, ROWS_USED, Drop, append_datagram
from visiomedia.engine import Address
from visiomedia.errors import ConfigurationError
from visiomedia.net import BatchUdp, DatagramSockets, PortableUdp
from visiomedia.net.sockets import BoundSockets, kernels_available

Open = Callable[..., DatagramSockets]

HOSTS = ["127.0.0.1", "::1"]
BURST = 500


class FullSocket(socket.socket):
    """Sends to whom it is connected, whatever the name: its kind has no hosts and ports."""

    def sendto(self, data: Any, *name: Any) -> int:  # of the standard's two forms, ours
        return self.send(data)


@pytest.fixture(params=[BatchUdp, PortableUdp])
def open_sockets(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens sockets of one kind and closes them."""
    if request.param is BatchUdp and not kernels_available():
        pytest.skip("kernels need numba on 64-bit Linux")
    with contextlib.ExitStack() as stack:

        def open_them(*addresses: str, port: int = 0) -> DatagramSockets:
            opened: DatagramSockets = request.param(addresses, port)
            stack.callback(opened.close)
            return opened

        yield open_them


@contextlib.contextmanager
def full_socket() -> Iterator[FullSocket]:
    """A socket whose buffer is full: of a kind whose other end nobody reads."""
    with FullSocket(socket.AF_UNIX, socket.SOCK_DGRAM) as full, socket.socket(full.family, full.type) as unread:
        unread.bind("")  # the system picks a name
        full.connect(unread.getsockname())
        full.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                full.send(b"never read")
        yield full


def receive_all(sockets: DatagramSockets, count: int, rows: int = 512) -> tuple[list[bytes], list[Address]]:
    """Batches until ``count`` datagrams have come."""
    found: list[bytes] = []
    came_from: list[Address] = []
    for _ in range(10_000):
        batch = inbound(rows)
        sockets.receive(batch, time.monotonic_ns())
        found += contents(batch)
        came_from += sources(batch)
        if len(found) >= count:
            break
    return found, came_from


@pytest.mark.parametrize("host", HOSTS)
def test_burst_arrives_whole_in_order_and_tells_where_it_came_from(open_sockets: Open, host: str) -> None:
    sockets = open_sockets(host)
    (local,) = sockets.local_addresses
    randomness = random.Random(1)
    burst = [randomness.randbytes(randomness.randint(1, 200)) for _ in range(BURST)]
    with plain_socket(host) as sender:
        for data in burst:
            sender.sendto(data, (host, local.port))
        batch = inbound()
        assert sockets.receive(batch, time.monotonic_ns()) == BURST
        assert contents(batch) == burst
        assert set(sources(batch)) == {Address(0, host, sender.getsockname()[1])}
        assert not batch.rows["drop"][:BURST].any()


@pytest.mark.parametrize("host", HOSTS)
def test_arrival_times_rise_and_are_close_to_now(open_sockets: Open, host: str) -> None:
    sockets = open_sockets(host)
    with plain_socket(host) as sender:
        started = time.monotonic_ns()
        for _ in range(BURST):
            sender.sendto(b"x", (host, sockets.local_addresses[0].port))
        now = time.monotonic_ns()
        batch = inbound()
        assert sockets.receive(batch, now) == BURST
    arrivals = batch.rows["arrival"][:BURST].astype(int).tolist()
    assert arrivals == sorted(arrivals)
    # Wall and monotonic clock are read one after the other: a slack of 5 ms at the start.
    assert arrivals[0] >= started - 5_000_000
    assert arrivals[-1] <= time.monotonic_ns()
    assert all(abs(arrival - now) < 50_000_000 + (now - started) for arrival in arrivals)


def test_a_full_batch_leaves_the_rest_for_the_next(open_sockets: Open) -> None:
    sockets = open_sockets("127.0.0.1")
    with plain_socket("127.0.0.1") as sender:
        for number in range(100):
            sender.sendto(number.to_bytes(2, "big"), ("127.0.0.1", sockets.local_addresses[0].port))
        batch = inbound(32)
        assert 0 < sockets.receive(batch, time.monotonic_ns()) <= 32
        assert sockets.receive(batch, time.monotonic_ns()) + 32 >= batch.state[ROWS_USED]
        assert batch.state[ROWS_USED] <= 32
        first = contents(batch)
        rest, _ = receive_all(sockets, 100 - len(first), 32)
    assert [int.from_bytes(data, "big") for data in first + rest] == list(range(100))


def test_a_batch_of_one_row_takes_the_longest_datagram(open_sockets: Open) -> None:
    sockets = open_sockets("127.0.0.1")
    with plain_socket("127.0.0.1") as sender:
        sender.sendto(b"a" * MAX_DATAGRAM, ("127.0.0.1", sockets.local_addresses[0].port))
    batch = inbound(1)
    assert sockets.receive(batch, time.monotonic_ns()) == 1
    assert contents(batch) == [b"a" * MAX_DATAGRAM]


def test_rows_are_appended_behind_those_of_a_batch(open_sockets: Open) -> None:
    sockets = open_sockets("127.0.0.1")
    batch = inbound(4)
    append_datagram(batch, b"held", arrival=1, address=bytes(16), port=9)
    with plain_socket("127.0.0.1") as sender:
        sender.sendto(b"new", ("127.0.0.1", sockets.local_addresses[0].port))
    assert sockets.receive(batch, time.monotonic_ns()) == 1
    assert contents(batch) == [b"held", b"new"]


def test_nothing_there_is_no_row(open_sockets: Open) -> None:
    sockets = open_sockets("127.0.0.1", "::1")
    batch = inbound()
    assert sockets.receive(batch, time.monotonic_ns()) == 0
    assert batch.state[ROWS_USED] == 0


def test_an_empty_datagram_is_a_row_of_no_bytes(open_sockets: Open) -> None:
    sockets = open_sockets("127.0.0.1")
    with plain_socket("127.0.0.1") as sender:
        sender.sendto(b"", ("127.0.0.1", sockets.local_addresses[0].port))
        sender.sendto(b"after", ("127.0.0.1", sockets.local_addresses[0].port))
        assert receive_all(sockets, 2)[0] == [b"", b"after"]


def test_every_socket_is_read_and_named_by_its_number(open_sockets: Open) -> None:
    sockets = open_sockets(*HOSTS)
    for address in sockets.local_addresses:
        with plain_socket(address.host) as sender:
            sender.sendto(address.host.encode(), (address.host, address.port))
    found, came_from = receive_all(sockets, 2)
    assert {(data.decode(), address.socket) for data, address in zip(found, came_from, strict=True)} == {
        ("127.0.0.1", 0),
        ("::1", 1),
    }


def test_sockets_share_a_batch_that_is_too_small_for_both(open_sockets: Open) -> None:
    sockets = open_sockets(*HOSTS)
    for address in sockets.local_addresses:
        with plain_socket(address.host) as sender:
            for _ in range(100):
                sender.sendto(b"flood", (address.host, address.port))
    for first in (0, 1):  # they take turns at being first
        batch = inbound(64)
        assert sockets.receive(batch, time.monotonic_ns()) == 64
        assert batch.rows["socket"].tolist() == [first] * 32 + [1 - first] * 32


def test_flood_on_one_socket_leaves_room_for_the_other(open_sockets: Open) -> None:
    sockets = open_sockets(*HOSTS)
    port = sockets.local_addresses[0].port
    with plain_socket("127.0.0.1") as flooder, plain_socket("::1") as other:
        for _ in range(BURST):
            flooder.sendto(b"flood", ("127.0.0.1", port))
        other.sendto(b"heard", ("::1", port))
        seen: list[bytes] = []
        for _ in range(2):  # whoever is first this time, the other one is the next
            batch = inbound(64)
            sockets.receive(batch, time.monotonic_ns())
            seen += contents(batch)
    assert b"heard" in seen


@pytest.mark.parametrize(
    ("length", "drop"), [(MAX_DATAGRAM, Drop.NONE), (MAX_DATAGRAM + 1, Drop.TRUNCATED), (3000, Drop.TRUNCATED)]
)
def test_a_datagram_longer_than_a_row_may_be_is_marked(open_sockets: Open, length: int, drop: Drop) -> None:
    sockets = open_sockets("127.0.0.1")
    with plain_socket("127.0.0.1") as sender:
        sender.sendto(b"a" * length, ("127.0.0.1", sockets.local_addresses[0].port))
        sender.sendto(b"after", ("127.0.0.1", sockets.local_addresses[0].port))
    batch = inbound()
    assert sockets.receive(batch, time.monotonic_ns()) == 2
    assert batch.rows["drop"][:2].tolist() == [drop, Drop.NONE]
    assert contents(batch)[1] == b"after"
    assert batch.rows[0].length == MAX_DATAGRAM


@pytest.mark.parametrize("host", HOSTS)
def test_a_burst_is_sent_whole_and_counted(open_sockets: Open, host: str) -> None:
    sockets = open_sockets(host)
    randomness = random.Random(2)
    burst = [randomness.randbytes(randomness.randint(1, 200)) for _ in range(200)]
    with plain_socket(host) as receiver:
        net = paths_to(Address(0, host, receiver.getsockname()[1]))
        sockets.send(outbound([(0, data) for data in burst]), net.paths)
        received = [receiver.recvfrom(2048) for _ in burst]
    assert [data for data, _ in received] == burst
    assert {name[:2] for _, name in received} == {(host, sockets.local_addresses[0].port)}
    path = net.paths[0]
    assert (path.sent_packets, path.sent_bytes, path.send_errors) == (200, sum(map(len, burst)), 0)


@pytest.mark.parametrize("bad", [Address(0, "192.0.2.1", 9), Address(0, "127.0.0.1", 0)], ids=["no route", "port 0"])
def test_a_destination_that_errors_costs_only_its_own_rows(open_sockets: Open, bad: Address) -> None:
    sockets = open_sockets("127.0.0.1")
    with plain_socket("127.0.0.1") as first, plain_socket("127.0.0.1") as last:
        net = paths_to(
            Address(0, "127.0.0.1", first.getsockname()[1]), bad, Address(0, "127.0.0.1", last.getsockname()[1])
        )
        sockets.send(outbound([(number % 3, bytes([number])) for number in range(60)]), net.paths)
        assert [first.recv(10)[0] for _ in range(20)] == list(range(0, 60, 3))
        assert [last.recv(10)[0] for _ in range(20)] == list(range(2, 60, 3))
    assert net.paths["send_errors"].tolist() == [0, 20, 0]
    assert net.paths["sent_packets"].tolist() == [20, 0, 20]


def test_a_refused_destination_stops_neither_sending_nor_receiving(open_sockets: Open) -> None:
    sockets = open_sockets("127.0.0.1")
    port = sockets.local_addresses[0].port
    with plain_socket("127.0.0.1") as closed:
        closed_port = closed.getsockname()[1]
    with plain_socket("127.0.0.1") as other:
        net = paths_to(Address(0, "127.0.0.1", closed_port), Address(0, "127.0.0.1", other.getsockname()[1]))
        for number in range(5):
            sockets.send(outbound([(0, b"refused"), (1, bytes([number]))]), net.paths)
            other.sendto(b"back", ("127.0.0.1", port))
        assert [other.recv(10) for _ in range(5)] == [bytes([number]) for number in range(5)]
        assert receive_all(sockets, 5)[0] == [b"back"] * 5


@pytest.mark.skipif(sys.platform != "linux", reason="how errors of a connected socket are told differs")
def test_what_icmp_reported_is_counted_and_loses_nothing(open_sockets: Open) -> None:
    sockets = open_sockets("127.0.0.1")
    assert isinstance(sockets, BoundSockets)
    port = sockets.local_addresses[0].port
    with plain_socket("127.0.0.1") as closed:
        name = closed.getsockname()
    net = paths_to(Address(0, *name))
    # Only a connected socket is told of ICMP.
    sockets.sockets[0].connect(name)
    sockets.send(outbound([(0, b"refused")]), net.paths)
    batch = inbound()
    assert sockets.receive(batch, time.monotonic_ns()) == 0
    assert sockets.tables.sockets[0].receive_errors == 1
    # Told to the next who sends, it does not cost that datagram; nor does it hide what has arrived.
    sockets.send(outbound([(0, b"refused")]), net.paths)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as returned:
        returned.bind(name)
        returned.settimeout(1)
        sockets.send(outbound([(0, b"heard")]), net.paths)
        assert returned.recv(10) == b"heard"
        returned.sendto(b"back", ("127.0.0.1", port))
        assert receive_all(sockets, 1)[0] == [b"back"]
    assert (net.paths[0].sent_packets, net.paths[0].send_errors) == (3, 0)


def test_what_a_full_socket_refuses_is_lost_and_counted_and_others_send(open_sockets: Open) -> None:
    sockets = open_sockets("127.0.0.1", "127.0.0.2")
    assert isinstance(sockets, BoundSockets)
    with full_socket() as full, plain_socket("127.0.0.2") as receiver:
        net = paths_to(Address(0, "127.0.0.1", 9), Address(1, "127.0.0.2", receiver.getsockname()[1]))
        net.paths[0].sockaddr_length = 0  # to whom it is connected
        sockets.tables.sockets[0].descriptor = full.fileno()
        real, sockets.sockets[0] = sockets.sockets[0], full
        sockets.send(outbound([(number % 2, bytes([number])) for number in range(200)]), net.paths)
        sockets.sockets[0] = real
        assert [receiver.recv(10)[0] for _ in range(100)] == list(range(1, 200, 2))
    assert net.paths["sent_packets"].tolist() == [0, 100]
    assert net.paths["send_errors"].tolist() == [100, 0]
    assert sockets.tables.sockets["send_errors"].tolist() == [100, 0]


def test_a_path_of_a_socket_that_is_not_there_is_none(open_sockets: Open) -> None:
    sockets = open_sockets("127.0.0.1")
    net = paths_to(Address(1, "127.0.0.1", 9))
    batch = outbound([(0, b"nowhere")])
    sockets.send(batch, net.paths)
    assert batch.rows["drop"].tolist() == [Drop.NO_PATH]


def test_dropped_rows_and_rows_without_a_path_do_not_leave(open_sockets: Open) -> None:
    sockets = open_sockets("127.0.0.1")
    with plain_socket("127.0.0.1") as receiver:
        net = paths_to(Address(0, "127.0.0.1", receiver.getsockname()[1]), Address(0, "127.0.0.1", 9))
        net.paths[1].kind = 0
        batch = outbound([(0, b"dropped"), (-1, b"nowhere"), (1, b"removed"), (0, b"sent")])
        batch.rows[0].drop = Drop.NO_KEYS
        sockets.send(batch, net.paths)
        assert receiver.recv(10) == b"sent"
    assert batch.rows["drop"].tolist() == [Drop.NO_KEYS, Drop.NONE, Drop.NO_PATH, Drop.NONE]


def test_rows_leave_by_the_socket_of_their_path(open_sockets: Open) -> None:
    sockets = open_sockets(*HOSTS)
    with plain_socket("127.0.0.1") as four, plain_socket("::1") as six:
        net = paths_to(Address(0, "127.0.0.1", four.getsockname()[1]), Address(1, "::1", six.getsockname()[1]))
        sockets.send(outbound([(1, b"six"), (0, b"four"), (1, b"more")]), net.paths)
        assert four.recv(10) == b"four"
        assert [six.recv(10), six.recv(10)] == [b"six", b"more"]


def test_one_datagram_outside_of_a_batch_leaves_or_is_lost(open_sockets: Open) -> None:
    sockets = open_sockets("127.0.0.1")
    with plain_socket("127.0.0.1") as receiver:
        sockets.send_one(b"lost", Address(0, "192.0.2.1", 9))
        sockets.send_one(b"once", Address(0, "127.0.0.1", receiver.getsockname()[1]))
        assert receiver.recv(10) == b"once"


def test_port_zero_is_one_port_on_all_addresses(open_sockets: Open) -> None:
    sockets = open_sockets(*HOSTS, "127.0.0.2")
    assert [address.host for address in sockets.local_addresses] == [*HOSTS, "127.0.0.2"]
    assert [address.socket for address in sockets.local_addresses] == [0, 1, 2]
    assert len({address.port for address in sockets.local_addresses}) == 1
    assert len(set(sockets.filenos())) == 3


def test_a_taken_port_is_named(open_sockets: Open) -> None:
    port = open_sockets("::1").local_addresses[0].port
    with pytest.raises(ConfigurationError, match=str(port)) as refused:
        open_sockets("127.0.0.1", "::1", port=port)
    assert refused.value.setting == "port"
    # Nothing of the failed attempt stays open.
    assert open_sockets("127.0.0.1", port=port).local_addresses[0].port == port


def test_the_address_that_a_port_is_taken_on_is_named(open_sockets: Open) -> None:
    port = open_sockets("::1").local_addresses[0].port
    with pytest.raises(ConfigurationError, match=rf"got {port}, wants a UDP port that is free on ::1 \("):
        open_sockets("127.0.0.1", "::1", port=port)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_an_address_of_another_machine_is_named(open_sockets: Open, host: str) -> None:
    with pytest.raises(ConfigurationError, match="an address of this machine") as refused:
        open_sockets("127.0.0.1", host)
    assert (refused.value.setting, refused.value.got) == ("address", host)


def test_what_is_no_address_leaves_no_socket_open(open_sockets: Open) -> None:
    with pytest.raises(ConfigurationError, match="localhost"):
        open_sockets("127.0.0.1", "localhost")  # a socket that is forgotten warns, and a warning is an error


def test_no_address_is_refused(open_sockets: Open) -> None:
    with pytest.raises(ConfigurationError, match="addresses"):
        open_sockets()


def test_closed_sockets_are_free_again(open_sockets: Open) -> None:
    sockets = open_sockets("127.0.0.1")
    port = sockets.local_addresses[0].port
    sockets.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port))
