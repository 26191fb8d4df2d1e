"""What the turn does by the clock: layers, key-frame requests, NACK, transport feedback, reports, old history."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import BYTES_USED, MAX_EXPANSION, ROWS_USED, OutKind, PacketBatch
from visiomedia.congestion.kernels import write_transport_feedback
from visiomedia.jit import Integer, subroutine
from visiomedia.routing.history_kernels import expire
from visiomedia.routing.kernels import is_arriving
from visiomedia.routing.tables import MAX_LAYERS, REPORTS, SETTLE_NS, RoutingTables
from visiomedia.rtp.nack_kernels import collect_nacks, next_nack
from visiomedia.rtp.rtcp_kernels import (
    write_nack,
    write_pli,
    write_receiver_report_header,
    write_report_block,
    write_sdes_cname,
    write_sender_report,
)

RTCP = int(OutKind.RTCP)
RTCP_ROOM = 1200
"""Bytes of one compound: what RFC 8834's peers are sure to receive."""

SCAN_NS = 10_000_000
LAYER_NS = 50_000_000
KEY_FRAME_RETRY_NS = 250_000_000
REPORT_NS = 1_000_000_000
EXPIRE_NS = 100_000_000
MAX_BLOCKS = 31
MAX_PAIRS = 64

NEXT_SCAN = 0
NEXT_LAYERS = 1
NEXT_EXPIRE = 2
TIMERS = 4


@subroutine
def has_rtcp_room(out: PacketBatch) -> bool:
    """Whether one more compound fits into the out batch."""
    has_bytes = out.state[BYTES_USED] + RTCP_ROOM + MAX_EXPANSION <= len(out.arena)
    return bool(out.state[ROWS_USED] < len(out.rows) and has_bytes)


@subroutine
def _add_rtcp(out: PacketBatch, transport: Integer, length: Integer) -> None:
    """The compound just written behind the arena's used bytes becomes an out row."""
    row = out.rows[out.state[ROWS_USED]]
    row.kind = RTCP
    row.drop = 0
    row.is_audio = 0
    row.slices = 0
    row.prefix_length = 0
    row.header_length = 0
    row.transport = transport
    row.path = -1
    row.stream = -1
    row.subscription = -1
    row.offset = out.state[BYTES_USED]
    row.length = length
    out.state[ROWS_USED] += 1
    out.state[BYTES_USED] += (length + MAX_EXPANSION + 7) & ~7


@subroutine
def _begin_feedback(out: PacketBatch, transport: Any) -> Integer:
    """Where feedback is written: alone where the peer takes reduced size (RFC 5506), else behind an empty report."""
    at = np.int64(out.state[BYTES_USED])
    if transport.takes_reduced_size != 0:
        return at
    return at + write_receiver_report_header(out.arena, at, transport.rtcp_ssrc, 0)


@subroutine
def select_layers(routing: RoutingTables, now: Integer) -> None:
    """Give each waiting subscription the highest layer that arrives, and one whose layer stopped another.

    One that has less than arrives is offered more, though not soon after it lost that: its key frame may have been.
    """
    for position in range(1, routing.active_subscriptions[0] + 1):
        subscription = routing.subscriptions[routing.active_subscriptions[position]]
        if subscription.is_audio != 0:
            continue
        track = routing.tracks[subscription.track]
        best = np.int64(-1)
        for layer in range(MAX_LAYERS - 1, -1, -1):
            candidate = np.int64(track.layers[layer])
            if candidate >= 0 and is_arriving(routing.sources[candidate], now):
                best = candidate
                break
        current = np.int64(subscription.current)
        if current < 0:
            subscription.target = best
        else:
            source = routing.sources[current]
            alive = source.in_use != 0 and is_arriving(source, now)
            settled = subscription.switched_down == 0 or now - subscription.switched_down > SETTLE_NS
            if alive:
                rises = best >= 0 and routing.sources[best].layer > source.layer and settled
                subscription.target = best if rises else np.int64(-1)
            elif best >= 0 and best != current:
                subscription.target = best
        if subscription.target >= 0:
            routing.sources[subscription.target].key_frame_wanted = 1


@subroutine
def _repair(
    routing: RoutingTables,
    transports: NDArray[Any],
    nacks: NDArray[Any],
    pairs: NDArray[np.int64],
    out: PacketBatch,
    now: Integer,
) -> None:
    """Ask publishers for what was lost, and for key frames that somebody waits for."""
    for position in range(1, routing.active_sources[0] + 1):
        number = np.int64(routing.active_sources[position])
        source = routing.sources[number]
        if source.is_audio != 0 or source.repairs >= 0 or not has_rtcp_room(out):
            continue
        transport = transports[source.transport]
        due = next_nack(nacks, number, np.int64(0))
        if due != 0 and due <= now:
            count = collect_nacks(nacks, number, now, np.int64(0), pairs)
            if nacks[number].overflowed != 0:
                nacks[number].overflowed = 0
                source.key_frame_wanted = 1
            if count > 0:
                at = _begin_feedback(out, transport)
                at += write_nack(out.arena, at, transport.rtcp_ssrc, source.ssrc, pairs, count)
                _add_rtcp(out, np.int64(source.transport), at - out.state[BYTES_USED])
                source.nacks_sent += 1
        wants = source.key_frame_wanted != 0 and has_rtcp_room(out)
        if wants and now - source.key_frame_asked >= KEY_FRAME_RETRY_NS:
            at = _begin_feedback(out, transport)
            at += write_pli(out.arena, at, transport.rtcp_ssrc, source.ssrc)
            _add_rtcp(out, np.int64(source.transport), at - out.state[BYTES_USED])
            source.key_frame_asked = now
            source.key_frame_requests_sent += 1


