"""Batches in and out of UDP sockets: recvmmsg with the kernel's arrival times, sendmmsg to many paths."""

import errno
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import BYTES_USED, MAX_DATAGRAM, ROWS_USED, Drop, OutKind, PacketBatch
from visiomedia.jit import Integer, external, subroutine
from visiomedia.lookup import find, insert, remove
from visiomedia.net.structures import (
    CONTROL_BYTES,
    ERROR,
    MAX_SEGMENTS,
    NAME_BYTES,
    SEGMENTS,
    SOCKADDR_OFFSET,
    TURNS,
    VECTOR,
    SocketTables,
)
from visiomedia.net.tables import NetTables, PathKind

UDP = int(PathKind.UDP)
TRUNCATED = int(Drop.TRUNCATED)
NO_PATH = int(Drop.NO_PATH)
RTP_OUT = int(OutKind.RTP)

CLOCK_REALTIME = 0
CLOCK_MONOTONIC = 1
MSG_DONTWAIT = 0x40
MSG_TRUNC = 0x20
SOL_SOCKET = 1
SCM_TIMESTAMPNS = 35
SO_RXQ_OVFL = 40
SOL_UDP = 17
UDP_SEGMENT = 103
SEGMENT_CONTROL_LENGTH = 18
"""CMSG_LEN of a 16-bit number: 16 bytes of struct cmsghdr, then two."""
SEGMENT_CONTROL_SPACE = 24
MAX_MESSAGE = 65507
"""Bytes of UDP payload that fit an IPv4 packet."""
EAGAIN = errno.EAGAIN
EINVAL = errno.EINVAL
EIO = errno.EIO
EMSGSIZE = errno.EMSGSIZE
ENOBUFS = errno.ENOBUFS
ECONNREFUSED = errno.ECONNREFUSED
IPV4 = 4
VECTOR_BYTES = VECTOR.itemsize

FEW_MESSAGES = 8
"""So many are offered first: most turns find fewer, and each is written down before the call."""

RECEIVE_ERRORS = 8
"""Failed calls after which a socket is left until the next turn."""

if sys.platform == "linux":  # elsewhere nothing calls receive and send, but paths are kept all the same
    recvmmsg = external("recvmmsg", "i4", "i4", "u8", "u4", "i4", "u8")
    sendmmsg = external("sendmmsg", "i4", "i4", "u8", "u4", "i4")
    clock_gettime = external("clock_gettime", "i4", "i4", "u8")
    errno_location = external("__errno_location", "u8")
    memcpy = external("memcpy", "u8", "u8", "u8", "u8")


@subroutine
def _clock(tables: SocketTables, clock: Integer) -> Integer:
    clock_gettime(clock, tables.times.ctypes.data)
    return np.int64(tables.times[0] * 1_000_000_000 + tables.times[1])


@subroutine
def monotonic(tables: SocketTables) -> Integer:
    """Monotonic ns, now."""
    return _clock(tables, CLOCK_MONOTONIC)


@subroutine
def _arrival(
    tables: SocketTables, number: Integer, slot: Integer, length: Integer, offset: Integer, now: Integer
) -> Integer:
    """The kernel's receive time of message ``slot`` in monotonic ns; ``now`` where it gave none. What the kernel says
    of datagrams that it lost before is noted on the way."""
    control = tables.control[slot]
    arrival: Integer = now
    at: Integer = 0
    while at + 16 <= length:
        # struct cmsghdr: length (8), level (4), type (4), then data; the next one is aligned to 8.
        size = np.int64(control[at]) | np.int64(control[at + 1]) << 8
        level = control[at + 8]
        kind = control[at + 12]
        if size < 16:
            return arrival
        if level == SOL_SOCKET and kind == SCM_TIMESTAMPNS and at + 32 <= length:
            seconds = np.int64(0)
            nanoseconds = np.int64(0)
            for i in range(8):
                seconds |= np.int64(control[at + 16 + i]) << (8 * i)
                nanoseconds |= np.int64(control[at + 24 + i]) << (8 * i)
            # A wall clock that was set in between must not make a packet come from the future.
            arrival = min(seconds * 1_000_000_000 + nanoseconds + offset, now)
        if level == SOL_SOCKET and kind == SO_RXQ_OVFL and at + 20 <= length:
            lost = np.int64(0)
            for i in range(4):
                lost |= np.int64(control[at + 16 + i]) << (8 * i)
            # A count of 32 bits that goes round.
            socket = tables.sockets[number]
            socket.overflowed += (lost - socket.overflowed) & 0xFFFFFFFF
        at += (size + 7) & ~7
    return arrival


