"""Paths as commands add and remove them, and the flows by which they are found."""

import struct
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.net.datagrams import add
from visiomedia.commands import COMMAND
from visiomedia.engine import Address
from visiomedia.lookup import find
from visiomedia.net.addresses import address_to_bytes, sockaddr
from visiomedia.net.kernels import flow_key, remove_path
from visiomedia.net.tables import NetTables, PathKind, make_net_tables

HERE = Address(0, "192.0.2.1", 5004)
THERE = Address(1, "2001:db8::1", 5006)


def path_at(net: NetTables, address: Address) -> int:
    """The row of the path that datagrams from an address belong to, or -1."""
    data = np.frombuffer(address_to_bytes(address.host), np.uint8)
    return int(find(net.flows, *flow_key(data, np.int64(address.socket), np.int64(address.port))))


def remove(net: NetTables, row: int, generation: int) -> None:
    command: Any = np.zeros(1, COMMAND)[0]
    command.row, command.generation = row, generation
    remove_path(net, command)


@given(st.binary(min_size=16, max_size=16), st.integers(0, 65535), st.integers(0, 65535))
def test_a_flow_key_is_the_address_and_then_socket_and_port(data: bytes, socket: int, port: int) -> None:
    key = flow_key(np.frombuffer(data, np.uint8), np.int64(socket), np.int64(port))
    assert tuple(map(int, key)) == struct.unpack(">QQQ", data + struct.pack(">IHH", 0, socket, port))


def test_an_added_path_is_found_by_its_flow_alone() -> None:
    net = make_net_tables(4)
    add(net, 2, 1, HERE, transport=7)
    add(net, 3, 1, THERE, transport=8)
    assert (path_at(net, HERE), path_at(net, THERE)) == (2, 3)
    for other in (HERE._replace(port=5005), HERE._replace(socket=1), HERE._replace(host="192.0.2.2")):
        assert path_at(net, other) == -1


def test_an_added_path_holds_its_command_and_goes_on_counting() -> None:
    net = make_net_tables(4)
    net.paths[2].sent_packets = net.paths[2].send_errors = net.paths[2].last_received = 5
    add(net, 2, 9, THERE, transport=7)
    path = net.paths[2]
    assert (path.kind, path.generation, path.transport, path.socket, path.port) == (PathKind.UDP, 9, 7, 1, 5006)
    assert path.address.tobytes() == address_to_bytes(THERE.host)
    assert path.sockaddr.tobytes()[: path.sockaddr_length] == sockaddr(THERE.host, THERE.port)
    assert (path.sent_packets, path.send_errors, path.last_received) == (5, 5, 0)


def test_a_removed_path_is_not_found() -> None:
    net = make_net_tables(4)
    add(net, 2, 1, HERE)
    remove(net, 2, 1)
    assert path_at(net, HERE) == -1
    assert net.paths[2].kind == PathKind.NONE
    remove(net, 2, 1)  # twice is harmless


def test_a_stale_removal_finds_nothing() -> None:
    net = make_net_tables(4)
    add(net, 2, 5, HERE)
    remove(net, 2, 4)
    assert path_at(net, HERE) == 2
    assert net.paths[2].kind == PathKind.UDP


def test_a_flow_that_another_path_took_over_stays_with_it() -> None:
    net = make_net_tables(4)
    add(net, 1, 1, HERE)
    add(net, 2, 1, HERE)
    remove(net, 1, 1)
    assert path_at(net, HERE) == 2


def test_a_row_that_is_used_again_gives_up_its_flow() -> None:
    net = make_net_tables(2)
    for port in range(50):  # more than the table of flows has room for
        add(net, 0, port, HERE._replace(port=port))
    assert path_at(net, HERE._replace(port=49)) == 0
    assert path_at(net, HERE._replace(port=48)) == -1