@subroutine
def _report_reception(
    routing: RoutingTables,
    transports: NDArray[Any],
    receptions: NDArray[Any],
    arrivals: NDArray[Any],
    cname: NDArray[np.uint8],
    out: PacketBatch,
    now: Integer,
) -> None:
    """Transport-wide feedback and receiver reports to those who send to us."""
    for position in range(1, routing.active_sources[0] + 1):
        number = np.int64(routing.sources[routing.active_sources[position]].transport)
        transport = transports[number]
        while arrivals[number].deadline != 0 and arrivals[number].deadline <= now and has_rtcp_room(out):
            at = _begin_feedback(out, transport)
            room = RTCP_ROOM - (at - out.state[BYTES_USED])
            written = write_transport_feedback(arrivals, number, transport.rtcp_ssrc, out.arena, at, room, now)
            if written <= 0:
                arrivals[number].deadline = 0
                break
            _add_rtcp(out, number, at + written - out.state[BYTES_USED])
        if transport.report_at <= now and has_rtcp_room(out):
            transport.report_at = now + REPORT_NS
            _receiver_report(routing, number, transport, receptions, cname, out, now)


@subroutine
def _receiver_report(
    routing: RoutingTables,
    number: Integer,
    transport: Any,
    receptions: NDArray[Any],
    cname: NDArray[np.uint8],
    out: PacketBatch,
    now: Integer,
) -> None:
    """RFC 3550 section 6.4.2. More than 31 sources: the others' turn comes with the next report."""
    start = np.int64(out.state[BYTES_USED])
    at = start + 8
    blocks = 0
    for position in range(1, routing.active_sources[0] + 1):
        row = np.int64(routing.active_sources[position])
        source = routing.sources[row]
        if source.transport != number or receptions[row].highest < 0 or blocks >= MAX_BLOCKS:
            continue
        if now - receptions[row].last_arrival > 4 * REPORT_NS:
            continue
        at += write_report_block(receptions, row, source.ssrc, out.arena, at, now)
        blocks += 1
    if blocks == 0:
        return
    write_receiver_report_header(out.arena, start, transport.rtcp_ssrc, blocks)
    at += write_sdes_cname(out.arena, at, transport.rtcp_ssrc, cname, len(cname))
    _add_rtcp(out, number, at - start)


@subroutine
def _report_sending(routing: RoutingTables, receptions: NDArray[Any], out: PacketBatch, now: Integer) -> None:
    """Sender reports: the publisher's NTP time, its RTP time moved by the subscription's offset, our counts."""
    for position in range(1, routing.active_subscriptions[0] + 1):
        subscription = routing.subscriptions[routing.active_subscriptions[position]]
        if subscription.report_at > now or subscription.current < 0 or not has_rtcp_room(out):
            continue
        reception = receptions[subscription.current]
        if reception.sender_report_ntp == 0:
            continue
        subscription.report_at = now + REPORT_NS
        elapsed = now - np.int64(reception.sender_report_arrival)
        ntp = ntp_later(np.uint64(reception.sender_report_ntp), elapsed)
        ticks = elapsed * np.int64(subscription.clock_rate) // 1_000_000_000
        timestamp = (np.int64(reception.sender_report_timestamp) + ticks + subscription.timestamp_offset) & 0xFFFFFFFF
        start = np.int64(out.state[BYTES_USED])
        at = start + write_sender_report(
            out.arena,
            start,
            subscription.ssrc,
            ntp,
            timestamp,
            np.int64(subscription.packets) & 0xFFFFFFFF,
            np.int64(subscription.octets) & 0xFFFFFFFF,
        )
        track = routing.tracks[subscription.track]
        at += write_sdes_cname(out.arena, at, subscription.ssrc, track.cname, np.int64(track.cname_length))
        _add_rtcp(out, np.int64(subscription.transport), at - start)
        slot = subscription.reports % REPORTS
        subscription.report_ntp[slot] = np.uint32((ntp >> np.uint64(16)) & np.uint64(0xFFFFFFFF))
        subscription.report_sent[slot] = now
        subscription.reports += 1


@subroutine
def ntp_later(ntp: Integer, elapsed: Integer) -> Integer:
    """A 64-bit NTP timestamp some nanoseconds later."""
    seconds = elapsed // 1_000_000_000
    rest = elapsed - seconds * 1_000_000_000
    fraction = (np.uint64(rest) << np.uint64(32)) // np.uint64(1_000_000_000)
    return np.uint64(ntp) + (np.uint64(seconds) << np.uint64(32)) + fraction


@subroutine
def run_timers(
    routing: RoutingTables,
    transports: NDArray[Any],
    receptions: NDArray[Any],
    nacks: NDArray[Any],
    arrivals: NDArray[Any],
    cname: NDArray[np.uint8],
    pairs: NDArray[np.int64],
    timers: NDArray[np.int64],
    out: PacketBatch,
    now: Integer,
) -> bool:
    """Do all that is due; True where the out batch filled up first: called again, it goes on."""
    if now < timers[NEXT_SCAN]:
        return False
    if now >= timers[NEXT_LAYERS]:
        timers[NEXT_LAYERS] = now + LAYER_NS
        select_layers(routing, now)
    if now >= timers[NEXT_EXPIRE]:
        timers[NEXT_EXPIRE] = now + EXPIRE_NS
        for position in range(1, routing.active_sources[0] + 1):
            expire(routing.history, routing.sources[routing.active_sources[position]], now)
    _repair(routing, transports, nacks, pairs, out, now)
    _report_reception(routing, transports, receptions, arrivals, cname, out, now)
    _report_sending(routing, receptions, out, now)
    if not has_rtcp_room(out):
        return True
    timers[NEXT_SCAN] = now + SCAN_NS
    return False
