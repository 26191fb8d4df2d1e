"""The line: from demux to protect, one kernel over a batch and the tables. No socket, no clock.

    commands ─► ingest: demux ─► unprotect ─► parse ─► receive_media ─► advance:
    feedback ─► timers ─► fan_out ─► protect
                          └► STUN, DTLS, unknown SSRCs: handed up

``begin`` applies commands before the socket fills the batch, ``ingest`` takes a full batch in, and ``advance`` is
called until it says that nothing is left: each call fills the out batch once, sealed and ready to send. Packets that
wait for fan-out may be left to the next turn; feedback may not, for it lies in the batch.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import (
    BYTES_USED,
    MAX_EXPANSION,
    OUT_ROW,
    ROW,
    ROWS_USED,
    Drop,
    OutKind,
    PacketBatch,
    RowKind,
    make_batch,
)
from visiomedia.commands import APPLIED, WRITTEN, CommandRing, Operation, make_command_ring
from visiomedia.congestion.tables import TRANSPORT_ARRIVALS
from visiomedia.errors import ConfigurationError
from visiomedia.jit import Integer, subroutine
from visiomedia.lookup import find, insert, remove
from visiomedia.memory import copy_bytes
from visiomedia.net.kernels import add_path, remove_path
from visiomedia.net.tables import NetTables, make_net_tables
from visiomedia.routing.command_kernels import (
    add_source,
    add_track,
    remove_source,
    remove_track,
    request_key_frame,
    subscribe,
    unsubscribe,
)
from visiomedia.routing.feedback_kernels import apply_feedback
from visiomedia.routing.kernels import fan_out, receive_media
from visiomedia.routing.tables import LARGE_CHUNK, SMALL_CHUNK, RoutingTables, make_history, make_routing_tables
from visiomedia.routing.timer_kernels import MAX_PAIRS, TIMERS, has_rtcp_room, run_timers
from visiomedia.rtp.kernels import parse
from visiomedia.rtp.rtcp_kernels import parse_rtcp
from visiomedia.rtp.tables import (
    COMPOUND_ITEMS,
    EXTENSION_MAP,
    FEEDBACK,
    NACK_LIST,
    PAYLOAD_TYPE,
    RECEPTION,
    FeedbackKind,
)
from visiomedia.srtp.kernels import clear_session, open_unknown, protect, reset_stream, set_keys, unprotect
from visiomedia.srtp.tables import SrtpTables, make_srtp_tables
from visiomedia.transport.check_kernels import answer_check, set_check
from visiomedia.transport.kernels import (
    demux,
    drop_held,
    hand_up,
    hold,
    inject_held,
    release_held,
    settle_handed,
)
from visiomedia.transport.tables import TransportTables, make_transport_tables

ADD_PATH = int(Operation.ADD_PATH)
REMOVE_PATH = int(Operation.REMOVE_PATH)
ADD_TRANSPORT = int(Operation.ADD_TRANSPORT)
SELECT_PATH = int(Operation.SELECT_PATH)
SET_KEYS = int(Operation.SET_KEYS)
SET_EXTENSIONS = int(Operation.SET_EXTENSIONS)
SET_PAYLOAD_TYPES = int(Operation.SET_PAYLOAD_TYPES)
REMOVE_TRANSPORT = int(Operation.REMOVE_TRANSPORT)
ADD_TRACK = int(Operation.ADD_TRACK)
REMOVE_TRACK = int(Operation.REMOVE_TRACK)
ADD_SOURCE = int(Operation.ADD_SOURCE)
REMOVE_SOURCE = int(Operation.REMOVE_SOURCE)
SUBSCRIBE = int(Operation.SUBSCRIBE)
UNSUBSCRIBE = int(Operation.UNSUBSCRIBE)
REQUEST_KEY_FRAME = int(Operation.REQUEST_KEY_FRAME)
SEND_DATAGRAM = int(Operation.SEND_DATAGRAM)
SEND_RTCP = int(Operation.SEND_RTCP)
SET_CHECK = int(Operation.SET_CHECK)

STUN = int(RowKind.STUN)
DTLS = int(RowKind.DTLS)
RTCP_ROW = int(RowKind.RTCP)
RTP_ROW = int(RowKind.RTP)
DATAGRAM = int(OutKind.DATAGRAM)
RTCP_OUT = int(OutKind.RTCP)
GOODBYE = int(FeedbackKind.GOODBYE)
UNKNOWN_SSRC = int(Drop.UNKNOWN_SSRC)
AUTHENTICATION = int(Drop.AUTHENTICATION)
HANDED_UP_OVERFLOW = int(Drop.HANDED_UP_OVERFLOW)
HELD = int(Drop.HELD)
FULL = int(Drop.FULL)
NO_PATH = int(Drop.NO_PATH)
NO_ROW = -1
TRIAL_OFFSET = 1024
"""Where in the SRTP scratch a trial opening writes (``srtp.kernels.open_unknown``)."""


@dataclass(frozen=True, kw_only=True)
class Capacities:
    """How many rows each table has. Allocated once; the system gives memory as rows are first used."""

    transports: int = 2048
    sources: int = 4096
    tracks: int = 2048
    subscriptions: int = 16384
    paths: int = 4096
    batch_rows: int = 512
    out_rows: int = 1024
    commands: int = 1024
    history_mb: int = 512
    """Megabytes of packets kept for retransmission, of all sources."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if getattr(self, name) < 1:
                raise ConfigurationError(name, getattr(self, name), "at least 1")