@subroutine
def _error(tables: SocketTables) -> Integer:
    """errno of the call before; nothing may be called in between."""
    memcpy(tables.state.ctypes.data + 8 * ERROR, errno_location(), 4)
    return np.int64(tables.state[ERROR])


@subroutine
def receive(tables: SocketTables, batch: PacketBatch, now: Integer) -> Integer:
    """Append what has arrived on every socket to an inbound batch, up to its rows; returns how many.

    The sockets take turns at being first. Each message is offered MAX_DATAGRAM bytes; what is longer is marked
    TRUNCATED. Errors that the network reported for earlier sends are counted and end nothing.
    """
    rows, _, state = batch
    sockets = tables.sockets
    offset = _clock(tables, CLOCK_MONOTONIC) - _clock(tables, CLOCK_REALTIME)
    before = np.int64(state[ROWS_USED])
    start = tables.state[TURNS]
    tables.state[TURNS] += 1
    for turn in range(len(sockets)):
        number = (start + turn) % len(sockets)
        share = np.int64(len(rows) - state[ROWS_USED])
        if turn + 1 < len(sockets):
            # The last sockets of a turn find room too: none takes more than half of what is left to the others.
            share = (share + 1) // 2
        errors = 0
        offered = FEW_MESSAGES
        while share > 0 and errors < RECEIVE_ERRORS:
            room = _offer(tables, batch, min(int(share), offered))
            if room == 0:
                break
            count = recvmmsg(sockets[number].descriptor, tables.messages.ctypes.data, room, MSG_DONTWAIT, 0)
            if count < 0:
                if _error(tables) == EAGAIN:
                    break
                sockets[number].receive_errors += 1
                errors += 1
                continue
            _take(tables, batch, number, count, offset, now)
            share -= count
            if count < room:
                break
            offered = len(tables.messages)
    return np.int64(state[ROWS_USED]) - before


