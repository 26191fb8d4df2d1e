"""Demux: what each datagram is and whose (RFC 7983, RFC 5761), rows held for unbound SSRCs, rows handed up."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import (
    BYTES_USED,
    MAX_DATAGRAM,
    ROWS_USED,
    Drop,
    PacketBatch,
    RowKind,
    append_datagram,
    make_batch,
)
from visiomedia.jit import Arguments, Integer, kernel, subroutine
from visiomedia.lookup import find, insert
from visiomedia.memory import copy_bytes
from visiomedia.net.kernels import flow_key
from visiomedia.net.tables import NetTables, PathKind, make_net_tables
from visiomedia.transport import reference
from visiomedia.transport.tables import (
    HANDED_READ,
    HANDED_SETTLED,
    HANDED_WRITTEN,
    HELD_NS,
    HELD_PER_TRANSPORT,
    TransportTables,
    make_transport_tables,
)

STUN = int(RowKind.STUN)
DTLS = int(RowKind.DTLS)
RTP = int(RowKind.RTP)
RTCP = int(RowKind.RTCP)
UNKNOWN = int(RowKind.UNKNOWN)
UNKNOWN_KIND = int(Drop.UNKNOWN_KIND)
UNKNOWN_FLOW = int(Drop.UNKNOWN_FLOW)
HANDED_UP_OVERFLOW = int(Drop.HANDED_UP_OVERFLOW)
PENDING_OVERFLOW = int(Drop.PENDING_OVERFLOW)
HELD_DROP = int(Drop.HELD)


def _example(generator: np.random.Generator) -> Arguments:
    """A batch of every kind of datagram, from a known flow, from an unknown one and garbage."""
    net = make_net_tables(8)
    transport = make_transport_tables(4, 8, held=4, handed=8)
    batch = make_batch(64, 64 * 256)
    path = net.paths[3]
    path.kind, path.transport, path.socket, path.port, path.address[15] = PathKind.UDP, 2, 1, 5000, 7
    insert(net.flows, *flow_key(path.address, 1, 5000), 3)
    insert(transport.ssrcs, 2, 0xCAFE, 0, 5)
    for _ in range(48):
        body = bytearray(generator.bytes(int(generator.integers(1, 60))))
        body[0] = int(generator.choice([0, 1, 2, 19, 20, 63, 64, 127, 128, 144, 191, 192, 255]))
        if len(body) >= 12 and generator.integers(2):
            body[8:12] = (0xCAFE).to_bytes(4, "big")
        address = bytes(15) + bytes([int(generator.choice([7, 7, 7, 8]))])
        port = int(generator.choice([5000, 5001]))
        row = append_datagram(batch, bytes(body), arrival=9, address=address, port=port, socket=1)
        if generator.integers(8) == 0:
            batch.rows[row].drop = Drop.TRUNCATED
    return batch.rows, batch.arena, 0, 48, net, transport


@kernel(oracle=reference.demux, example=_example)
def demux(
    rows: NDArray[Any],
    arena: NDArray[np.uint8],
    first: Integer,
    last: Integer,
    net: NetTables,
    transport: TransportTables,
) -> None:
    """Fill kind, path, transport and source of rows ``first`` to ``last``; count what came on each path.

    RFC 7983 section 7: 0-3 STUN, 20-63 DTLS, 128-191 RTP and RTCP; RFC 5761 section 4: a second byte of 192-223 is
    RTCP. Media from a flow that no validated check has made known is dropped, so is DTLS.
    """
    for i in range(first, last):
        row = rows[i]
        row.path = -1
        row.transport = -1
        row.source = -1
        row.kind = UNKNOWN
        if row.drop != 0:
            continue
        if row.length < 1:
            row.drop = UNKNOWN_KIND
            continue
        byte = arena[row.offset]
        if byte <= 3:
            row.kind = STUN
        elif 20 <= byte <= 63:
            row.kind = DTLS
        elif 128 <= byte <= 191 and row.length >= 8:
            second = arena[row.offset + 1]
            row.kind = RTCP if 192 <= second <= 223 else RTP
        else:
            row.drop = UNKNOWN_KIND
            continue
        if row.kind == RTP and row.length < 12:
            row.drop = UNKNOWN_KIND
            continue
        a, b, c = flow_key(row.address, row.socket, row.port)
        path_row = find(net.flows, a, b, c)
        if path_row < 0:
            if row.kind != STUN:
                row.drop = UNKNOWN_FLOW
            continue
        path = net.paths[path_row]
        path.received_packets += 1
        path.received_bytes += row.length
        path.last_received = row.arrival
        row.path = path_row
        row.transport = path.transport
        if row.kind == RTP:
            at = row.offset + 8
            ssrc = (
                (np.int64(arena[at]) << 24)
                | (np.int64(arena[at + 1]) << 16)
                | (np.int64(arena[at + 2]) << 8)
                | np.int64(arena[at + 3])
            )
            row.ssrc = ssrc
            row.source = find(transport.ssrcs, row.transport, ssrc, 0)


@subroutine
def hand_up(tables: TransportTables, row: Any, body: NDArray[np.uint8], offset: Integer, length: Integer) -> bool:
    """Copy bytes for the session plane; False, and counted by the caller, where the ring has no room for this flow.

    Once the ring is half full a flow may hold an eighth of it, so that a flood from one address or a few costs
    their own datagrams first.
    """
    state = tables.handed_state
    capacity = len(tables.handed)
    waiting = state[HANDED_WRITTEN] - state[HANDED_SETTLED]
    flow = np.int64(0)
    for i in range(16):
        flow = flow * 31 + row.address[i]
    flow = (flow * 31 + row.port) & (len(tables.handed_flows) - 1)
    if waiting >= capacity or (2 * waiting >= capacity and 8 * tables.handed_flows[flow] >= capacity):
        return False
    handed = tables.handed[state[HANDED_WRITTEN] % capacity]
    handed.kind = row.kind
    handed.socket = row.socket
    handed.port = row.port
    copy_bytes(handed.address, 0, row.address, 0, 16)
    handed.path = row.path
    handed.transport = row.transport
    handed.generation = tables.transports[row.transport].generation if row.transport >= 0 else 0
    handed.arrival = row.arrival
    handed.flow = flow
    handed.length = length
    copy_bytes(handed.body, 0, body, offset, length)
    tables.handed_flows[flow] += 1
    state[HANDED_WRITTEN] += 1
    return True


@subroutine
def settle_handed(tables: TransportTables) -> None:
    """Take the places back whose rows the session plane has read."""
    state = tables.handed_state
    while state[HANDED_SETTLED] < state[HANDED_READ]:
        tables.handed_flows[tables.handed[state[HANDED_SETTLED] % len(tables.handed)].flow] -= 1
        state[HANDED_SETTLED] += 1


@subroutine
def hold(tables: TransportTables, row: Any, arena: NDArray[np.uint8], now: Integer) -> Integer:
    """Keep a sealed packet until its SSRC is bound; the reason why not, or HELD."""
    transport = tables.transports[row.transport]
    if transport.held >= HELD_PER_TRANSPORT:
        return PENDING_OVERFLOW
    for i in range(len(tables.held)):
        held = tables.held[i]
        if held.in_use == 0:
            held.in_use = 1
            held.released = 0
            held.socket = row.socket
            held.port = row.port
            copy_bytes(held.address, 0, row.address, 0, 16)
            held.transport = row.transport
            held.ssrc = row.ssrc
            held.length = row.length
            held.arrival = row.arrival
            copy_bytes(held.body, 0, arena, row.offset, row.length)
            transport.held += 1
            tables.held_state[0] += 1
            return HELD_DROP
    return PENDING_OVERFLOW


@subroutine
def release_held(tables: TransportTables, transport: Integer, ssrc: Integer) -> None:
    """The SSRC is bound: its packets enter the line with the next batch."""
    if tables.held_state[0] == 0:
        return
    for i in range(len(tables.held)):
        held = tables.held[i]
        if held.in_use != 0 and held.transport == transport and held.ssrc == ssrc:
            held.released = 1


@subroutine
def drop_held(tables: TransportTables, transport: Integer) -> None:
    """The transport is gone: so is what it held."""
    for i in range(len(tables.held)):
        held = tables.held[i]
        if held.in_use != 0 and held.transport == transport:
            held.in_use = 0
            tables.held_state[0] -= 1
            tables.drops[HELD_DROP] += 1
    tables.transports[transport].held = 0


@subroutine
def inject_held(tables: TransportTables, batch: PacketBatch, now: Integer) -> None:
    """Append released packets to an inbound batch, oldest first, and let go of those that waited too long."""
    if tables.held_state[0] == 0:
        return
    rows, arena, state = batch
    remaining = np.int64(0)
    for i in range(len(tables.held)):
        held = tables.held[i]
        if held.in_use == 0:
            continue
        if held.released == 0:
            if now - held.arrival > HELD_NS:
                held.in_use = 0
                tables.held_state[0] -= 1
                tables.transports[held.transport].held -= 1
                tables.drops[HELD_DROP] += 1
            continue
        remaining += 1
    while remaining > 0 and state[ROWS_USED] < len(rows) and state[BYTES_USED] + MAX_DATAGRAM <= len(arena):
        oldest = -1
        for i in range(len(tables.held)):
            held = tables.held[i]
            if held.in_use != 0 and held.released != 0 and (oldest < 0 or held.arrival < tables.held[oldest].arrival):
                oldest = i
        held = tables.held[oldest]
        row = rows[state[ROWS_USED]]
        row.arrival = held.arrival
        copy_bytes(row.address, 0, held.address, 0, 16)
        row.port = held.port
        row.socket = held.socket
        row.offset = state[BYTES_USED]
        row.length = held.length
        row.drop = 0
        copy_bytes(arena, state[BYTES_USED], held.body, 0, held.length)
        state[ROWS_USED] += 1
        state[BYTES_USED] += held.length
        held.in_use = 0
        tables.held_state[0] -= 1
        tables.transports[held.transport].held -= 1
        remaining -= 1
