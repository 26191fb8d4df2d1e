"""What participants send and receive during a run, by one kernel without Python: it carries a core's worth of packets.

Packets are sealed before a run and leave at their times. What comes to the receivers' sockets is counted; one packet
in so many is kept for its owner to open, and the arrival of each frame's last packet is noted. Sockets never set
UDP_GRO and nobody sleeps on them: they are swept, so that a server on the same machine does not pay for waking
somebody.
"""

import contextlib
import os
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import Integer, compile_for, external, record, subroutine
from visiomedia.net.structures import CONTROL_BYTES, MESSAGE, VECTOR

MESSAGES = 64
DATAGRAM = 2048
SAMPLES = 4096
MARKERS = 1 << 19

SWEEP_NS = 1_000_000
SWEEP_SOCKET_NS = 4_000
"""Between two sweeps: so much, and so much for each socket where that is more."""

QUIET_NS = 100_000_000
LONGEST_NS = 2_000_000_000
"""A run ends when nothing came for the first after the last packet was sent, and after the second at the latest."""

BUFFER = 4 << 20
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
MSG_DONTWAIT = 0x40
CLOCK_REALTIME, CLOCK_MONOTONIC = 0, 1

recvmmsg = external("recvmmsg", "i4", "i4", "u8", "u4", "i4", "u8")
sendto = external("sendto", "i8", "i4", "u8", "u8", "i4", "u8", "u4")
nanosleep = external("nanosleep", "i4", "u8", "u8")
clock_gettime = external("clock_gettime", "i4", "i4", "u8")

PACKET = record(
    [
        ("due", "<i8"),
        ("sent", "<i8"),
        ("descriptor", "<i4"),
        ("destination", "<i4"),
        ("start", "<i8"),
        ("length", "<i8"),
    ]
)
"""One to send: ``due`` ns after the run's beginning, ``sent`` in ns of the wall clock, bytes in the arena."""

RECEIVER = record([("descriptor", "<i4"), ("packets", "<i8"), ("bytes", "<i8"), ("others", "<i8")])
"""One socket: packets of media, their bytes, and all other datagrams."""

SAMPLE = record([("receiver", "<i4"), ("length", "<i4"), ("body", "u1", (DATAGRAM,))])
MARKER = record([("receiver", "<i4"), ("ssrc", "<u4"), ("timestamp", "<u4"), ("arrival", "<i8")])
"""A frame's last packet, whose marker is set; ``arrival``: the system's, in ns of its wall clock."""


class TrafficTables(NamedTuple):
    """``packets``, ``arena``, ``names``: what is sent, its bytes, and the sockaddrs it goes to; ``state``: (7,) int64:
    samples and markers written, whether to stop, one packet in so many is kept, packets sent and received, and whether
    every packet ends a frame."""

    packets: NDArray[Any]
    arena: NDArray[np.uint8]
    names: NDArray[np.uint8]
    receivers: NDArray[Any]
    samples: NDArray[Any]
    markers: NDArray[Any]
    messages: NDArray[Any]
    vectors: NDArray[Any]
    control: NDArray[np.uint8]
    received: NDArray[np.uint8]
    time: NDArray[np.int64]
    state: NDArray[np.int64]


WRITTEN_SAMPLES, WRITTEN_MARKERS, STOP, ONE_IN, SENT, RECEIVED, NOTES_ALL = 0, 1, 2, 3, 4, 5, 6


@subroutine
def _now(tables: TrafficTables, clock: Integer) -> Integer:
    clock_gettime(np.int32(clock), tables.time.ctypes.data)
    return np.int64(tables.time[0] * 1_000_000_000 + tables.time[1])


@subroutine
def _sleep(tables: TrafficTables, duration: Integer) -> None:
    tables.time[0] = duration // 1_000_000_000
    tables.time[1] = duration % 1_000_000_000
    nanosleep(tables.time.ctypes.data, 0)


