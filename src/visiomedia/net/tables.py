"""Paths: where datagrams go to and come from. A flow (socket, remote address, port) finds its path by a hash table."""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import record
from visiomedia.lookup import Lookup, make_lookup


class PathKind(IntEnum):
    """What carries a path's datagrams."""

    NONE = 0
    UDP = 1


PATH = record(
    [
        ("kind", "u1"),
        ("generation", "<i4"),
        ("transport", "<i4"),
        ("socket", "<u2"),
        ("port", "<u2"),
        ("address", "u1", (16,)),  # IPv4 mapped into IPv6 (RFC 4291 section 2.5.5.2)
        ("sockaddr", "u1", (28,)),  # struct sockaddr_in or sockaddr_in6, ready for sendmmsg
        ("sockaddr_length", "<u4"),
        ("last_received", "<i8"),  # monotonic ns
        # Since the start, of every address that has had the row.
        ("received_packets", "<i8"),
        ("received_bytes", "<i8"),
        ("sent_packets", "<i8"),
        ("sent_bytes", "<i8"),
        ("send_errors", "<i8"),
        ("refuses_segments", "u1"),  # its route takes no UDP_SEGMENT: one datagram a message
        # while a batch is sent; 0 is none
        ("first_row", "<i4"),  # 1 + the first row that goes there
        ("last_row", "<i4"),
        ("next_path", "<i4"),  # 1 + the path that is served after this one
    ]
)


class NetTables(NamedTuple):
    """``paths``: (capacity,) PATH; ``flows``: (address high, address low, socket << 16 | port) to path row."""

    paths: NDArray[Any]
    flows: Lookup


def make_net_tables(paths: int) -> NetTables:
    """Empty tables, allocated once."""
    return NetTables(np.zeros(paths, PATH), make_lookup(paths))
