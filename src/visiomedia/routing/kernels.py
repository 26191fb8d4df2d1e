"""Route: who gets which packet. Media enters its source's history, then fans out to the track's subscriptions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import ROWS_USED, Drop, PacketBatch, RowKind
from visiomedia.congestion.kernels import note_transport_arrival
from visiomedia.jit import Integer, subroutine
from visiomedia.routing.history_kernels import find_entry, store
from visiomedia.routing.rewrite_kernels import compose, forwarded_timestamp
from visiomedia.routing.tables import (
    ADDED,
    BLOCK_ENTRIES,
    DONE,
    HISTORY_BLOCKS,
    MAPPINGS,
    MAX_LAYERS,
    NEXT_JOB,
    NOT_BEGUN,
    RUN_END,
    SERVED,
    SETTLE_NS,
    SHIFTS,
    STOPPED_NS,
    FanOutQueue,
    RoutingTables,
)
from visiomedia.rtp.kernels import note_reception, restore_rtx
from visiomedia.rtp.nack_kernels import note_arrival
from visiomedia.rtp.payload_kernels import describe_payload

RTP = int(RowKind.RTP)
RTX = 10
NO_LEVEL = 255
DUPLICATE = int(Drop.DUPLICATE)
PADDING_ONLY = int(Drop.PADDING_ONLY)
NOT_FORWARDED = int(Drop.NOT_FORWARDED)
TOO_OLD = int(Drop.TOO_OLD)
MALFORMED = int(Drop.MALFORMED)
FULL = int(Drop.FULL)

ADVANCE_LIMIT = 2048
"""A repaired packet this many ahead of the newest repairs nothing that was asked for."""

GAP_LIMIT = HISTORY_BLOCKS * BLOCK_ENTRIES
"""A gap that history could not fill is not passed on, but told as one packet: gaps that add up to half the sequence
numbers would leave a receiver with the wrong rollover counter (RFC 3711 section 3.3.1)."""

RUN = 64
"""Packets of one source that a subscription gets before the next one: what one message carries at most."""

RTX_TOKENS = 500
"""Retransmissions a receiver may be owed at once; each forwarded packet earns one."""


@subroutine
def forwarded_index(source: Any, index: Integer) -> Integer:
    """A raw index with the padding-only packets before it taken out."""
    shift = np.int64(source.shifts)
    oldest = max(np.int64(0), shift - SHIFTS)
    while shift > oldest and index <= source.shift_index[(shift - 1) % SHIFTS]:
        shift -= 1
    return index - shift


@subroutine
def _is_numbered(source: Any, index: Integer) -> bool:
    """Whether it is still known how many padding-only packets came before this index."""
    return bool(source.shifts <= SHIFTS or index > source.shift_index[source.shifts % SHIFTS])


@subroutine
def _take_out(source: Any, index: Integer) -> None:
    """A padding-only packet leaves the sequence space, unless something behind it was forwarded already."""
    previous = source.shift_index[(source.shifts - 1) % SHIFTS] if source.shifts > 0 else np.int64(-1)
    if index > source.highest and index > previous:
        source.shift_index[source.shifts % SHIFTS] = index
        source.shifts += 1


@subroutine
def _enqueue(queue: FanOutQueue, number: Integer, source: Any, place: Integer, index: Integer) -> bool:
    """Let a stored packet wait for fan-out; False where there is no room for this source.

    Once its ring is half full a source may hold an eighth of it, so that a flood from one publisher costs its own
    packets first. What found no room is in history: receivers that miss it ask for it.
    """
    kind = 0 if source.is_audio != 0 else 1
    jobs, state = queue.jobs[kind], queue.state[kind]
    waiting = state[ADDED] - state[DONE]
    if waiting >= len(jobs) or (2 * waiting >= len(jobs) and 8 * source.waiting >= len(jobs)):
        return False
    job = jobs[state[ADDED] % len(jobs)]
    job.source = number
    job.generation = source.generation
    job.place = place
    job.index = index
    source.waiting += 1
    state[ADDED] += 1
    return True


@subroutine
def receive_media(
    rows: NDArray[Any],
    arena: NDArray[np.uint8],
    first: Integer,
    last: Integer,
    routing: RoutingTables,
    receptions: NDArray[Any],
    nacks: NDArray[Any],
    arrivals: NDArray[Any],
    payload_types: NDArray[Any],
    now: Integer,
) -> None:
    """Note what arrived, restore what was repaired, put media into history, and let it wait for fan-out."""
    sources = routing.sources
    for i in range(first, last):
        row = rows[i]
        if row.kind != RTP or row.source < 0:
            continue
        if row.transport_sequence_number >= 0 and (row.drop == 0 or row.drop >= Drop.UNKNOWN_PAYLOAD_TYPE):
            note_transport_arrival(arrivals, row.transport, row.transport_sequence_number, row.arrival, row.ssrc, now)
        if row.drop != 0:
            continue
        number = np.int64(row.source)
        if sources[number].in_use == 0:
            row.drop = NOT_FORWARDED
            continue
        if row.codec == RTX:
            number = np.int64(sources[number].repairs)
            if number < 0:
                row.drop = NOT_FORWARDED
                continue
            primary = payload_types[row.transport, row.payload_type].primary
            source = sources[number]
            if source.highest < 0 or restore_rtx(row, arena, primary, source.ssrc, source.highest) < 0:
                row.drop = PADDING_ONLY  # probing: it measures a path and repairs nothing
                continue
            row.source = number
            description = payload_types[row.transport, primary]
            row.codec = description.codec
            if row.codec == 0 or row.index < 0 or row.index > source.highest + ADVANCE_LIMIT:
                row.drop = MALFORMED
                continue
            describe_payload(rows, i, arena)
        source = sources[number]
        if row.is_recovered == 0:
            note_reception(receptions, number, row)
        if source.is_audio == 0:
            note_arrival(nacks, number, row.index, now)
        if row.payload_length == 0:
            source.padding_packets += 1
            _take_out(source, row.index)
            row.drop = PADDING_ONLY
            continue
        if source.track < 0:
            row.drop = NOT_FORWARDED
            continue
        blocks = 1 if source.is_audio != 0 else HISTORY_BLOCKS
        # History has given its place to a newer one, or its number is not known any more.
        is_late = source.highest >= 0 and row.index <= source.highest - blocks * BLOCK_ENTRIES
        if is_late or not _is_numbered(source, np.int64(row.index)):
            row.drop = TOO_OLD
            continue
        index = forwarded_index(source, row.index)
        if find_entry(routing.history, source, index) >= 0:
            source.duplicates += 1
            row.drop = DUPLICATE
            continue
        place = store(routing.history, source, index, row, arena, now)
        if place < 0:
            row.drop = FULL
            continue
        source.highest = max(np.int64(source.highest), np.int64(row.index))
        source.last_arrival = row.arrival
        source.payload_type = row.payload_type
        source.packets += 1
        source.octets += row.payload_length
        if row.audio_level != NO_LEVEL:
            source.level_sum += row.audio_level
            source.levels += 1
        if row.is_recovered != 0:
            source.recovered += 1
        if row.is_key_frame != 0 and row.starts_frame != 0:
            source.key_frames += 1
            source.last_key_frame = row.arrival
            source.key_frame_wanted = 0
        if not _enqueue(routing.queue, number, source, place, index):
            row.drop = FULL


@subroutine
def _source_time(reception: Any, timestamp: Integer) -> Integer:
    """The publisher's clock, in ns since its NTP era, at an RTP timestamp of a source that has sent a report."""
    ticks = np.int64(np.int32(np.uint32(timestamp) - np.uint32(reception.sender_report_timestamp)))
    ntp = np.uint64(reception.sender_report_ntp)
    seconds = np.int64(ntp >> np.uint64(32))
    fraction = np.int64(((ntp & np.uint64(0xFFFFFFFF)) * np.uint64(1_000_000_000)) >> np.uint64(32))
    return seconds * 1_000_000_000 + fraction + ticks * 1_000_000_000 // np.int64(reception.clock_rate)


