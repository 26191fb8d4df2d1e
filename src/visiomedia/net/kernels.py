"""Batches in and out of UDP sockets: recvmmsg with the kernel's arrival times, sendmmsg to many paths."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import BYTES_USED, MAX_DATAGRAM, ROWS_USED, Drop, PacketBatch
from visiomedia.jit import external, subroutine
from visiomedia.lookup import insert, remove
from visiomedia.net.structures import CONTROL_BYTES, SocketTables
from visiomedia.net.tables import NetTables, PathKind

UDP = int(PathKind.UDP)
TRUNCATED = int(Drop.TRUNCATED)
NO_PATH = int(Drop.NO_PATH)

CLOCK_REALTIME = 0
CLOCK_MONOTONIC = 1
MSG_DONTWAIT = 0x40
MSG_TRUNC = 0x20
SOL_SOCKET = 1
SCM_TIMESTAMPNS = 35
IPV4 = 4

recvmmsg = external("recvmmsg", "i4", "i4", "u8", "u4", "i4", "u8")
sendmmsg = external("sendmmsg", "i4", "i4", "u8", "u4", "i4")
clock_gettime = external("clock_gettime", "i4", "i4", "u8")


@subroutine
def _clock(tables: SocketTables, clock: int) -> int:
    clock_gettime(clock, tables.times.ctypes.data)
    return tables.times[0] * 1_000_000_000 + tables.times[1]


@subroutine
def _arrival(tables: SocketTables, slot: int, length: int, offset: int, now: int) -> int:
    """The kernel's receive time of message ``slot`` in monotonic ns; ``now`` where it gave none."""
    control = tables.control[slot]
    at = 0
    while at + 16 <= length:
        # struct cmsghdr: length (8), level (4), type (4), then data; the next one is aligned to 8.
        size = np.int64(control[at]) | np.int64(control[at + 1]) << 8
        level = control[at + 8]
        kind = control[at + 12]
        if size < 16:
            return now
        if level == SOL_SOCKET and kind == SCM_TIMESTAMPNS and at + 32 <= length:
            seconds = np.int64(0)
            nanoseconds = np.int64(0)
            for i in range(8):
                seconds |= np.int64(control[at + 16 + i]) << (8 * i)
                nanoseconds |= np.int64(control[at + 24 + i]) << (8 * i)
            # A wall clock that was set in between must not make a packet come from the future.
            return min(seconds * 1_000_000_000 + nanoseconds + offset, now)
        at += (size + 7) & ~7
    return now