class RtpTables(NamedTuple):
    """``extension_maps``: (transports,) EXTENSION_MAP; ``payload_types``: (transports, 128) PAYLOAD_TYPE;
    ``receptions``: (sources,) RECEPTION; ``nacks``: (sources,) NACK_LIST; ``arrivals``: (transports,)
    TRANSPORT_ARRIVALS; ``feedback``: items of a batch's RTCP; ``pairs``: scratch of a NACK; ``cname``: our own."""

    extension_maps: NDArray[Any]
    payload_types: NDArray[Any]
    receptions: NDArray[Any]
    nacks: NDArray[Any]
    arrivals: NDArray[Any]
    feedback: NDArray[Any]
    pairs: NDArray[np.int64]
    cname: NDArray[np.uint8]


class Tables(NamedTuple):
    """All that the line knows. ``cursor``: (3,) int64, where ``advance`` goes on in the batch's feedback, and how much
    of it there is; ``timers``: (TIMERS,) int64 of ns."""

    net: NetTables
    transport: TransportTables
    rtp: RtpTables
    srtp: SrtpTables
    routing: RoutingTables
    commands: CommandRing
    cursor: NDArray[np.int64]
    timers: NDArray[np.int64]


FEEDBACK_COUNT = 2
NOTHING_LEFT, FAN_OUT_WAITS, UNFINISHED = 0, 1, 2
WAITING_BATCHES = 4
"""So many batches of packets may wait to be fanned out."""


def make_tables(capacities: Capacities, cname: bytes) -> Tables:
    """Every table of a line, empty. ``cname``: what our own reports are signed with, at most 64 bytes."""
    history_bytes = capacities.history_mb << 20
    large = history_bytes * 15 // 16 // LARGE_CHUNK
    small = history_bytes // 16 // SMALL_CHUNK
    transports, sources = capacities.transports, capacities.sources
    rtp = RtpTables(
        np.zeros(transports, EXTENSION_MAP),
        np.zeros((transports, 128), PAYLOAD_TYPE),
        np.zeros(sources, RECEPTION),
        np.zeros(sources, NACK_LIST),
        np.zeros(transports, TRANSPORT_ARRIVALS),
        np.zeros(COMPOUND_ITEMS * capacities.batch_rows, FEEDBACK),
        np.zeros((MAX_PAIRS, 2), np.int64),
        np.frombuffer(cname, np.uint8).copy(),
    )
    history = make_history(large, small, 4 * sources)
    return Tables(
        make_net_tables(capacities.paths),
        make_transport_tables(transports, sources, paths=capacities.paths),
        rtp,
        make_srtp_tables(transports, sources, 2 * capacities.subscriptions),
        make_routing_tables(
            sources,
            capacities.tracks,
            capacities.subscriptions,
            history,
            waiting=WAITING_BATCHES * capacities.batch_rows,
        ),
        make_command_ring(capacities.commands),
        np.zeros(3, np.int64),
        np.zeros(TIMERS, np.int64),
    )