@subroutine
def _map(subscription: Any, number: Integer, entry: Any, first_index: Integer, behind: Integer) -> None:
    """From this packet of a source on, the subscription's numbers continue at ``first_index``."""
    slot = subscription.mappings % MAPPINGS
    subscription.map_source[slot] = number
    subscription.map_first[slot] = first_index
    subscription.map_offset[slot] = first_index - np.int64(entry.index)
    subscription.map_timestamp_offset[slot] = subscription.timestamp_offset
    subscription.map_start[slot] = entry.timestamp
    subscription.map_behind[slot] = behind
    subscription.mappings += 1
    subscription.floor = entry.index


@subroutine
def _switch(
    subscription: Any, number: Integer, source: Any, receptions: NDArray[Any], sources: NDArray[Any], entry: Any
) -> None:
    """Continue the subscription's numbers and time with another source from this packet on."""
    clock_rate = np.int64(subscription.clock_rate)
    previous = np.int64(subscription.current)
    behind = np.int64(0)
    if subscription.mappings == 0:
        first_index = np.int64(subscription.highest) + 1
    else:
        # A gap of one tells the decoder that the picture before was not finished.
        first_index = np.int64(subscription.highest) + (1 if subscription.last_marker != 0 else 2)
        after = receptions[number]
        if previous >= 0 and receptions[previous].sender_report_ntp != 0 and after.sender_report_ntp != 0:
            # The same instant of the publisher's clock, told in the previous source's ticks.
            before = receptions[previous]
            instant = _source_time(after, np.int64(entry.timestamp))
            reference = _source_time(before, np.int64(before.sender_report_timestamp))
            ticks = (instant - reference) * clock_rate // 1_000_000_000
            continued = np.int64(before.sender_report_timestamp) + ticks + subscription.timestamp_offset
        else:
            elapsed = max(np.int64(0), np.int64(entry.arrival) - np.int64(subscription.last_arrival))
            continued = np.int64(subscription.last_timestamp) + elapsed * clock_rate // 1_000_000_000
        ahead = np.int64(np.int32(np.uint32(continued & 0xFFFFFFFF) - np.uint32(subscription.last_timestamp)))
        if ahead <= 0:
            behind = 1 - ahead
        if behind > clock_rate:
            # Layers whose reports disagree by a second do not share a clock.
            behind = np.int64(0)
            continued = np.int64(subscription.last_timestamp) + 1
        subscription.timestamp_offset = (continued - np.int64(entry.timestamp)) & 0xFFFFFFFF
        if previous >= 0 and source.layer < sources[previous].layer:
            subscription.switched_down = entry.arrival
        subscription.switches += 1
        subscription.report_at = 0  # receivers learn of the new mapping as soon as it can be told
    _map(subscription, number, entry, first_index, behind)
    subscription.current = number
    if subscription.target == number or previous < 0 or sources[previous].layer < source.layer:
        subscription.target = -1


