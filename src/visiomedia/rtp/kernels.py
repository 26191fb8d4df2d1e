"""RTP in batches: headers and their extensions (RFC 3550, RFC 8285), retransmissions (RFC 4588), statistics."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import EXTENSION_KINDS, Drop, RowKind
from visiomedia.jit import Integer, kernel, subroutine
from visiomedia.rtp import reference
from visiomedia.rtp.examples import observe_parse, parse_example, statistics_example
from visiomedia.rtp.payload_kernels import describe_payload
from visiomedia.rtp.wire_kernels import get16, get32

RTP = int(RowKind.RTP)
MALFORMED = int(Drop.MALFORMED)
UNKNOWN_PAYLOAD_TYPE = int(Drop.UNKNOWN_PAYLOAD_TYPE)
RTX = 10
AUDIO_LEVEL = 4
TRANSPORT_WIDE_CC = 5
ONE_BYTE_PROFILE = 0xBEDE
NO_LEVEL = 255


@subroutine
def _parse_extensions(
    row: Any, arena: NDArray[np.uint8], at: Integer, end: Integer, profile: Integer, extension_map: Any
) -> None:
    """Note where each known element lies. What does not fit ends the walk and keeps what was read."""
    two_byte = profile & 0xFFF0 == 0x1000
    if profile != ONE_BYTE_PROFILE and not two_byte:
        return
    while at < end:
        if arena[at] == 0:  # RFC 8285 section 4.1.1: padding
            at += 1
            continue
        if two_byte:
            if at + 2 > end:
                return
            identifier = np.int64(arena[at])
            length = np.int64(arena[at + 1])
            at += 2
        else:
            identifier = np.int64(arena[at]) >> 4
            length = (np.int64(arena[at]) & 0x0F) + 1
            at += 1
            # RFC 8285 section 4.2: at 15, and at 0 with a length, "processing of the entire extension MUST
            # terminate", and what stood before counts.
            if identifier == 15 or identifier == 0:
                return
        if at + length > end:
            return
        kind = extension_map.kind_of_id[identifier]
        if kind != 0 and kind < EXTENSION_KINDS and length > 0:
            row.extension_offset[kind] = at
            row.extension_length[kind] = length
        at += length


@subroutine
def _parse_one(row: Any, arena: NDArray[np.uint8], extension_map: Any, payload_types: NDArray[Any]) -> None:
    start = np.int64(row.offset)
    end = start + row.length
    for kind in range(EXTENSION_KINDS):
        row.extension_offset[kind] = 0
        row.extension_length[kind] = 0
    row.audio_level = NO_LEVEL
    row.has_voice = 0
    row.is_recovered = 0
    row.transport_sequence_number = -1
    row.padding_length = 0
    row.payload_offset = 0
    row.payload_length = 0
    row.codec = 0
    row.is_key_frame = 0
    row.starts_frame = 0
    if row.length < 12 or arena[start] >> 6 != 2:
        row.drop = MALFORMED
        return
    first = np.int64(arena[start])
    row.marker = arena[start + 1] >> 7
    row.payload_type = arena[start + 1] & 0x7F
    row.timestamp = get32(arena, start + 4)
    row.ssrc = get32(arena, start + 8)
    at = start + 12 + 4 * (first & 0x0F)
    if at > end:
        row.drop = MALFORMED
        return
    if first & 0x10:
        if at + 4 > end:
            row.drop = MALFORMED
            return
        profile = get16(arena, at)
        stop = at + 4 + 4 * get16(arena, at + 2)
        if stop > end:
            row.drop = MALFORMED
            return
        _parse_extensions(row, arena, at + 4, stop, profile, extension_map)
        at = stop
    padding = np.int64(0)
    if first & 0x20:
        padding = np.int64(arena[end - 1]) if end > at else np.int64(0)
        # RFC 3550 section 5.1: the last octet counts the padding, itself included.
        if padding == 0 or at + padding > end:
            row.drop = MALFORMED
            return
    row.padding_length = padding
    row.payload_offset = at
    row.payload_length = end - at - padding
    if row.extension_length[AUDIO_LEVEL] != 0:
        level = arena[row.extension_offset[AUDIO_LEVEL]]
        row.audio_level = level & 0x7F
        row.has_voice = level >> 7
    if row.extension_length[TRANSPORT_WIDE_CC] >= 2:
        row.transport_sequence_number = get16(arena, np.int64(row.extension_offset[TRANSPORT_WIDE_CC]))
    row.codec = payload_types[row.payload_type].codec
    if row.codec == 0:
        row.drop = UNKNOWN_PAYLOAD_TYPE


@kernel(oracle=reference.parse, example=parse_example, observe=observe_parse)
def parse(
    rows: NDArray[Any],
    arena: NDArray[np.uint8],
    first: Integer,
    last: Integer,
    extension_maps: NDArray[Any],
    payload_types: NDArray[Any],
) -> None:
    """Parse the headers of rows ``first`` to ``last`` that hold clear RTP; every offset is bounded from here on.

    A payload type that was not negotiated is dropped after its extensions were read: transport-wide feedback
    counts such a packet too.
    """
    for i in range(first, last):
        row = rows[i]
        if row.drop != 0 or row.kind != RTP:
            continue
        _parse_one(row, arena, extension_maps[row.transport], payload_types[row.transport])
        if row.drop == 0 and row.codec != RTX:
            describe_payload(rows, i, arena)


@subroutine
def restore_rtx(
    row: Any, arena: NDArray[np.uint8], primary_payload_type: Integer, primary_ssrc: Integer, primary_highest: Integer
) -> Integer:
    """Make a retransmission the packet it repairs (RFC 4588 section 4); -1 where it carries none.

    ``primary_highest``: the newest index of the stream it repairs, near which the original number is unwrapped.
    """
    if row.payload_length <= 2:
        return -1
    sequence_number = get16(arena, np.int64(row.payload_offset))
    ahead = (sequence_number - primary_highest) & 0xFFFF
    if ahead >= 0x8000:
        ahead -= 0x10000
    row.index = primary_highest + ahead
    row.ssrc = primary_ssrc
    row.payload_type = primary_payload_type
    row.payload_offset += 2
    row.payload_length -= 2
    row.is_recovered = 1
    return 0


@subroutine
def note_reception(receptions: NDArray[Any], source: Integer, row: Any) -> None:
    """Count one packet of a source (RFC 3550 appendix A.1) and its jitter (A.8). ``row.index`` is extended already."""
    reception = receptions[source]
    if reception.highest < 0:
        reception.first = row.index
        reception.highest = row.index
    elif row.index > reception.highest:
        reception.highest = row.index
    reception.received += 1
    reception.bytes_received += row.length
    reception.last_arrival = row.arrival
    arrival = (np.int64(row.arrival) // 1000) * np.int64(reception.clock_rate) // 1_000_000
    transit = (arrival - np.int64(row.timestamp)) & 0xFFFFFFFF
    if reception.received > 1:
        difference = (transit - np.int64(reception.transit)) & 0xFFFFFFFF
        if difference >= 0x80000000:
            difference = 0x100000000 - difference
        # A timestamp that jumped says nothing of the network.
        if difference < np.int64(reception.clock_rate) * 10:
            reception.jitter += (difference - reception.jitter) / 16.0
    reception.transit = transit


@kernel(oracle=reference.receive_statistics, example=statistics_example)
def receive_statistics(rows: NDArray[Any], first: Integer, last: Integer, receptions: NDArray[Any]) -> None:
    """``note_reception`` of every row that was not dropped."""
    for i in range(first, last):
        row = rows[i]
        if row.drop == 0 and row.kind == RTP and row.source >= 0:
            note_reception(receptions, np.int64(row.source), row)
