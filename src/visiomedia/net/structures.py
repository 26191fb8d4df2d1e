"""The C structures of recvmmsg and sendmmsg as record dtypes (64-bit Linux), and the scratch that holds them."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import record
from visiomedia.net.tables import PATH

MESSAGES = 64
"""Messages of one system call; with UDP_SEGMENT each carries many datagrams."""

SEGMENTS = 64
"""Datagrams of one message: what every Linux that has UDP_SEGMENT takes (UDP_MAX_SEGMENTS)."""

VECTORS = 1024
"""Datagrams of one system call that sends."""

CONTROL_BYTES = 64
NAME_BYTES = 28
"""sizeof(struct sockaddr_in6)."""

VECTOR = record([("start", "<u8"), ("length", "<u8")])
"""struct iovec."""

MESSAGE = record(
    [
        ("name", "<u8"),
        ("name_length", "<u4"),
        ("vectors", "<u8"),
        ("vector_count", "<u8"),
        ("control", "<u8"),
        ("control_length", "<u8"),
        ("message_flags", "<i8"),  # an int, and the padding that aligns the struct
        ("transferred", "<i8"),  # likewise
    ]
)
"""struct mmsghdr: a struct msghdr and the bytes transferred; little-endian, so that an int reads as its padded word."""

SOCKET = record(
    [
        ("descriptor", "<i4"),
        ("family", "u1"),
        ("received", "<i8"),
        ("receive_errors", "<i8"),  # what the network reported of earlier datagrams
        ("overflowed", "<i8"),  # lost in a full receive buffer, as the system told with the last datagram (SO_RXQ_OVFL)
        ("sent", "<i8"),
        ("messages", "<i8"),  # those were sent in
        ("send_errors", "<i8"),
        ("segmented", "<i8"),  # of those sent: in a message with others
        ("segments_refused", "<i8"),  # messages that a path refused and that were sent one by one
    ]
)
"""``family``: 4 or 6. The rest counts datagrams."""

TURNS, ERROR, SOCKADDR_OFFSET, MAX_SEGMENTS = 0, 1, 2, 3
"""Places in ``SocketTables.state``."""


class SocketTables(NamedTuple):
    """``sockets``: (sockets,) SOCKET; ``messages``: (64,) and ``vectors``: (1024,); ``names``: (64, 28) and
    ``control``: (64, 64) uint8; ``rows``: (1024,) the batch row of a vector; ``times``: (2,) int64, a struct timespec;
    ``state``: (4,) int64: turns taken, errno of the last call that failed, where in a path its sockaddr lies, and how
    many datagrams a message may carry (1: this host has no UDP_SEGMENT)."""

    sockets: NDArray[Any]
    messages: NDArray[Any]
    vectors: NDArray[Any]
    names: NDArray[np.uint8]
    control: NDArray[np.uint8]
    rows: NDArray[np.int64]
    times: NDArray[np.int64]
    state: NDArray[np.int64]


def make_socket_tables(descriptors: list[tuple[int, int]], *, segments: int = 1) -> SocketTables:
    """For sockets given as (file descriptor, family 4 or 6); ``segments``: datagrams that a message may carry."""
    tables = SocketTables(
        np.zeros(len(descriptors), SOCKET),
        np.zeros(MESSAGES, MESSAGE),
        np.zeros(VECTORS, VECTOR),
        np.zeros((MESSAGES, NAME_BYTES), np.uint8),
        np.zeros((MESSAGES, CONTROL_BYTES), np.uint8),
        np.zeros(VECTORS, np.int64),
        np.zeros(2, np.int64),
        np.zeros(4, np.int64),
    )
    fields = PATH.fields
    assert fields is not None, "a record has fields"
    tables.state[SOCKADDR_OFFSET] = fields["sockaddr"][1]
    tables.state[MAX_SEGMENTS] = segments
    for socket, (descriptor, family) in zip(tables.sockets, descriptors, strict=True):
        socket.descriptor, socket.family = descriptor, family
    return tables
