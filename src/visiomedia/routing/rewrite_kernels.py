"""From a source's packet to a receiver's: SSRC, sequence number, timestamp, payload type, extension ids."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import MAX_PREFIX, OutKind
from visiomedia.jit import Integer, subroutine

RTP = int(OutKind.RTP)
MID = 1
ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000
ROOM_BEHIND_EXTENSIONS = 8
"""Of the prefix: an original sequence number, and padding of the extension block to a word."""


@subroutine
def forwarded_timestamp(subscription: Any, slot: Integer, timestamp: Integer) -> Integer:
    """A source's timestamp in the subscription's time, by one of its mappings; the same whenever it is asked.

    A mapping that began behind what was sent already keeps its true offset, so that sender reports stay right: only
    the first frames, which would run back, follow each other at a 256th of their distance until time has caught up.
    """
    true = np.int64(timestamp) + np.int64(subscription.map_timestamp_offset[slot])
    behind = np.int64(subscription.map_behind[slot])
    if behind > 0:
        since = np.int64(np.int32(np.uint32(timestamp & 0xFFFFFFFF) - np.uint32(subscription.map_start[slot])))
        if 0 <= since <= behind + (behind >> 8):
            true += behind - since + (since >> 8)
    return true & 0xFFFFFFFF


@subroutine
def compose(
    out: Any,
    subscription: Any,
    number: Integer,
    slot: Integer,
    entry: Any,
    extension_map: Any,
    pool: NDArray[np.uint8],
    index: Integer,
    repair_index: Integer,
) -> None:
    """Make an out row of a packet in history for one subscription.

    ``slot`` is the mapping that it came by, ``index`` its own in the subscription's numbers. With ``repair_index`` >= 0
    the row is its retransmission (RFC 4588 section 4): that index in the RTX stream, the original sequence number
    before the payload.
    """
    is_repair = repair_index >= 0
    sealed_index = repair_index if is_repair else index
    payload_type = np.int64(subscription.rtx_payload_type if is_repair else subscription.payload_type)
    ssrc = np.int64(subscription.rtx_ssrc if is_repair else subscription.ssrc)
    timestamp = forwarded_timestamp(subscription, slot, np.int64(entry.timestamp))
    out.kind = RTP
    out.drop = 0
    out.is_audio = subscription.is_audio
    out.payload_type = payload_type
    out.transport = subscription.transport
    out.path = -1
    out.stream = 2 * number + (1 if is_repair else 0)
    out.subscription = number
    out.ssrc = ssrc
    out.index = sealed_index
    out.slices = 1
    out.slice_offset[0] = entry.offset + entry.extensions_length
    out.slice_length[0] = entry.payload_length
    prefix = out.prefix
    prefix[1] = payload_type | (0x80 if entry.marker != 0 else 0)
    prefix[2] = (sealed_index >> 8) & 0xFF
    prefix[3] = sealed_index & 0xFF
    for i in range(4):
        prefix[4 + i] = (timestamp >> (24 - 8 * i)) & 0xFF
        prefix[8 + i] = (ssrc >> (24 - 8 * i)) & 0xFF
    length = _write_extensions(prefix, subscription, entry, extension_map, pool)
    prefix[0] = 0x90 if length > 12 else 0x80
    out.header_length = length
    if is_repair:
        prefix[length] = (index >> 8) & 0xFF
        prefix[length + 1] = index & 0xFF
        length += 2
    out.prefix_length = length


@subroutine
def _write_extensions(
    prefix: NDArray[np.uint8], subscription: Any, entry: Any, extension_map: Any, pool: NDArray[np.uint8]
) -> Integer:
    """Write the extension block (RFC 8285) behind the fixed header; the header's whole length."""
    start = np.int64(entry.offset)
    end = start + entry.extensions_length
    mid_id = np.int64(extension_map.id_of_kind[MID])
    mid_length = np.int64(subscription.mid_length)
    writes_mid = mid_id != 0 and mid_length != 0
    # One form for the whole block: two-byte only where an element asks for it and the receiver takes it.
    two_byte: Any = False
    if extension_map.takes_mixed != 0:
        two_byte = writes_mid and mid_id > 14
        at = start
        while at < end:
            size = np.int64(pool[at + 1])
            identifier = np.int64(extension_map.id_of_kind[pool[at]])
            if identifier != 0 and (identifier > 14 or size > 16):
                two_byte = True
            at += 2 + size
    head = 2 if two_byte else 1
    length = np.int64(16)
    if writes_mid and (two_byte or mid_id <= 14):
        if two_byte:
            prefix[length] = mid_id
            prefix[length + 1] = mid_length
        else:
            prefix[length] = (mid_id << 4) | (mid_length - 1)
        length += head
        for i in range(mid_length):
            prefix[length + i] = subscription.mid[i]
        length += mid_length
    at = start
    while at < end:
        size = np.int64(pool[at + 1])
        identifier = np.int64(extension_map.id_of_kind[pool[at]])
        fits = two_byte or (identifier <= 14 and size <= 16)
        if identifier != 0 and fits and length + head + size + ROOM_BEHIND_EXTENSIONS <= MAX_PREFIX:
            if two_byte:
                prefix[length] = identifier
                prefix[length + 1] = size
            else:
                prefix[length] = (identifier << 4) | (size - 1)
            length += head
            for i in range(size):
                prefix[length + i] = pool[at + 2 + i]
            length += size
        at += 2 + size
    if length == 16:
        return 12
    while length % 4 != 0:
        prefix[length] = 0
        length += 1
    profile = TWO_BYTE_PROFILE if two_byte else ONE_BYTE_PROFILE
    words = (length - 16) // 4
    prefix[12] = profile >> 8
    prefix[13] = profile & 0xFF
    prefix[14] = words >> 8
    prefix[15] = words & 0xFF
    return length
