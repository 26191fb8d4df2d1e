"""Transport-wide feedback to publishers: what arrived when (draft-holmer-rmcat-transport-wide-cc-extensions-01)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.congestion.tables import TRANSPORT_WINDOW
from visiomedia.jit import subroutine

REPORT_NS = 50_000_000
"""A report is due this long after the first packet it tells of."""

TICK_NS = 250_000
REFERENCE_NS = 64_000_000
MAX_STATUSES = 0x7FFE
HEADER_BYTES = 20
FORMAT = 15
PACKET_TYPE = 205
NOT_RECEIVED, SMALL_DELTA, LARGE_DELTA = 0, 1, 2
RUN_LENGTH = 0x1FFF
VECTOR_SYMBOLS = 7


@subroutine
def note_transport_arrival(
    arrivals: NDArray[Any], transport: int, sequence_number: int, arrival: int, ssrc: int, now: int
) -> None:
    """A packet with this 16-bit transport-wide number came. The first arrival counts."""
    window = arrivals[transport]
    if window.highest < 0:
        index = np.int64(sequence_number) + 0x10000
        window.highest = index
        window.reported = index
    else:
        ahead = (sequence_number - window.highest) & 0xFFFF
        if ahead >= 0x8000:
            ahead -= 0x10000
        index = window.highest + ahead
        if index <= window.highest - TRANSPORT_WINDOW or index < 0:
            return
        if index > window.highest:
            window.highest = index
    slot = index % TRANSPORT_WINDOW
    if window.sequence[slot] == index:
        return
    window.sequence[slot] = index
    window.arrival[slot] = arrival
    window.media_ssrc = ssrc
    if index < window.reported:
        # It was reported lost; now it is told again, as received.
        window.reported = index
    if window.deadline == 0:
        window.deadline = now + REPORT_NS


@subroutine
def _symbol(window: Any, index: int, clock: int) -> int:
    """The status of a packet, by how far its arrival lies from the one before in ticks."""
    slot = index % TRANSPORT_WINDOW
    if window.sequence[slot] != index:
        return NOT_RECEIVED
    delta = window.arrival[slot] // TICK_NS - clock
    return SMALL_DELTA if 0 <= delta <= 255 else LARGE_DELTA


@subroutine
def write_transport_feedback(
    arrivals: NDArray[Any], transport: int, sender_ssrc: int, arena: NDArray[np.uint8], at: int, room: int, now: int
) -> int:
    """Write one report of what was not told yet; returns its bytes, 0 where there is nothing to tell.

    It ends early where ``room`` is used up or a delta does not fit 16 bits: the deadline stays, and the next call
    tells the rest.
    """
    window = arrivals[transport]
    base = max(np.int64(window.reported), np.int64(window.highest) - TRANSPORT_WINDOW + 1)
    received = base
    while received <= window.highest and window.sequence[received % TRANSPORT_WINDOW] != received:
        received += 1
    if received > window.highest:
        window.reported = window.highest + 1
        window.deadline = 0
        return 0
    # The base goes on from the last report, so that what was lost in between is told; time starts at what came.
    reference = window.arrival[received % TRANSPORT_WINDOW] // REFERENCE_NS
    # First pass: how far the report goes, and its deltas' size.
    clock = reference * (REFERENCE_NS // TICK_NS)
    last = base
    deltas = np.int64(0)
    index = base
    while index <= window.highest and index - base < MAX_STATUSES:
        slot = index % TRANSPORT_WINDOW
        size = 0
        if window.sequence[slot] == index:
            delta = window.arrival[slot] // TICK_NS - clock
            if delta < -0x8000 or delta > 0x7FFF:
                break
            size = 1 if 0 <= delta <= 255 else 2
        # At worst every chunk is a vector of seven.
        chunks = 2 * ((index - base + 1 + VECTOR_SYMBOLS - 1) // VECTOR_SYMBOLS)
        if HEADER_BYTES + chunks + deltas + size + 3 > room:
            break
        if size != 0:
            deltas += size
            clock = window.arrival[slot] // TICK_NS
            last = index
        index += 1
    count = last - base + 1
    # Second pass: chunks.
    position = at + HEADER_BYTES
    clock = reference * (REFERENCE_NS // TICK_NS)
    index = base
    while index <= last:
        symbol = _symbol(window, index, clock)
        run = np.int64(1)
        if symbol == NOT_RECEIVED:
            while index + run <= last and run < RUN_LENGTH and window.sequence[(index + run) % TRANSPORT_WINDOW] != index + run:
                run += 1
        else:
            following = window.arrival[index % TRANSPORT_WINDOW] // TICK_NS
            while index + run <= last and run < RUN_LENGTH and _symbol(window, index + run, following) == symbol:
                following = window.arrival[(index + run) % TRANSPORT_WINDOW] // TICK_NS
                run += 1
        if run >= VECTOR_SYMBOLS or index + run > last:
            value = symbol << 13 | run
            for _ in range(run):
                if window.sequence[index % TRANSPORT_WINDOW] == index:
                    clock = window.arrival[index % TRANSPORT_WINDOW] // TICK_NS
                index += 1
        else:
            value = np.int64(0xC000)
            for place in range(VECTOR_SYMBOLS):
                if index <= last:
                    symbol = _symbol(window, index, clock)
                    if symbol != NOT_RECEIVED:
                        clock = window.arrival[index % TRANSPORT_WINDOW] // TICK_NS
                    value |= symbol << (2 * (VECTOR_SYMBOLS - 1 - place))
                index += 1
        arena[position] = value >> 8
        arena[position + 1] = value & 0xFF
        position += 2
    # Third pass: deltas.
    clock = reference * (REFERENCE_NS // TICK_NS)
    for index in range(base, last + 1):
        slot = index % TRANSPORT_WINDOW
        if window.sequence[slot] == index:
            delta = window.arrival[slot] // TICK_NS - clock
            clock = window.arrival[slot] // TICK_NS
            if 0 <= delta <= 255:
                arena[position] = delta
                position += 1
            else:
                arena[position] = (delta >> 8) & 0xFF
                arena[position + 1] = delta & 0xFF
                position += 2
    padding = (at - position) & 3
    for i in range(padding):
        arena[position + i] = 0
    if padding > 0:
        arena[position + padding - 1] = padding
    position += padding
    length = position - at
    arena[at] = 0x80 | (0x20 if padding > 0 else 0) | FORMAT
    arena[at + 1] = PACKET_TYPE
    words = length // 4 - 1
    arena[at + 2] = words >> 8
    arena[at + 3] = words & 0xFF
    media = np.int64(window.media_ssrc)
    for i in range(4):
        arena[at + 4 + i] = (sender_ssrc >> (24 - 8 * i)) & 0xFF
        arena[at + 8 + i] = (media >> (24 - 8 * i)) & 0xFF
    arena[at + 12] = (base >> 8) & 0xFF
    arena[at + 13] = base & 0xFF
    arena[at + 14] = (count >> 8) & 0xFF
    arena[at + 15] = count & 0xFF
    arena[at + 16] = (reference >> 16) & 0xFF
    arena[at + 17] = (reference >> 8) & 0xFF
    arena[at + 18] = reference & 0xFF
    arena[at + 19] = window.feedback_count & 0xFF
    window.feedback_count += 1
    window.reported = last + 1
    if last >= window.highest:
        window.deadline = 0
    return length