@subroutine
def is_arriving(source: Any, now: Integer) -> bool:
    """Whether media has come from a source and has not stopped."""
    return bool(source.highest >= 0 and now - source.last_arrival < STOPPED_NS)


@subroutine
def _takes_over(
    subscription: Any, number: Integer, source: Any, sources: NDArray[Any], layers: NDArray[np.int32], entry: Any
) -> bool:
    """Whether a subscription moves to this source with this packet."""
    current = np.int64(subscription.current)
    if subscription.is_audio != 0:
        return bool(current < 0 or sources[current].in_use == 0 or sources[current].layer == source.layer)
    if entry.is_key_frame == 0 or entry.starts_frame == 0:
        return False
    target = np.int64(subscription.target)
    if target == number:
        return True
    if current < 0:
        if target >= 0:
            return bool(source.layer >= sources[target].layer)
        # Nothing was chosen yet: a lower layer is taken only while no higher one arrives.
        for layer in range(source.layer + 1, MAX_LAYERS):
            higher = np.int64(layers[layer])
            if higher >= 0 and is_arriving(sources[higher], np.int64(entry.arrival)):
                return False
        return True
    settled = entry.arrival - subscription.switched_down > SETTLE_NS
    return bool(source.layer > sources[current].layer and (settled or subscription.switched_down == 0))


