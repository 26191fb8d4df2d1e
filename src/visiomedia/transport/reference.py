"""Demux written from RFC 7983 and RFC 5761 over bytes and dicts: the oracle of the kernel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import Drop, RowKind
from visiomedia.net.tables import NetTables, PathKind
from visiomedia.transport.tables import TransportTables


def classify(data: bytes) -> RowKind:
    """What a datagram is by its first bytes."""
    if not data:
        return RowKind.UNKNOWN
    first = data[0]
    if first in range(4):
        return RowKind.STUN
    if first in range(20, 64):
        return RowKind.DTLS
    # The shortest RTCP packet is a header and an SSRC, the shortest RTP packet a fixed header.
    if first in range(128, 192) and len(data) >= 8:
        if data[1] in range(192, 224):
            return RowKind.RTCP
        if len(data) >= 12:
            return RowKind.RTP
    return RowKind.UNKNOWN


def demux(
    rows: NDArray[Any],
    arena: NDArray[np.uint8],
    first: int,
    last: int,
    net: NetTables,
    transport: TransportTables,
) -> None:
    """See ``kernels.demux``."""
    paths = {
        (bytes(path.address), int(path.socket), int(path.port)): number
        for number, path in enumerate(net.paths)
        if path.kind != PathKind.NONE
    }
    sources = {
        (int(entry.key[0]), int(entry.key[1])): int(entry.value) for entry in transport.ssrcs.entries if entry.used
    }
    for row in rows[first:last]:
        row.path = row.transport = row.source = -1
        row.kind = RowKind.UNKNOWN
        if row.drop:
            continue
        data = bytes(arena[row.offset : row.offset + row.length])
        kind = classify(data)
        number = paths.get((bytes(row.address), int(row.socket), int(row.port)))
        if kind is RowKind.UNKNOWN:
            # What looks like RTP and is too short keeps its guess, so that counters by kind tell.
            row.kind = RowKind.RTP if len(data) >= 8 and 128 <= data[0] <= 191 else kind
            row.drop = Drop.UNKNOWN_KIND
            continue
        row.kind = kind
        if number is None:
            row.drop = Drop.NONE if kind is RowKind.STUN else Drop.UNKNOWN_FLOW
            continue
        path = net.paths[number]
        path.received_packets += 1
        path.received_bytes += len(data)
        path.last_received = row.arrival
        row.path, row.transport = number, path.transport
        if kind is RowKind.RTP:
            row.ssrc = int.from_bytes(data[8:12], "big")
            row.source = sources.get((int(path.transport), int(row.ssrc)), -1)