def make_batches(capacities: Capacities) -> tuple[PacketBatch, PacketBatch]:
    """The inbound and the outbound batch."""
    inbound = make_batch(capacities.batch_rows, capacities.batch_rows * 2048, ROW)
    outbound = make_batch(capacities.out_rows, capacities.out_rows * 2048, OUT_ROW)
    return inbound, outbound


@subroutine
def reset(batch: PacketBatch) -> None:
    """Empty a batch."""
    batch.state[ROWS_USED] = 0
    batch.state[BYTES_USED] = 0


@subroutine
def _add_transport(tables: Tables, command: Any) -> None:
    """ADD_TRANSPORT. Values: RTCP SSRC, takes reduced-size RTCP."""
    row = np.int64(command.row)
    transport = tables.transport.transports[row]
    transport.in_use = 1
    transport.generation = command.generation
    transport.path = NO_ROW
    transport.rtcp_ssrc = command.values[0]
    transport.takes_reduced_size = command.values[1]
    transport.held = 0
    transport.report_at = 0
    transport.received_packets = 0
    transport.received_bytes = 0
    transport.sent_packets = 0
    transport.sent_bytes = 0
    for reason in range(len(transport.dropped)):
        transport.dropped[reason] = 0
    extension_map = tables.rtp.extension_maps[row]
    for identifier in range(256):
        extension_map.kind_of_id[identifier] = 0
    for kind in range(16):
        extension_map.id_of_kind[kind] = 0
    extension_map.takes_mixed = 0
    for payload_type in range(128):
        tables.rtp.payload_types[row, payload_type].codec = 0
    arrivals = tables.rtp.arrivals[row]
    arrivals.highest = -1
    arrivals.reported = 0
    arrivals.deadline = 0
    arrivals.feedback_count = 0
    for slot in range(len(arrivals.arrival)):
        arrivals.arrival[slot] = 0
        arrivals.sequence[slot] = -1
    clear_session(tables.srtp.sessions, row)


@subroutine
def _set_extensions(tables: Tables, command: Any) -> None:
    """SET_EXTENSIONS. Values: extmap-allow-mixed. Body: 256 bytes, kind by id as received; 16 bytes, id by kind as
    sent."""
    extension_map = tables.rtp.extension_maps[command.row]
    for identifier in range(256):
        extension_map.kind_of_id[identifier] = command.body[identifier]
    for kind in range(16):
        extension_map.id_of_kind[kind] = command.body[256 + kind]
    extension_map.takes_mixed = command.values[0]


@subroutine
def _set_payload_types(tables: Tables, command: Any) -> None:
    """SET_PAYLOAD_TYPES. Body: for each, 8 bytes: payload type, codec, is audio, primary, clock rate (u32, big)."""
    for at in range(0, command.length, 8):
        payload_type = tables.rtp.payload_types[command.row, command.body[at] & 0x7F]
        payload_type.codec = command.body[at + 1]
        payload_type.is_audio = command.body[at + 2]
        payload_type.primary = command.body[at + 3]
        clock_rate = np.int64(0)
        for i in range(4):
            clock_rate = clock_rate << 8 | np.int64(command.body[at + 4 + i])
        payload_type.clock_rate = clock_rate


@subroutine
def _send(tables: Tables, command: Any, out: PacketBatch) -> None:
    """SEND_DATAGRAM to path ``row``, as it is; SEND_RTCP over transport ``row``: a clear compound that is sealed."""
    row = out.rows[out.state[ROWS_USED]]
    row.drop = 0
    row.is_audio = 0
    row.slices = 0
    row.stream = NO_ROW
    row.subscription = NO_ROW
    if command.operation == SEND_DATAGRAM:
        row.kind = DATAGRAM
        row.path = command.row
        row.transport = tables.net.paths[command.row].transport
    else:
        row.kind = RTCP_OUT
        row.path = NO_ROW
        row.transport = command.row
    at = np.int64(out.state[BYTES_USED])
    row.offset = at
    row.length = command.length
    copy_bytes(out.arena, at, command.body, 0, command.length)
    out.state[ROWS_USED] += 1
    out.state[BYTES_USED] += (np.int64(command.length) + MAX_EXPANSION + 7) & ~7