@subroutine
def forward(
    routing: RoutingTables,
    number: Integer,
    source_row: Integer,
    entry: Any,
    receptions: NDArray[Any],
    extension_maps: NDArray[Any],
    out: Any,
) -> bool:
    """One packet to one subscription; whether it made an out row."""
    subscription = routing.subscriptions[number]
    source = routing.sources[source_row]
    if entry.payload_type != subscription.source_payload_type:
        return False
    if subscription.current != source_row:
        layers = routing.tracks[subscription.track].layers
        if not _takes_over(subscription, source_row, source, routing.sources, layers, entry):
            return False
        _switch(subscription, source_row, source, receptions, routing.sources, entry)
    if entry.index < subscription.floor:
        subscription.late += 1
        return False
    slot = (subscription.mappings - 1) % MAPPINGS
    index = np.int64(entry.index) + subscription.map_offset[slot]
    if index > subscription.highest + GAP_LIMIT:
        _map(subscription, source_row, entry, np.int64(subscription.highest) + 2, np.int64(0))
        slot = (subscription.mappings - 1) % MAPPINGS
        index = np.int64(subscription.highest) + 2
    compose(
        out,
        subscription,
        number,
        slot,
        entry,
        extension_maps[subscription.transport],
        routing.history.pool,
        index,
        np.int64(-1),
    )
    if index > subscription.highest:
        subscription.highest = index
        subscription.last_timestamp = forwarded_timestamp(subscription, slot, np.int64(entry.timestamp))
        subscription.last_arrival = entry.arrival
        subscription.last_marker = entry.marker
    subscription.packets += 1
    subscription.octets += entry.payload_length
    subscription.rtx_tokens = min(subscription.rtx_tokens + 1, RTX_TOKENS)
    return True


@subroutine
def _run_end(jobs: NDArray[Any], start: Integer, last: Integer) -> Integer:
    """The job after those of one source that follow each other from ``start`` on."""
    first = jobs[start % len(jobs)]
    end = np.int64(start) + 1
    while end < last and end - start < RUN:
        job = jobs[end % len(jobs)]
        if job.source != first.source or job.generation != first.generation:
            break
        end += 1
    return end


@subroutine
def _serve(
    routing: RoutingTables,
    kind: Integer,
    receptions: NDArray[Any],
    extension_maps: NDArray[Any],
    out: PacketBatch,
) -> bool:
    """The jobs of one source that came together, to each subscription of its track; False where the out batch is full.

    A subscription that gives its row back meanwhile is passed over (``command_kernels``).
    """
    queue, history = routing.queue, routing.history
    jobs, state = queue.jobs[kind], queue.state[kind]
    start = np.int64(state[DONE])
    number = np.int64(jobs[start % len(jobs)].source)
    source = routing.sources[number]
    is_current = source.in_use != 0 and source.generation == jobs[start % len(jobs)].generation
    if state[SERVED] == NOT_BEGUN:
        state[RUN_END] = _run_end(jobs, start, state[ADDED])
        state[NEXT_JOB] = start
        state[SERVED] = -1
        if is_current and source.track >= 0:
            state[SERVED] = routing.tracks[source.track].first_subscription
    end = np.int64(state[RUN_END])
    while is_current and state[SERVED] >= 0:
        while state[NEXT_JOB] < end:
            used = out.state[ROWS_USED]
            if used >= len(out.rows):
                return False
            job = jobs[state[NEXT_JOB] % len(jobs)]
            entry = history.entries[job.place // BLOCK_ENTRIES, job.place % BLOCK_ENTRIES]
            is_kept = entry.index == job.index and history.chunks[entry.chunk].use == entry.chunk_use
            if is_kept and forward(
                routing, np.int64(state[SERVED]), number, entry, receptions, extension_maps, out.rows[used]
            ):
                out.state[ROWS_USED] = used + 1
            state[NEXT_JOB] += 1
        state[SERVED] = routing.subscriptions[state[SERVED]].next
        state[NEXT_JOB] = start
    if is_current:
        source.waiting -= end - start
    state[DONE] = end
    state[SERVED] = NOT_BEGUN
    return True


@subroutine
def fan_out(routing: RoutingTables, receptions: NDArray[Any], extension_maps: NDArray[Any], out: PacketBatch) -> bool:
    """Out rows of every packet that waits, for every subscription of its track, audio first.

    A subscription gets all packets of a source that came together before the next one has its turn, so that they leave
    in one message. True where the out batch filled up before the end: called again, it goes on from there, with audio
    that has come since.
    """
    for kind in range(2):
        state = routing.queue.state[kind]
        while state[DONE] < state[ADDED]:
            if not _serve(routing, kind, receptions, extension_maps, out):
                return True
    return False
