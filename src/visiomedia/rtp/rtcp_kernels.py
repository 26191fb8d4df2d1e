"""RTCP in batches: compounds taken apart into items of feedback, and reports and requests written (RFC 3550, 4585)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import Drop, RowKind
from visiomedia.jit import Integer, kernel, subroutine
from visiomedia.rtp import reference
from visiomedia.rtp.examples import rtcp_example
from visiomedia.rtp.tables import COMPOUND_ITEMS, FeedbackKind
from visiomedia.rtp.wire_kernels import get16, get24, get32, put16, put24, put32

RTCP = int(RowKind.RTCP)
MALFORMED = int(Drop.MALFORMED)
FULL = int(Drop.FULL)

SENDER_REPORT = int(FeedbackKind.SENDER_REPORT)
REPORT_BLOCK = int(FeedbackKind.REPORT_BLOCK)
NACK = int(FeedbackKind.NACK)
KEY_FRAME_REQUEST = int(FeedbackKind.KEY_FRAME_REQUEST)
GOODBYE = int(FeedbackKind.GOODBYE)
OTHER = int(FeedbackKind.OTHER)

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
"""Packet types (RFC 3550 section 12.1, RFC 4585 section 6.1)."""

GENERIC_NACK, PLI, FIR, TRANSPORT_WIDE = 1, 1, 4, 15
CNAME_ITEM = 1
BLOCK_BYTES = 24


@subroutine
def _add(
    feedback: NDArray[Any], count: Integer, i: Integer, row: Any, kind: Integer, sender: Integer, media: Integer
) -> Integer:
    """One more item, its values 0; where there is no room the row is marked FULL."""
    if count >= len(feedback):
        row.drop = FULL
        return count
    item = feedback[count]
    item.kind = kind
    item.row = i
    item.transport = row.transport
    item.sender_ssrc = sender
    item.media_ssrc = media
    for k in range(6):
        item.values[k] = 0
    return count + 1


@subroutine
def _parse_report(
    feedback: NDArray[Any],
    count: Integer,
    i: Integer,
    row: Any,
    arena: NDArray[np.uint8],
    at: Integer,
    end: Integer,
    blocks: Integer,
) -> Integer:
    """RFC 3550 sections 6.4.1 and 6.4.2; -1 where the packet is shorter than its count says."""
    is_sender = arena[at + 1] == SR
    position = at + (28 if is_sender else 8)
    if position + blocks * BLOCK_BYTES > end:
        return -1
    sender = get32(arena, at + 4)
    if is_sender:
        before = count
        count = _add(feedback, count, i, row, SENDER_REPORT, sender, sender)
        if count > before:
            item = feedback[before]
            # The 64-bit NTP time as its bits: seconds of this century have the highest set.
            item.values[0] = get32(arena, at + 8) << 32 | get32(arena, at + 12)
            item.values[1] = get32(arena, at + 16)
            item.values[2] = get32(arena, at + 20)
            item.values[3] = get32(arena, at + 24)
    for _ in range(blocks):
        before = count
        count = _add(feedback, count, i, row, REPORT_BLOCK, sender, get32(arena, position))
        if count > before:
            item = feedback[before]
            item.values[0] = arena[position + 4]
            lost = get24(arena, position + 5)
            item.values[1] = lost - 0x1000000 if lost & 0x800000 else lost
            item.values[2] = get32(arena, position + 8)
            item.values[3] = get32(arena, position + 12)
            item.values[4] = get32(arena, position + 16)
            item.values[5] = get32(arena, position + 20)
        position += BLOCK_BYTES
    return count


@subroutine
def _parse_feedback(
    feedback: NDArray[Any], count: Integer, i: Integer, row: Any, arena: NDArray[np.uint8], at: Integer, end: Integer
) -> Integer:
    """RFC 4585 section 6.1; -1 where the common header or an entry does not fit."""
    if at + 12 > end:
        return -1
    form = np.int64(arena[at]) & 0x1F
    kind = np.int64(arena[at + 1])
    sender = get32(arena, at + 4)
    media = get32(arena, at + 8)
    position = at + 12
    if kind == RTPFB and form == GENERIC_NACK:
        while position + 4 <= end:
            before = count
            count = _add(feedback, count, i, row, NACK, sender, media)
            if count > before:
                feedback[before].values[0] = get16(arena, position)
                feedback[before].values[1] = get16(arena, position + 2)
            position += 4
    elif kind == PSFB and form == PLI:
        count = _add(feedback, count, i, row, KEY_FRAME_REQUEST, sender, media)
    elif kind == PSFB and form == FIR:
        # RFC 5104 section 4.3.1.1: the media SSRC of the header is unused, each entry names one.
        if (end - position) & 7:
            return -1
        while position + 8 <= end:
            before = count
            count = _add(feedback, count, i, row, KEY_FRAME_REQUEST, sender, get32(arena, position))
            if count > before:
                feedback[before].values[0] = 1
                feedback[before].values[1] = arena[position + 4]
            position += 8
    else:
        before = count
        count = _add(feedback, count, i, row, OTHER, sender, media)
        if count > before:
            feedback[before].values[0] = kind
            feedback[before].values[1] = form
    return count


@subroutine
def _parse_compound(feedback: NDArray[Any], count: Integer, i: Integer, row: Any, arena: NDArray[np.uint8]) -> Integer:
    at = np.int64(row.offset)
    end = at + row.length
    while at < end:
        if at + 4 > end or arena[at] >> 6 != 2:
            row.drop = MALFORMED
            return count
        stop = at + 4 + 4 * get16(arena, at + 2)
        if stop > end:
            row.drop = MALFORMED
            return count
        content = stop
        if arena[at] & 0x20:
            # RFC 3550 section 6.4.1: padding only where the compound ends.
            padding = np.int64(arena[stop - 1])
            # Transport feedback alone may end anywhere in a word.
            whole_words = padding & 3 == 0 or (arena[at + 1] == RTPFB and arena[at] & 0x1F == TRANSPORT_WIDE)
            if stop != end or padding == 0 or not whole_words or at + 4 + padding > stop:
                row.drop = MALFORMED
                return count
            content = stop - padding
        kind = np.int64(arena[at + 1])
        number = np.int64(arena[at]) & 0x1F
        result = count
        if kind == SR or kind == RR:
            result = _parse_report(feedback, count, i, row, arena, at, content, number) if content - at >= 8 else -1
        elif kind == RTPFB or kind == PSFB:
            result = _parse_feedback(feedback, count, i, row, arena, at, content)
        elif kind == BYE:
            if at + 4 + 4 * number > content:
                result = -1
            else:
                for position in range(number):
                    ssrc = get32(arena, at + 4 + 4 * position)
                    result = _add(feedback, result, i, row, GOODBYE, ssrc, ssrc)
        elif kind != SDES:
            before = count
            sender = get32(arena, at + 4) if content - at >= 8 else np.int64(0)
            result = _add(feedback, count, i, row, OTHER, sender, np.int64(0))
            if result > before:
                feedback[before].values[0] = kind
                feedback[before].values[1] = number
        if result < 0:
            row.drop = MALFORMED
            return count
        count = result
        at = stop
    return count


@kernel(oracle=reference.parse_rtcp, example=rtcp_example)
def parse_rtcp(
    rows: NDArray[Any], arena: NDArray[np.uint8], first: Integer, last: Integer, feedback: NDArray[Any], count: Integer
) -> Integer:
    """Items of feedback of every clear compound in rows ``first`` to ``last``; returns how many there are now.

    Compounds and reduced-size packets (RFC 5506) alike. A malformed packet drops its row from there on. What is
    more than COMPOUND_ITEMS of one row, or than ``feedback`` has room for, is not taken, and the row marked FULL.
    """
    for i in range(first, last):
        row = rows[i]
        if row.drop == 0 and row.kind == RTCP:
            room = min(len(feedback), int(count) + COMPOUND_ITEMS)
            count = _parse_compound(feedback[:room], count, i, row, arena)
    return count


# --- writers: each returns the bytes written at ``at`` -----------------------------------------------------------


@subroutine
def _header(arena: NDArray[np.uint8], at: Integer, count: Integer, kind: Integer, length: Integer) -> None:
    arena[at] = 0x80 | count
    arena[at + 1] = kind
    put16(arena, at + 2, length // 4 - 1)


@subroutine
def write_sender_report(
    arena: NDArray[np.uint8],
    at: Integer,
    ssrc: Integer,
    ntp: Integer,
    timestamp: Integer,
    packets: Integer,
    octets: Integer,
) -> Integer:
    """An SR without blocks (RFC 3550 section 6.4.1). ``ntp``: 64 bits."""
    _header(arena, at, 0, SR, 28)
    put32(arena, at + 4, ssrc)
    put32(arena, at + 8, np.int64(np.uint64(ntp) >> np.uint64(32)))
    put32(arena, at + 12, np.int64(np.uint64(ntp) & np.uint64(0xFFFFFFFF)))
    put32(arena, at + 16, timestamp)
    put32(arena, at + 20, packets)
    put32(arena, at + 24, octets)
    return 28


@subroutine
def write_receiver_report_header(arena: NDArray[np.uint8], at: Integer, ssrc: Integer, blocks: Integer) -> Integer:
    """An RR's first 8 bytes; its blocks follow (``write_report_block``)."""
    _header(arena, at, blocks, RR, 8 + BLOCK_BYTES * blocks)
    put32(arena, at + 4, ssrc)
    return 8