@subroutine
def _apply(tables: Tables, command: Any, out: PacketBatch) -> None:
    operation = command.operation
    row = np.int64(command.row)
    routing = tables.routing
    if operation == SEND_DATAGRAM or operation == SEND_RTCP:
        _send(tables, command, out)
    elif operation == ADD_PATH:
        add_path(tables.net, command)
        tables.transport.checks[row].username_length = 0
    elif operation == SET_CHECK:
        set_check(tables.transport, command)
    elif operation == REMOVE_PATH:
        remove_path(tables.net, command)
        if tables.net.paths[row].kind == 0:
            tables.transport.checks[row].username_length = 0
    elif operation == ADD_TRANSPORT:
        _add_transport(tables, command)
    elif operation == SELECT_PATH:
        tables.transport.transports[row].path = command.values[0]
    elif operation == SET_KEYS:
        set_keys(tables.srtp.sessions, command)
    elif operation == SET_EXTENSIONS:
        _set_extensions(tables, command)
    elif operation == SET_PAYLOAD_TYPES:
        _set_payload_types(tables, command)
    elif operation == REMOVE_TRANSPORT:
        clear_session(tables.srtp.sessions, row)
        drop_held(tables.transport, row)
        tables.transport.transports[row].in_use = 0
        tables.transport.transports[row].path = NO_ROW
    elif operation == ADD_TRACK:
        add_track(routing, command)
    elif operation == REMOVE_TRACK:
        remove_track(routing, command)
    elif operation == ADD_SOURCE:
        add_source(routing, tables.rtp.receptions, tables.rtp.nacks, command)
        reset_stream(tables.srtp.receive, row)
        insert(tables.transport.ssrcs, command.values[0], command.values[1], 0, row)
        release_held(tables.transport, command.values[0], command.values[1])
    elif operation == REMOVE_SOURCE:
        source = routing.sources[row]
        is_its_own = find(tables.transport.ssrcs, source.transport, source.ssrc, 0) == row
        if remove_source(routing, command) and is_its_own:
            remove(tables.transport.ssrcs, source.transport, source.ssrc, 0)
    elif operation == SUBSCRIBE:
        subscribe(routing, command)
        reset_stream(tables.srtp.send, 2 * row)
        reset_stream(tables.srtp.send, 2 * row + 1)
    elif operation == UNSUBSCRIBE:
        unsubscribe(routing, command)
    elif operation == REQUEST_KEY_FRAME:
        request_key_frame(routing, command)


@subroutine
def begin(tables: Tables, batch: PacketBatch, out: PacketBatch, now: Integer) -> None:
    """Start a turn: empty both batches, apply commands, let held packets whose SSRC was bound go first."""
    reset(batch)
    reset(out)
    settle_handed(tables.transport)
    records, state = tables.commands
    while state[APPLIED] < state[WRITTEN] and has_rtcp_room(out):
        command = records[state[APPLIED] % len(records)]
        ends = command.operation == REMOVE_PATH or command.operation == REMOVE_TRANSPORT
        if ends and out.state[ROWS_USED] > 0:
            break  # a goodbye leaves before its path and its keys do: the rest is the next turn's
        _apply(tables, command, out)
        state[APPLIED] += 1
    inject_held(tables.transport, batch, now)


@subroutine
def _hand_up_unknown(tables: Tables, batch: PacketBatch, i: Integer, now: Integer) -> None:
    """A packet of an SSRC that nothing has bound: shown opened to the session plane, and kept sealed."""
    row = batch.rows[i]
    offset, length = np.int64(row.offset), np.int64(row.length)
    clear = open_unknown(batch.arena, offset, length, tables.srtp.sessions, row.transport, tables.srtp.scratch)
    if clear < 0:
        row.drop = AUTHENTICATION
        return
    row.drop = hold(tables.transport, row, batch.arena, now)
    hand_up(tables.transport, row, tables.srtp.scratch, np.int64(TRIAL_OFFSET), clear)


