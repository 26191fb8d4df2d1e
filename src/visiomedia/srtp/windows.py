"""Packet indices: estimating them, and windows of those accepted or sealed (RFC 3711 sections 3.3.1 and
3.3.2)."""

from typing import Any

import numpy as np

from visiomedia.batch import Drop
from visiomedia.jit import Integer, subroutine
from visiomedia.srtp.tables import WINDOW_BITS

PASSED = int(Drop.NONE)
REPLAYED = int(Drop.REPLAYED)
TOO_OLD = int(Drop.TOO_OLD)

WORDS = WINDOW_BITS // 64
RTCP_WINDOW_BITS = 64
MAX_INDEX = (1 << 48) - 1


@subroutine
def reset_stream(streams: Any, row: Integer) -> None:
    """Make a row as it was before the first packet."""
    stream = streams[row]
    stream.highest = -1
    for word in range(WORDS):
        stream.window[word] = 0


@subroutine
def estimate_index(highest: Integer, sequence_number: Integer) -> Integer:
    """The 48-bit index of a packet, from the highest one seen or -1; beyond 2^48 the key is used up."""
    if highest < 0:
        return np.int64(sequence_number)
    rollover_counter = highest >> 16
    s_l = highest & 0xFFFF
    # RFC 3711 section 3.3.1: "if (s_l < 32,768) if (SEQ - s_l > 32,768) set v to (ROC-1) mod 2^32", where
    # there is a rollover counter below: no packet comes before the first cycle.
    if s_l < 32768:
        if sequence_number - s_l > 32768 and rollover_counter > 0:
            rollover_counter -= 1
    elif s_l - 32768 > sequence_number:
        rollover_counter += 1
    return np.int64((rollover_counter << 16) | sequence_number)


@subroutine
def check_index(stream: Any, index: Integer) -> Integer:
    """Whether an index is new to its stream: PASSED, REPLAYED or TOO_OLD."""
    highest = np.int64(stream.highest)
    if index > highest:
        return PASSED
    if highest - index >= WINDOW_BITS:
        return TOO_OLD
    bit = index & (WINDOW_BITS - 1)
    if (stream.window[bit >> 6] >> np.uint64(bit & 63)) & np.uint64(1):
        return REPLAYED
    return PASSED


@subroutine
def mark_index(stream: Any, index: Integer) -> None:
    """Remember an index that ``check_index`` passed."""
    highest = np.int64(stream.highest)
    window = stream.window
    if index > highest:
        if highest < 0 or index - highest >= WINDOW_BITS:
            for word in range(WORDS):
                window[word] = 0
        else:
            # The indices jumped over become tellable: their bits still say what was 2048 before them.
            for skipped in range(highest + 1, index):
                gone = skipped & (WINDOW_BITS - 1)
                window[gone >> 6] &= ~(np.uint64(1) << np.uint64(gone & 63))
        stream.highest = index
    bit = index & (WINDOW_BITS - 1)
    window[bit >> 6] |= np.uint64(1) << np.uint64(bit & 63)


@subroutine
def check_rtcp_index(sender: Any, index: Integer) -> Integer:
    """The same for one sender's SRTCP, whose window is 64: bit n stands for the highest index minus n."""
    highest = np.int64(sender.highest)
    if index > highest:
        return PASSED
    if highest - index >= RTCP_WINDOW_BITS:
        return TOO_OLD
    if (np.uint64(sender.window) >> np.uint64(highest - index)) & np.uint64(1):
        return REPLAYED
    return PASSED


@subroutine
def mark_rtcp_index(sender: Any, index: Integer) -> None:
    """Remember an SRTCP index that ``check_rtcp_index`` passed."""
    highest = np.int64(sender.highest)
    if index > highest:
        gap = index - highest
        if highest < 0 or gap >= RTCP_WINDOW_BITS:
            sender.window = np.uint64(1)
        else:
            sender.window = (np.uint64(sender.window) << np.uint64(gap)) | np.uint64(1)
        sender.highest = index
    else:
        sender.window = np.uint64(sender.window) | (np.uint64(1) << np.uint64(highest - index))