@subroutine
def write_report_block(
    receptions: NDArray[Any], source: Integer, ssrc: Integer, arena: NDArray[np.uint8], at: Integer, now: Integer
) -> Integer:
    """What a source has delivered since the last block (RFC 3550 section 6.4.1 and appendix A.3)."""
    reception = receptions[source]
    expected = reception.highest - reception.first + 1
    lost = expected - reception.received
    expected_interval = expected - reception.expected_prior
    received_interval = reception.received - reception.received_prior
    lost_interval = expected_interval - received_interval
    reception.expected_prior = expected
    reception.received_prior = reception.received
    fraction = np.int64(0)
    if expected_interval > 0 and lost_interval > 0:
        fraction = min((lost_interval << 8) // expected_interval, np.int64(255))
    lost = min(max(lost, np.int64(-0x800000)), np.int64(0x7FFFFF))
    put32(arena, at, ssrc)
    arena[at + 4] = fraction
    put24(arena, at + 5, lost & 0xFFFFFF)
    put32(arena, at + 8, np.int64(reception.highest) & 0xFFFFFFFF)
    put32(arena, at + 12, np.int64(reception.jitter) & 0xFFFFFFFF)
    last_report = np.int64(0)
    delay = np.int64(0)
    if reception.sender_report_ntp != 0:
        last_report = np.int64(np.uint64(reception.sender_report_ntp) >> np.uint64(16) & np.uint64(0xFFFFFFFF))
        # In units of 1/65536 s.
        delay = ((now - np.int64(reception.sender_report_arrival)) // 1000) * 65536 // 1_000_000
    put32(arena, at + 16, last_report)
    put32(arena, at + 20, delay & 0xFFFFFFFF)
    return BLOCK_BYTES


@subroutine
def write_sdes_cname(
    arena: NDArray[np.uint8], at: Integer, ssrc: Integer, cname: NDArray[np.uint8], length: Integer
) -> Integer:
    """One chunk with one CNAME (RFC 3550 section 6.5)."""
    put32(arena, at + 4, ssrc)
    arena[at + 8] = CNAME_ITEM
    arena[at + 9] = length
    for i in range(length):
        arena[at + 10 + i] = cname[i]
    # "The list of items in each chunk MUST be terminated by one or more null octets", to a 32-bit boundary.
    end = 10 + length
    total = (end + 4) & ~3
    for i in range(end, total):
        arena[at + i] = 0
    _header(arena, at, 1, SDES, total)
    return total


@subroutine
def write_nack(
    arena: NDArray[np.uint8], at: Integer, sender: Integer, media: Integer, pairs: NDArray[np.int64], count: Integer
) -> Integer:
    """A generic NACK of (PID, BLP) pairs (RFC 4585 section 6.2.1)."""
    length = 12 + 4 * count
    _header(arena, at, GENERIC_NACK, RTPFB, length)
    put32(arena, at + 4, sender)
    put32(arena, at + 8, media)
    for i in range(count):
        put16(arena, at + 12 + 4 * i, pairs[i, 0])
        put16(arena, at + 14 + 4 * i, pairs[i, 1])
    return length


@subroutine
def write_pli(arena: NDArray[np.uint8], at: Integer, sender: Integer, media: Integer) -> Integer:
    """A picture loss indication (RFC 4585 section 6.3.1)."""
    _header(arena, at, PLI, PSFB, 12)
    put32(arena, at + 4, sender)
    put32(arena, at + 8, media)
    return 12