@subroutine
def _offer(tables: SocketTables, batch: PacketBatch, most: Integer) -> Integer:
    """Point at most that many messages into the arena's free bytes; returns how many.

    The system is told where each datagram goes before anyone knows its length, so that datagrams of one call lie
    MAX_DATAGRAM apart.
    """
    _, arena, state = batch
    at = np.int64(state[BYTES_USED])
    room: Integer = min(int(most), len(tables.messages), (len(arena) - int(at)) // MAX_DATAGRAM)
    for i in range(room):
        message = tables.messages[i]
        message.name = tables.names.ctypes.data + i * NAME_BYTES
        message.name_length = NAME_BYTES
        message.vectors = tables.vectors.ctypes.data + i * VECTOR_BYTES
        message.vector_count = 1
        message.control = tables.control.ctypes.data + i * CONTROL_BYTES
        message.control_length = CONTROL_BYTES
        message.message_flags = 0
        message.transferred = 0
        tables.vectors[i].start = arena.ctypes.data + at + i * MAX_DATAGRAM
        tables.vectors[i].length = MAX_DATAGRAM
    return room


@subroutine
def _take(
    tables: SocketTables, batch: PacketBatch, number: Integer, count: Integer, offset: Integer, now: Integer
) -> None:
    """Append the rows of messages that were received."""
    rows, _, state = batch
    socket = tables.sockets[number]
    used, at = np.int64(state[ROWS_USED]), np.int64(state[BYTES_USED])
    for i in range(count):
        message = tables.messages[i]
        row = rows[used + i]
        row.offset = at + i * MAX_DATAGRAM
        row.length = message.transferred
        row.drop = TRUNCATED if message.message_flags & MSG_TRUNC else 0
        row.socket = number
        row.arrival = _arrival(tables, number, i, np.int64(message.control_length), offset, now)
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
    socket.received += count


@subroutine
def send(tables: SocketTables, out: PacketBatch, paths: NDArray[Any]) -> None:
    """Send every row of an out batch that was not dropped, socket by socket: pictures after all else.

    Rows to one destination keep their order and leave together: those of one length, and a shorter one behind them, as
    one message that the system cuts into datagrams (UDP_SEGMENT). A destination that errors costs only its own rows.
    What a full socket buffer refuses is lost, with what is left for that socket: waiting would hold up everybody else.
    Both are counted.
    """
    rows, _, state = out
    last = np.int64(state[ROWS_USED])
    for i in range(last):
        row = rows[i]
        if row.drop == 0 and row.path >= 0:
            path = paths[row.path]
            if path.kind != UDP or path.socket >= len(tables.sockets):
                row.drop = NO_PATH
    for number in range(len(tables.sockets)):
        takes_more = True
        for is_picture in (False, True):
            first_path = _group(rows, last, paths, number, is_picture)
            if first_path >= 0:
                takes_more = _send_groups(tables, out, paths, number, first_path, takes_more)


@subroutine
def _group(rows: NDArray[Any], last: Integer, paths: NDArray[Any], number: Integer, is_picture: bool) -> Integer:
    """Chain the rows of one socket by path, and those paths; returns the first path, -1 for none."""
    first_path: Integer = -1
    last_path: Integer = -1
    for i in range(last):
        row = rows[i]
        if row.drop != 0 or row.path < 0 or (row.kind == RTP_OUT and row.is_audio == 0) != is_picture:
            continue
        path = paths[row.path]
        if path.socket != number:
            continue
        row.next = 0
        if path.first_row == 0:
            path.first_row = i + 1
            path.next_path = 0
            if first_path < 0:
                first_path = np.int64(row.path)
            else:
                paths[last_path].next_path = row.path + 1
            last_path = np.int64(row.path)
        else:
            rows[path.last_row - 1].next = i + 1
        path.last_row = i + 1
    return first_path


@subroutine
def _send_groups(
    tables: SocketTables, out: PacketBatch, paths: NDArray[Any], number: Integer, first_path: Integer, takes_more: bool
) -> bool:
    """Send what ``_group`` has chained, and leave no chain behind; False where the socket takes no more now."""
    rows = out.rows
    messages = np.int64(0)
    vectors = np.int64(0)
    at_path = np.int64(first_path)
    while at_path >= 0:
        path = paths[at_path]
        at_row = np.int64(path.first_row) - 1
        path.first_row = 0
        while at_row >= 0:
            if messages == len(tables.messages) or vectors + SEGMENTS > len(tables.vectors):
                takes_more = takes_more and _flush(tables, number, messages, rows, paths)
                messages = np.int64(0)
                vectors = np.int64(0)
            if not takes_more:
                _lose(tables, number, path)
                at_row = np.int64(rows[at_row].next) - 1
                continue
            message = tables.messages[messages]
            message.name = paths.ctypes.data + at_path * paths.itemsize + tables.state[SOCKADDR_OFFSET]
            message.name_length = path.sockaddr_length
            message.vectors = tables.vectors.ctypes.data + vectors * VECTOR_BYTES
            message.message_flags = 0
            message.transferred = 0
            most = np.int64(1) if path.refuses_segments != 0 else np.int64(tables.state[MAX_SEGMENTS])
            length = np.int64(rows[at_row].length)
            if length > 0:
                most = min(most, MAX_MESSAGE // length)
            count = np.int64(0)
            while True:
                row = rows[at_row]
                vector = tables.vectors[vectors]
                vector.start = out.arena.ctypes.data + row.offset
                vector.length = row.length
                tables.rows[vectors] = at_row
                vectors += 1
                count += 1
                at_row = np.int64(row.next) - 1
                if count >= most or row.length < length or at_row < 0 or rows[at_row].length > length:
                    break
            message.vector_count = count
            message.control = 0
            message.control_length = 0
            if count > 1:
                _set_segment(tables, messages, length)
            messages += 1
        at_path = np.int64(path.next_path) - 1
    if messages > 0:
        takes_more = takes_more and _flush(tables, number, messages, rows, paths)
    return takes_more


@subroutine
def _set_segment(tables: SocketTables, slot: Integer, length: Integer) -> None:
    """The control message that has a message cut: struct cmsghdr, then the datagrams' length as 16 bits."""
    control = tables.control[slot]
    for i in range(SEGMENT_CONTROL_SPACE):
        control[i] = 0
    control[0] = SEGMENT_CONTROL_LENGTH
    control[8] = SOL_UDP
    control[12] = UDP_SEGMENT
    control[16] = length & 255
    control[17] = length >> 8
    message = tables.messages[slot]
    message.control = tables.control.ctypes.data + slot * CONTROL_BYTES
    message.control_length = SEGMENT_CONTROL_SPACE


@subroutine
def _lose(tables: SocketTables, number: Integer, path: Any) -> None:
    path.send_errors += 1
    tables.sockets[number].send_errors += 1


@subroutine
def _flush(tables: SocketTables, number: Integer, count: Integer, rows: NDArray[Any], paths: NDArray[Any]) -> bool:
    """sendmmsg until every message has left or failed; False where the socket takes no more now.

    A message whose path takes no segments is sent again as datagrams, sealed as they are: nothing of it has left.
    """
    socket = tables.sockets[number]
    at = np.int64(0)
    vector = np.int64(0)
    tried_again = np.int64(-1)
    while at < count:
        start = tables.messages.ctypes.data + at * tables.messages.itemsize
        sent = np.int64(sendmmsg(socket.descriptor, start, count - at, MSG_DONTWAIT))
        if sent > 0:
            for i in range(at, at + sent):
                vector += _count_sent(tables, number, i, vector, rows, paths)
            at += sent
            continue
        error = _error(tables)
        if error == ECONNREFUSED and tried_again != at:
            # What ICMP reported of an earlier datagram is told to whoever sends next.
            tried_again = at
            continue
        message = tables.messages[at]
        path = paths[rows[tables.rows[vector]].path]
        if error == EAGAIN or error == ENOBUFS:
            for i in range(at, count):
                for _ in range(tables.messages[i].vector_count):
                    _lose(tables, number, paths[rows[tables.rows[vector]].path])
                    vector += 1
            return False
        segments = np.int64(message.vector_count)
        if segments == 1 or (error != EMSGSIZE and error != EINVAL and error != EIO):
            for _ in range(segments):
                _lose(tables, number, path)
            vector += segments
            at += 1
            continue
        path.refuses_segments = 1
        socket.segments_refused += 1
        message.control = 0
        message.control_length = 0
        message.vector_count = 1
        for _ in range(segments):
            message.vectors = tables.vectors.ctypes.data + vector * VECTOR_BYTES
            if sendmmsg(socket.descriptor, start, 1, MSG_DONTWAIT) == 1:
                _count_sent(tables, number, at, vector, rows, paths)
            else:
                _lose(tables, number, path)
            vector += 1
        at += 1
    return True


@subroutine
def _count_sent(
    tables: SocketTables, number: Integer, slot: Integer, vector: Integer, rows: NDArray[Any], paths: NDArray[Any]
) -> Integer:
    """A message has left; returns how many vectors were its own."""
    socket = tables.sockets[number]
    count = np.int64(tables.messages[slot].vector_count)
    path = paths[rows[tables.rows[vector]].path]
    for i in range(vector, vector + count):
        path.sent_bytes += rows[tables.rows[i]].length
    path.sent_packets += count
    socket.sent += count
    socket.messages += 1
    if count > 1:
        socket.segmented += count
    return count


@subroutine
def flow_key(address: NDArray[np.uint8], socket: Integer, port: Integer) -> tuple[Any, Any, Any]:
    """The three words under which a flow is looked up: 16 address bytes, then socket and port."""
    high = np.uint64(0)
    low = np.uint64(0)
    for i in range(8):
        high = (high << np.uint64(8)) | np.uint64(address[i])
        low = (low << np.uint64(8)) | np.uint64(address[8 + i])
    return high, low, np.uint64(socket) << np.uint64(16) | np.uint64(port)


@subroutine
def add_path(net: NetTables, command: Any) -> None:
    """ADD_PATH. Values: kind, transport, socket, port, sockaddr length. Body: 16 address bytes, 28 of sockaddr.

    The row's counters go on from where its last use left them: the sum over all rows never goes back.
    """
    path = net.paths[command.row]
    _forget_flow(net, command.row)
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
    path.refuses_segments = 0
    path.first_row = 0
    a, b, c = flow_key(path.address, path.socket, path.port)
    insert(net.flows, a, b, c, command.row)


@subroutine
def remove_path(net: NetTables, command: Any) -> None:
    """REMOVE_PATH."""
    if net.paths[command.row].generation == command.generation:
        _forget_flow(net, command.row)
        net.paths[command.row].kind = 0


@subroutine
def _forget_flow(net: NetTables, row: Integer) -> None:
    """Take a path's flow out, unless another path has it by now."""
    path = net.paths[row]
    if path.kind != 0:
        a, b, c = flow_key(path.address, path.socket, path.port)
        if find(net.flows, a, b, c) == row:
            remove(net.flows, a, b, c)
