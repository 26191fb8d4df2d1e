"""Transport-wide feedback to publishers: what arrived when (draft-holmer-rmcat-transport-wide-cc-extensions-01)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.congestion import reference
from visiomedia.congestion.examples import transport_feedback_example
from visiomedia.congestion.tables import TRANSPORT_WINDOW
from visiomedia.jit import Integer, kernel, subroutine
from visiomedia.rtp.wire_kernels import put16, put24, put32

REPORT_NS = 50_000_000
"""A report is due this long after the first packet it tells of."""

TICK_NS = 250_000
REFERENCE_TICKS = 256
"""A reference time counts 64 ms."""

HEADER_BYTES = 20
FORMAT = 15
PACKET_TYPE = 205
NOT_RECEIVED, SMALL_DELTA, LARGE_DELTA = 0, 1, 2
MAX_RUN = 0x1FFF
ONE_BIT_SYMBOLS, TWO_BIT_SYMBOLS = 14, 7


@subroutine
def note_transport_arrival(
    arrivals: NDArray[Any], transport: Integer, sequence_number: Integer, arrival: Integer, ssrc: Integer, now: Integer
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
def _is_received(window: Any, index: Integer) -> bool:
    return bool(window.sequence[index % TRANSPORT_WINDOW] == index)


@subroutine
def _tick(window: Any, index: Integer) -> Integer:
    """When a received packet came. Each is rounded down for itself, so that errors do not add up."""
    return np.int64(window.arrival[index % TRANSPORT_WINDOW]) // TICK_NS


@subroutine
def _most_chunk_bytes(lost: Integer, rest: Integer) -> Integer:
    """What the statuses of so many lost packets, and of those behind them, take at worst: vectors of seven."""
    whole = (lost + rest + TWO_BIT_SYMBOLS - 1) // TWO_BIT_SYMBOLS
    behind_a_run = 1 + (rest + TWO_BIT_SYMBOLS - 1) // TWO_BIT_SYMBOLS
    return 2 * min(whole, behind_a_run)


@subroutine
def _last_to_tell(window: Any, base: Integer, first: Integer, clock: Integer, room: Integer) -> Integer:
    """The last packet of a report from ``base`` on, of which ``first`` is the first received; below it: no room."""
    last = first - 1
    deltas = np.int64(0)
    for index in range(first, window.highest + 1):
        if not _is_received(window, index):
            continue
        delta = _tick(window, index) - clock
        if delta < -0x8000 or delta > 0x7FFF:
            break
        deltas += 1 if 0 <= delta <= 255 else 2
        # Up to three octets of padding follow.
        if HEADER_BYTES + _most_chunk_bytes(first - base, index - first + 1) + deltas + 3 > room:
            break
        clock += delta
        last = index
    return last


@subroutine
def _chunk(window: Any, at: Integer, last: Integer, clock: Integer) -> tuple[Integer, Integer]:
    """The next status chunk, and how many packets it tells of (draft sections 3.1.3 and 3.1.4).

    A run where it is longer than a vector or ends the report, else the vector that holds the next statuses.
    """
    first = np.int64(0)
    run = np.int64(0)
    is_run = True
    is_one_bit = True
    one_bit, two_bit = np.int64(0x8000), np.int64(0xC000)
    place = np.int64(0)
    while at + place <= last and (place < ONE_BIT_SYMBOLS or (is_run and place < MAX_RUN)):
        symbol = np.int64(NOT_RECEIVED)
        if _is_received(window, at + place):
            delta = _tick(window, at + place) - clock
            clock += delta
            symbol = np.int64(SMALL_DELTA if 0 <= delta <= 255 else LARGE_DELTA)
        if place == 0:
            first = symbol
        is_run = is_run and symbol == first
        if is_run:
            run += 1
        if place < ONE_BIT_SYMBOLS:
            is_one_bit = is_one_bit and symbol != LARGE_DELTA
            one_bit |= (symbol & 1) << (ONE_BIT_SYMBOLS - 1 - place)
        if place < TWO_BIT_SYMBOLS:
            two_bit |= symbol << (2 * (TWO_BIT_SYMBOLS - 1 - place))
        place += 1
    if at + run > last or run >= (ONE_BIT_SYMBOLS if is_one_bit else TWO_BIT_SYMBOLS):
        return first << 13 | run, run
    if is_one_bit:
        return one_bit, np.int64(ONE_BIT_SYMBOLS)
    return two_bit, np.int64(TWO_BIT_SYMBOLS)


@subroutine
def _write_statuses(
    window: Any, base: Integer, last: Integer, origin: Integer, arena: NDArray[np.uint8], at: Integer
) -> Integer:
    """Chunks, then deltas; returns where they end."""
    clock = origin
    index = base
    while index <= last:
        chunk, told = _chunk(window, index, last, clock)
        put16(arena, at, chunk)
        at += 2
        for k in range(index, min(index + told, last + 1)):
            if _is_received(window, k):
                clock = _tick(window, k)
        index += told
    clock = origin
    for k in range(base, last + 1):
        if not _is_received(window, k):
            continue
        delta = _tick(window, k) - clock
        clock += delta
        if 0 <= delta <= 255:
            arena[at] = delta
            at += 1
        else:
            put16(arena, at, delta)
            at += 2
    return at


@kernel(oracle=reference.write_transport_feedback, example=transport_feedback_example)
def write_transport_feedback(
    arrivals: NDArray[Any],
    transport: Integer,
    sender_ssrc: Integer,
    arena: NDArray[np.uint8],
    at: Integer,
    room: Integer,
    now: Integer,
) -> Integer:
    """Write one report of what was not told yet; returns its bytes, 0 where there is nothing to tell or no room.

    The base goes on from the last report, so that what was lost in between is told. It ends early where ``room`` is
    used up or a delta does not fit 16 bits: the deadline stays, and the next call tells the rest.
    """
    window = arrivals[transport]
    base = max(np.int64(window.reported), np.int64(window.highest) - TRANSPORT_WINDOW + 1)
    first = base
    while first <= window.highest and not _is_received(window, first):
        first += 1
    if first > window.highest:
        window.reported = window.highest + 1
        window.deadline = 0
        return 0
    reference_time = _tick(window, first) // REFERENCE_TICKS
    origin = reference_time * REFERENCE_TICKS
    last = _last_to_tell(window, base, first, origin, room)
    if last < first:
        return 0
    end = _write_statuses(window, base, last, origin, arena, at + HEADER_BYTES)
    padding = (at - end) & 3
    for i in range(padding):
        arena[end + i] = padding if i == padding - 1 else 0
    length = end + padding - at
    arena[at] = 0x80 | (0x20 if padding > 0 else 0) | FORMAT
    arena[at + 1] = PACKET_TYPE
    put16(arena, at + 2, length // 4 - 1)
    put32(arena, at + 4, sender_ssrc)
    put32(arena, at + 8, np.int64(window.media_ssrc))
    put16(arena, at + 12, base)
    put16(arena, at + 14, last - base + 1)
    put24(arena, at + 16, reference_time)
    arena[at + 19] = window.feedback_count & 0xFF
    window.feedback_count += 1
    window.reported = last + 1
    if last >= window.highest:
        window.deadline = 0
    return length