@subroutine
def ingest(tables: Tables, batch: PacketBatch, out: PacketBatch, now: Integer) -> None:
    """Take a batch in: whose it is, opened, parsed, into history; what is not media is answered or handed up."""
    rows, arena, state = batch
    last = state[ROWS_USED]
    rtp = tables.rtp
    demux(rows, arena, 0, last, tables.net, tables.transport)
    for i in range(last):
        row = rows[i]
        if row.drop != 0 or (row.kind != STUN and row.kind != DTLS):
            continue
        if row.kind == STUN and answer_check(row, arena, tables.net, tables.transport, out):
            continue
        if not hand_up(tables.transport, row, arena, np.int64(row.offset), np.int64(row.length)):
            row.drop = HANDED_UP_OVERFLOW
    unprotect(rows, arena, 0, last, now, tables.srtp.sessions, tables.srtp.receive, tables.srtp.scratch)
    for i in range(last):
        if rows[i].drop == UNKNOWN_SSRC and rows[i].kind == RTP_ROW:
            _hand_up_unknown(tables, batch, i, now)
    parse(rows, arena, 0, last, rtp.extension_maps, rtp.payload_types)
    count = parse_rtcp(rows, arena, 0, last, rtp.feedback, 0)
    goodbye: Integer = NO_ROW
    for item in range(count):
        if rtp.feedback[item].kind == GOODBYE and rtp.feedback[item].row != goodbye:
            # Once a compound, however many it names.
            goodbye = np.int64(rtp.feedback[item].row)
            row = rows[goodbye]
            if not hand_up(tables.transport, row, arena, np.int64(row.offset), np.int64(row.length)):
                row.drop = HANDED_UP_OVERFLOW
    receive_media(rows, arena, 0, last, tables.routing, rtp.receptions, rtp.nacks, rtp.arrivals, rtp.payload_types, now)
    transports = tables.transport.transports
    for i in range(last):
        row = rows[i]
        if row.drop == HELD:
            continue  # counted when it comes back or is let go
        tables.transport.drops[row.drop] += 1
        if row.transport >= 0:
            transport = transports[row.transport]
            transport.received_packets += 1
            transport.received_bytes += row.length
            transport.dropped[row.drop] += 1
    tables.cursor[0] = 0
    tables.cursor[1] = 0
    tables.cursor[FEEDBACK_COUNT] = count


@subroutine
def advance(tables: Tables, batch: PacketBatch, out: PacketBatch, now: Integer) -> Integer:
    """Fill the out batch once and seal it; 0 where nothing is left, ``FAN_OUT_WAITS`` where only fan-out is, which may
    be left to the next turn, else ``UNFINISHED``."""
    rtp, routing, cursor = tables.rtp, tables.routing, tables.cursor
    transports = tables.transport.transports
    more = apply_feedback(
        rtp.feedback,
        cursor[FEEDBACK_COUNT],
        batch.rows,
        routing,
        tables.transport.ssrcs,
        rtp.receptions,
        rtp.extension_maps,
        out,
        cursor[0:2],
        now,
    )
    if not more:
        # Before fan-out: it may be left to the next turn, and what is due may not.
        more = run_timers(
            routing,
            transports,
            rtp.receptions,
            rtp.nacks,
            rtp.arrivals,
            rtp.cname,
            rtp.pairs,
            tables.timers,
            out,
            now,
        )
    left = UNFINISHED if more else NOTHING_LEFT
    if not more and fan_out(routing, rtp.receptions, rtp.extension_maps, out):
        left = FAN_OUT_WAITS
    last = out.state[ROWS_USED]
    for i in range(last):
        row = out.rows[i]
        if row.path < 0 and row.transport >= 0:
            row.path = transports[row.transport].path
        if row.path < 0:
            row.drop = NO_PATH
    sealed = protect(
        out.rows,
        0,
        last,
        out.state,
        out.arena,
        routing.history.pool,
        tables.srtp.sessions,
        tables.srtp.send,
        tables.srtp.scratch,
    )
    for i in range(last):
        row = out.rows[i]
        if i >= sealed and row.drop == 0 and row.kind != DATAGRAM:
            row.drop = FULL  # the arena had no room: what is not sealed must not leave
        tables.transport.unsent[row.drop] += 1 if row.drop != 0 else 0
        if row.transport >= 0 and row.drop == 0:
            transports[row.transport].sent_packets += 1
            transports[row.transport].sent_bytes += row.length
    return left
