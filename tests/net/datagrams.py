"""What the tests of the sockets share: batches, paths to destinations, and plain sockets at the other end."""

import socket
from collections.abc import Sequence
from typing import Any

import numpy as np

from visiomedia.batch import BYTES_USED, OUT_ROW, ROWS_USED, PacketBatch, make_batch
from visiomedia.commands import COMMAND
from visiomedia.engine import Address
from visiomedia.net.addresses import address_from_bytes, path_command
from visiomedia.net.kernels import add_path
from visiomedia.net.tables import NetTables, make_net_tables


def inbound(rows: int = 512) -> PacketBatch:
    """An empty inbound batch."""
    return make_batch(rows, rows * 2048)


def outbound(datagrams: Sequence[tuple[int, bytes]]) -> PacketBatch:
    """An out batch of (path row, bytes)."""
    batch = make_batch(max(len(datagrams), 1), 2048 * max(len(datagrams), 1), OUT_ROW)
    for path, data in datagrams:
        row, at = batch.rows[batch.state[ROWS_USED]], int(batch.state[BYTES_USED])
        batch.arena[at : at + len(data)] = np.frombuffer(data, np.uint8)
        row.path, row.offset, row.length = path, at, len(data)
        batch.state[ROWS_USED] += 1
        batch.state[BYTES_USED] += len(data)
    return batch


def add(net: NetTables, row: int, generation: int, address: Address, transport: int = 0) -> None:
    """Apply ADD_PATH."""
    command: Any = np.zeros(1, COMMAND)[0]
    values, body = path_command(address, transport)
    command.row, command.generation = row, generation
    command["values"][: len(values)] = values
    command["body"][: len(body)] = np.frombuffer(body, np.uint8)
    add_path(net, command)


def paths_to(*addresses: Address) -> NetTables:
    """Tables with one path an address, from row 0 on."""
    net = make_net_tables(max(len(addresses), 1))
    for row, address in enumerate(addresses):
        add(net, row, 1, address, row)
    return net


def contents(batch: PacketBatch) -> list[bytes]:
    """The bytes of every row, in order."""
    used = batch.rows[: batch.state[ROWS_USED]]
    return [batch.arena[row.offset : row.offset + row.length].tobytes() for row in used]


def sources(batch: PacketBatch) -> list[Address]:
    """Where every row came from."""
    return [
        Address(int(row.socket), address_from_bytes(row.address.tobytes()), int(row.port))
        for row in batch.rows[: batch.state[ROWS_USED]]
    ]


def plain_socket(host: str) -> socket.socket:
    """A socket of the standard library, on a port of its own, that waits a second for what it reads."""
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((host, 0))
    opened.settimeout(1)
    return opened