@subroutine
def _arrival(control: NDArray[np.uint8]) -> Integer:
    """SCM_TIMESTAMPNS, which is the only control message: ns."""
    seconds = np.int64(0)
    nanoseconds = np.int64(0)
    for i in range(8):
        seconds |= np.int64(control[16 + i]) << (8 * i)
        nanoseconds |= np.int64(control[24 + i]) << (8 * i)
    return seconds * 1_000_000_000 + nanoseconds


@subroutine
def _count(tables: TrafficTables, number: Integer, slot: Integer) -> None:
    """One datagram of one receiver. RFC 5761 section 4 tells RTCP from RTP."""
    receiver = tables.receivers[number]
    at = slot * DATAGRAM
    length = np.int64(tables.messages[slot].transferred)
    first, second = tables.received[at], tables.received[at + 1]
    if length < 12 or first < 128 or first > 191 or (second >= 192 and second <= 223):
        receiver.others += 1
        return
    receiver.packets += 1
    receiver.bytes += length
    tables.state[RECEIVED] += 1
    if tables.state[RECEIVED] % tables.state[ONE_IN] == 0:
        sample = tables.samples[tables.state[WRITTEN_SAMPLES] % SAMPLES]
        sample.receiver = number
        sample.length = length
        for i in range(length):
            sample.body[i] = tables.received[at + i]
        tables.state[WRITTEN_SAMPLES] += 1
    if (second & 0x80 or tables.state[NOTES_ALL]) and tables.state[WRITTEN_MARKERS] < MARKERS:
        marker = tables.markers[tables.state[WRITTEN_MARKERS]]
        marker.receiver = number
        marker.arrival = _arrival(tables.control[slot])
        word = np.int64(0)
        for i in range(4, 8):
            word = word << 8 | np.int64(tables.received[at + i])
        marker.timestamp = word
        word = np.int64(0)
        for i in range(8, 12):
            word = word << 8 | np.int64(tables.received[at + i])
        marker.ssrc = word
        tables.state[WRITTEN_MARKERS] += 1


@subroutine
def _read(tables: TrafficTables, number: Integer) -> Integer:
    """All that waits in one socket."""
    came = np.int64(0)
    while True:
        for slot in range(MESSAGES):
            message = tables.messages[slot]
            message.vectors = tables.vectors.ctypes.data + slot * tables.vectors.itemsize
            message.vector_count = 1
            message.control = tables.control.ctypes.data + slot * CONTROL_BYTES
            message.control_length = CONTROL_BYTES
            message.transferred = 0
        descriptor = tables.receivers[number].descriptor
        count = np.int64(recvmmsg(descriptor, tables.messages.ctypes.data, MESSAGES, MSG_DONTWAIT, 0))
        for slot in range(count):
            _count(tables, number, np.int64(slot))
        if count > 0:
            came += count
        if count < MESSAGES:
            return came


@subroutine
def _send_due(tables: TrafficTables, elapsed: Integer) -> None:
    """Packets whose time has come."""
    while tables.state[SENT] < len(tables.packets):
        packet = tables.packets[tables.state[SENT]]
        if packet.due > elapsed:
            return
        packet.sent = _now(tables, CLOCK_REALTIME)
        name = tables.names.ctypes.data + packet.destination * tables.names.shape[1]
        start = tables.arena.ctypes.data + packet.start
        sendto(packet.descriptor, start, packet.length, MSG_DONTWAIT, name, tables.names.shape[1])
        tables.state[SENT] += 1


