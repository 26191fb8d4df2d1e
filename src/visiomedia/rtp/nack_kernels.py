"""What is missing from each source, and when to ask for it (RFC 4585 section 6.2.1)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import Integer, kernel, subroutine
from visiomedia.rtp import reference
from visiomedia.rtp.examples import nack_example, observe_nacks
from visiomedia.rtp.tables import NACK_PENDING

MAX_JUMP = 1000
"""A gap larger than this is not repaired packet by packet: a key frame is asked for instead."""

REORDER_NS = 5_000_000
"""A missing packet may only be late: it is asked for after this long, or once three newer ones have come."""

REORDER_PACKETS = 3
REPEAT_NS = 40_000_000
"""Asked again after a round trip, at least this long."""

MAX_TRIES = 10
MAX_AGE_NS = 1_000_000_000


@subroutine
def _forget(pending: Any, position: Integer) -> None:
    last = pending.count - 1
    pending.index[position] = pending.index[last]
    pending.noticed[position] = pending.noticed[last]
    pending.requested[position] = pending.requested[last]
    pending.tries[position] = pending.tries[last]
    pending.count = last


@subroutine
def note_arrival(nacks: NDArray[Any], source: Integer, index: Integer, now: Integer) -> None:
    """A packet came: it is missing no more, and those it jumped over are."""
    pending = nacks[source]
    if pending.highest < 0:
        pending.highest = index
        return
    if index <= pending.highest:
        for position in range(pending.count):
            if pending.index[position] == index:
                _forget(pending, position)
                return
        return
    missing = index - pending.highest - 1
    if missing > MAX_JUMP or pending.count + missing > NACK_PENDING:
        pending.count = 0
        pending.overflowed = 1
    else:
        for lost in range(pending.highest + 1, index):
            position = pending.count
            pending.index[position] = lost
            pending.noticed[position] = now
            pending.requested[position] = 0
            pending.tries[position] = 0
            pending.count = position + 1
    pending.highest = index


@subroutine
def _is_due(pending: Any, position: Integer, now: Integer, repeat_ns: Integer) -> bool:
    if pending.tries[position] == 0:
        late = now - pending.noticed[position] >= REORDER_NS
        return bool(late or pending.highest - pending.index[position] >= REORDER_PACKETS)
    return bool(now - pending.requested[position] >= repeat_ns)


@kernel(oracle=reference.collect_nacks, example=nack_example, observe=observe_nacks)
def collect_nacks(
    nacks: NDArray[Any], source: Integer, now: Integer, rtt_ns: Integer, out: NDArray[np.int64]
) -> Integer:
    """Write what is due as (PID, BLP) pairs into ``out`` (n, 2), oldest first; returns how many.

    What was asked for ten times, or is a second old, is given up.
    """
    pending = nacks[source]
    position = np.int64(0)
    while position < pending.count:
        if pending.tries[position] >= MAX_TRIES or now - pending.noticed[position] > MAX_AGE_NS:
            _forget(pending, position)
        else:
            position += 1
    repeat_ns = max(np.int64(rtt_ns), np.int64(REPEAT_NS))
    pairs = np.int64(0)
    while pairs < len(out):
        first = np.int64(-1)
        for i in range(pending.count):
            if _is_due(pending, i, now, repeat_ns) and (first < 0 or pending.index[i] < first):
                first = pending.index[i]
        if first < 0:
            break
        mask = np.int64(0)
        for i in range(pending.count):
            behind = pending.index[i] - first
            if 0 <= behind <= 16 and _is_due(pending, i, now, repeat_ns):
                if behind > 0:
                    mask |= np.int64(1) << (behind - 1)
                pending.requested[i] = now
                pending.tries[i] += 1
        out[pairs, 0] = first & 0xFFFF
        out[pairs, 1] = mask
        pairs += 1
    return pairs


@subroutine
def next_nack(nacks: NDArray[Any], source: Integer, rtt_ns: Integer) -> Integer:
    """When ``collect_nacks`` has something to do: monotonic ns, or 0 where nothing is missing."""
    pending = nacks[source]
    if pending.overflowed != 0:
        return 1
    repeat_ns = max(np.int64(rtt_ns), np.int64(REPEAT_NS))
    due = np.int64(0)
    for i in range(pending.count):
        if pending.tries[i] != 0:
            moment = pending.requested[i] + repeat_ns
        elif pending.highest - pending.index[i] >= REORDER_PACKETS:
            moment = pending.noticed[i]
        else:
            moment = pending.noticed[i] + REORDER_NS
        if due == 0 or moment < due:
            due = moment
    return due