@subroutine
def receive(tables: SocketTables, batch: PacketBatch, now: int) -> int:
    """Append what has arrived on every socket to an inbound batch, up to its rows; returns how many.

    The sockets take turns at being first. Each message is offered MAX_DATAGRAM bytes; what is longer is marked
    TRUNCATED. Errors that the network reported for earlier sends are counted and end nothing.
    """
    rows, arena, state = batch
    sockets = tables.sockets
    offset = _clock(tables, CLOCK_MONOTONIC) - _clock(tables, CLOCK_REALTIME)
    received = np.int64(0)
    start = tables.state[0]
    tables.state[0] += 1
    for turn in range(len(sockets)):
        number = (start + turn) % len(sockets)
        socket = sockets[number]
        attempts = 0
        while attempts < 8:
            attempts += 1
            used, at = state[ROWS_USED], state[BYTES_USED]
            room = min(len(rows) - used, (len(arena) - at) // MAX_DATAGRAM)
            # The last sockets of a turn find room too: none takes more than half of what is left to the others.
            if turn + 1 < len(sockets):
                room = (room + 1) // 2
            room = min(room, len(tables.messages))
            if room <= 0:
                break
            for i in range(room):
                message = tables.messages[i]
                message.name = tables.names.ctypes.data + i * 28
                message.name_length = 28
                message.vectors = tables.vectors.ctypes.data + i * 16
                message.vector_count = 1
                message.control = tables.control.ctypes.data + i * CONTROL_BYTES
                message.control_length = CONTROL_BYTES
                message.message_flags = 0
                message.transferred = 0
                tables.vectors[i].start = arena.ctypes.data + at + i * MAX_DATAGRAM
                tables.vectors[i].length = MAX_DATAGRAM
            count = recvmmsg(socket.descriptor, tables.messages.ctypes.data, room, MSG_DONTWAIT, 0)
            if count <= 0:
                # EAGAIN, or an error left by an earlier send: the next attempt tells which.
                if attempts == 1 and count < 0:
                    continue
                break
            for i in range(count):
                message = tables.messages[i]
                row = rows[used + i]
                row.offset = at + i * MAX_DATAGRAM
                row.length = message.transferred
                row.drop = TRUNCATED if message.message_flags & MSG_TRUNC else 0
                row.socket = number
                row.arrival = _arrival(tables, i, np.int64(message.control_length), offset, now)
                name = tables.names[i]
                row.port = np.int64(name[2]) << 8 | np.int64(name[3])
                if socket.family == IPV4:
                    for k in range(10):
                        row.address[k] = 0
                    row.address[10] = 255
                    row.address[11] = 255
                    for k in range(4):
                        row.address[12 + k] = name[4 + k]
                else:
                    for k in range(16):
                        row.address[k] = name[8 + k]
            state[ROWS_USED] = used + count
            state[BYTES_USED] = at + count * MAX_DATAGRAM
            received += count
            socket.received += count
            if count < room:
                break
    return received


@subroutine
def send(tables: SocketTables, out: PacketBatch, paths: NDArray[Any]) -> None:
    """Send every row of an out batch that was not dropped. What a full socket buffer refuses is lost, and counted.

    A destination that errors costs only its own rows.
    """
    rows, arena, state = out
    for number in range(len(tables.sockets)):
        pending = np.int64(0)
        for i in range(state[ROWS_USED]):
            row = rows[i]
            if row.drop != 0 or row.path < 0:
                continue
            path = paths[row.path]
            if path.kind != UDP:
                if number == 0:
                    row.drop = NO_PATH
                continue
            if path.socket != number:
                continue
            message = tables.messages[pending]
            message.name = paths.ctypes.data + np.int64(row.path) * paths.itemsize + tables.state[2]
            message.name_length = path.sockaddr_length
            message.vectors = tables.vectors.ctypes.data + pending * 16
            message.vector_count = 1
            message.control = 0
            message.control_length = 0
            message.message_flags = 0
            message.transferred = 0
            tables.vectors[pending].start = arena.ctypes.data + row.offset
            tables.vectors[pending].length = row.length
            tables.rows[pending] = i
            pending += 1
            if pending == len(tables.messages):
                _flush(tables, number, pending, rows, paths)
                pending = np.int64(0)
        if pending > 0:
            _flush(tables, number, pending, rows, paths)


@subroutine
def _flush(tables: SocketTables, number: int, count: int, rows: NDArray[Any], paths: NDArray[Any]) -> None:
    """sendmmsg until every message has left or failed. The message that an error stands at is skipped."""
    socket = tables.sockets[number]
    at = np.int64(0)
    while at < count:
        start = tables.messages.ctypes.data + at * tables.messages.itemsize
        sent = sendmmsg(socket.descriptor, start, count - at, MSG_DONTWAIT)
        if sent <= 0:
            path = paths[rows[tables.rows[at]].path]
            path.send_errors += 1
            socket.send_errors += 1
            at += 1
            continue
        for i in range(at, at + sent):
            row = rows[tables.rows[i]]
            path = paths[row.path]
            path.sent_packets += 1
            path.sent_bytes += row.length
        socket.sent += sent
        at += sent


@subroutine
def flow_key(address: NDArray[np.uint8], socket: int, port: int) -> tuple[int, int, int]:
    """The three words under which a flow is looked up: 16 address bytes, then socket and port."""
    high = np.uint64(0)
    low = np.uint64(0)
    for i in range(8):
        high = (high << np.uint64(8)) | np.uint64(address[i])
        low = (low << np.uint64(8)) | np.uint64(address[8 + i])
    return high, low, np.uint64(socket) << np.uint64(16) | np.uint64(port)


@subroutine
def add_path(net: NetTables, command: Any) -> None:
    """ADD_PATH. Values: kind, transport, socket, port, length of the sockaddr. Body: 16 address bytes, 28 of sockaddr."""
    path = net.paths[command.row]
    path.kind = command.values[0]
    path.generation = command.generation
    path.transport = command.values[1]
    path.socket = command.values[2]
    path.port = command.values[3]
    path.sockaddr_length = command.values[4]
    for i in range(16):
        path.address[i] = command.body[i]
    for i in range(28):
        path.sockaddr[i] = command.body[16 + i]
    path.last_received = 0
    path.received_packets = 0
    path.received_bytes = 0
    path.sent_packets = 0
    path.sent_bytes = 0
    path.send_errors = 0
    a, b, c = flow_key(path.address, path.socket, path.port)
    insert(net.flows, a, b, c, command.row)


@subroutine
def remove_path(net: NetTables, command: Any) -> None:
    """REMOVE_PATH."""
    path = net.paths[command.row]
    if path.kind != 0 and path.generation == command.generation:
        a, b, c = flow_key(path.address, path.socket, path.port)
        remove(net.flows, a, b, c)
        path.kind = 0