@subroutine
def carry(tables: TrafficTables) -> None:
    """Send everything at its time and count what comes, until nothing more does."""
    for slot in range(MESSAGES):
        tables.vectors[slot].start = tables.received.ctypes.data + slot * DATAGRAM
        tables.vectors[slot].length = DATAGRAM
    for number in range(len(tables.receivers)):  # what came between runs
        _read(tables, np.int64(number))
        tables.receivers[number].packets = 0
        tables.receivers[number].bytes = 0
        tables.receivers[number].others = 0
    tables.state[WRITTEN_SAMPLES] = 0
    tables.state[WRITTEN_MARKERS] = 0
    begin = _now(tables, CLOCK_MONOTONIC)
    last = begin + tables.packets[len(tables.packets) - 1].due
    between = max(SWEEP_NS, SWEEP_SOCKET_NS * len(tables.receivers))
    heard = np.int64(0)
    while tables.state[STOP] == 0:
        started = _now(tables, CLOCK_MONOTONIC)
        for number in range(len(tables.receivers)):
            _send_due(tables, _now(tables, CLOCK_MONOTONIC) - begin)
            before = tables.receivers[number].packets
            _read(tables, np.int64(number))
            if tables.receivers[number].packets != before:
                heard = np.int64(started)
        now = _now(tables, CLOCK_MONOTONIC)
        if (now > last and now - max(heard, last) > QUIET_NS) or now - last > LONGEST_NS:
            return
        due = started + between
        while now < due and tables.state[STOP] == 0:
            _send_due(tables, now - begin)
            until = due
            if tables.state[SENT] < len(tables.packets):
                until = min(due, begin + tables.packets[tables.state[SENT]].due)
            if until > now:
                _sleep(tables, until - now)
            now = _now(tables, CLOCK_MONOTONIC)


def sockaddr(host: str, port: int) -> bytes:
    """struct sockaddr_in of an IPv4 address."""
    family = int(socket.AF_INET).to_bytes(2, "little")
    return family + port.to_bytes(2, "big") + socket.inet_aton(host) + bytes(8)


def ready(opened: socket.socket) -> None:
    """Prepare a receiver's socket: the system's arrival times, and room for what one sweep finds."""
    opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    try:
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)


def make_tables(
    packets: NDArray[Any],
    arena: NDArray[np.uint8],
    names: Sequence[bytes],
    receivers: Sequence[int],
    *,
    one_in: int,
    notes_all: bool = False,
) -> TrafficTables:
    """For one run: ``receivers`` are file descriptors; ``notes_all``: as if every packet had its marker set."""
    tables = TrafficTables(
        packets,
        arena,
        np.frombuffer(b"".join(names), np.uint8).reshape(-1, 16).copy(),
        np.zeros(len(receivers), RECEIVER),
        np.zeros(SAMPLES, SAMPLE),
        np.zeros(MARKERS, MARKER),
        np.zeros(MESSAGES, MESSAGE),
        np.zeros(MESSAGES, VECTOR),
        np.zeros((MESSAGES, CONTROL_BYTES), np.uint8),
        np.zeros(MESSAGES * DATAGRAM, np.uint8),
        np.zeros(2, np.int64),
        np.array([0, 0, 0, one_in, 0, 0, notes_all], np.int64),
    )
    tables.receivers["descriptor"] = receivers
    return tables


def compile_carry() -> None:
    """Before anything is measured."""
    packets = np.zeros(1, PACKET)
    compile_for(carry, (make_tables(packets, np.zeros(1, np.uint8), [bytes(16)], [-1], one_in=1),))


def run(tables: TrafficTables) -> None:
    """Carry a run; blocks, without the interpreter's lock.

    In real time where that is allowed: people who join at the same time share this core, and packets that they held
    up would leave in a heap, whose waiting would be taken for the server's.
    """
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        compile_for(carry, (tables,))(tables)
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def samples(tables: TrafficTables) -> list[tuple[int, bytes]]:
    """(receiver, sealed packet) of those kept; the newest, where they were too many."""
    written = int(tables.state[WRITTEN_SAMPLES])
    return [
        (int(each["receiver"]), each["body"][: each["length"]].tobytes())
        for each in tables.samples[np.arange(max(0, written - SAMPLES), written) % SAMPLES]
    ]


def markers(tables: TrafficTables) -> NDArray[Any]:
    """(markers,) MARKER."""
    return tables.markers[: int(tables.state[WRITTEN_MARKERS])]
