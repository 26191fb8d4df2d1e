"""What receivers say of what we send, and what publishers say of their clocks: RTCP taken in by the turn."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.batch import ROWS_USED, PacketBatch
from visiomedia.jit import Integer, subroutine
from visiomedia.lookup import Lookup, find
from visiomedia.routing.history_kernels import find_entry
from visiomedia.routing.rewrite_kernels import compose
from visiomedia.routing.tables import BLOCK_ENTRIES, MAPPINGS, REPORTS, RESENT, RoutingTables
from visiomedia.rtp.tables import FeedbackKind

SENDER_REPORT = int(FeedbackKind.SENDER_REPORT)
REPORT_BLOCK = int(FeedbackKind.REPORT_BLOCK)
NACK = int(FeedbackKind.NACK)
KEY_FRAME_REQUEST = int(FeedbackKind.KEY_FRAME_REQUEST)

LEAST_RESEND_NS = 10_000_000
"""A packet is not sent again within a round trip of the last time, nor within 10 ms where that is not known."""

KEY_FRAME_NS = 200_000_000
KEY_FRAME_TOKENS = 5
KEY_FRAME_TOKEN_NS = 2_000_000_000
"""A receiver may ask for a key frame every 200 ms, five times running, then every 2 s."""

LATE_NACK = 1 << 15


@subroutine
def _note_sender_report(reception: Any, item: Any, arrival: Integer) -> None:
    reception.sender_report_ntp = np.uint64(item.values[0])
    reception.sender_report_timestamp = item.values[1]
    reception.sender_report_arrival = arrival


@subroutine
def _note_report_block(subscription: Any, item: Any, arrival: Integer) -> None:
    """RFC 3550 section 6.4.1: round trip = arrival - LSR - DLSR; our LSRs are in the publisher's clock, so by slot."""
    subscription.fraction_lost = item.values[0]
    subscription.cumulative_lost = item.values[1]
    subscription.remote_jitter = item.values[3]
    last_report = np.uint32(item.values[4])
    if last_report == 0:
        return
    for slot in range(REPORTS):
        if subscription.report_sent[slot] != 0 and subscription.report_ntp[slot] == last_report:
            delay = np.int64(item.values[5]) * 1_000_000_000 >> 16
            rtt = arrival - subscription.report_sent[slot] - delay
            if rtt > 0:
                subscription.rtt = rtt


@subroutine
def _want_key_frame(routing: RoutingTables, subscription: Any, now: Integer) -> None:
    subscription.key_frame_requests += 1
    since = now - np.int64(subscription.key_frame_at)
    if subscription.key_frame_at != 0 and since < KEY_FRAME_NS:
        return
    earned = since // KEY_FRAME_TOKEN_NS
    subscription.key_frame_tokens = min(subscription.key_frame_tokens + earned, KEY_FRAME_TOKENS)
    if subscription.key_frame_at == 0:
        subscription.key_frame_tokens = KEY_FRAME_TOKENS
    if subscription.key_frame_tokens <= 0:
        return
    subscription.key_frame_tokens -= 1
    subscription.key_frame_at = now
    wanted = subscription.target if subscription.target >= 0 else subscription.current
    if wanted >= 0:
        routing.sources[wanted].key_frame_wanted = 1


@subroutine
def resend(
    routing: RoutingTables,
    number: Integer,
    sequence_number: Integer,
    extension_maps: NDArray[Any],
    out: Any,
    now: Integer,
) -> bool:
    """Answer for one lost packet of a subscription by RTX; whether it made an out row.

    Where RTX was not negotiated a NACK is not answered: the same index is never sealed twice.
    """
    subscription = routing.subscriptions[number]
    highest = np.int64(subscription.highest)
    if subscription.has_rtx == 0 or subscription.mappings == 0:
        subscription.not_resent += 1
        return False
    behind = (highest - sequence_number) & 0xFFFF
    index = highest - behind
    if behind >= LATE_NACK or index < 0:
        subscription.not_resent += 1
        return False
    slot: Integer = -1
    mapping = np.int64(subscription.mappings) - 1
    oldest = max(np.int64(0), np.int64(subscription.mappings) - MAPPINGS)
    while mapping >= oldest:
        if index >= subscription.map_first[mapping % MAPPINGS]:
            slot = mapping % MAPPINGS
            break
        mapping -= 1
    if slot < 0 or subscription.map_source[slot] < 0 or subscription.rtx_tokens <= 0:
        subscription.not_resent += 1
        return False
    recent = index % RESENT
    patience = max(np.int64(subscription.rtt), np.int64(LEAST_RESEND_NS))
    if subscription.resent_index[recent] == index and now - subscription.resent_at[recent] < patience:
        return False
    source = routing.sources[subscription.map_source[slot]]
    place = find_entry(routing.history, source, index - subscription.map_offset[slot])
    if place < 0:
        subscription.not_resent += 1
        return False
    entry = routing.history.entries[place // BLOCK_ENTRIES, place % BLOCK_ENTRIES]
    extension_map = extension_maps[subscription.transport]
    pool = routing.history.pool
    compose(out, subscription, number, slot, entry, extension_map, pool, index, np.int64(subscription.rtx_next))
    subscription.rtx_next += 1
    subscription.rtx_tokens -= 1
    subscription.resent_index[recent] = index
    subscription.resent_at[recent] = now
    subscription.resent += 1
    return True


@subroutine
def apply_feedback(
    feedback: NDArray[Any],
    last: Integer,
    rows: NDArray[Any],
    routing: RoutingTables,
    ssrcs: Lookup,
    receptions: NDArray[Any],
    extension_maps: NDArray[Any],
    out: PacketBatch,
    cursor: NDArray[np.int64],
    now: Integer,
) -> bool:
    """Act on every item of feedback; retransmissions become out rows.

    ``cursor``: (2,) int64: item, lost packet within it. True where the out batch filled up before the end: called
    again, it goes on from there.
    """
    while cursor[0] < last:
        item = feedback[cursor[0]]
        if item.kind == SENDER_REPORT:
            source = find(ssrcs, item.transport, item.sender_ssrc, 0)
            if source >= 0:
                _note_sender_report(receptions[source], item, np.int64(rows[item.row].arrival))
        elif item.kind == REPORT_BLOCK or item.kind == NACK or item.kind == KEY_FRAME_REQUEST:
            number = find(routing.outgoing, item.transport, item.media_ssrc, 0)
            if number >= 0:
                subscription = routing.subscriptions[number]
                if item.kind == REPORT_BLOCK:
                    if item.media_ssrc == subscription.ssrc:
                        _note_report_block(subscription, item, np.int64(rows[item.row].arrival))
                elif item.kind == KEY_FRAME_REQUEST:
                    _want_key_frame(routing, subscription, now)
                elif item.media_ssrc == subscription.ssrc:
                    # RFC 4585 section 6.2.1: PID itself, then a bit for each of the 16 that follow it.
                    lost = np.int64(item.values[0])
                    mask = np.int64(item.values[1]) << 1 | 1
                    while cursor[1] < 17:
                        if (mask >> cursor[1]) & 1:
                            used = out.state[ROWS_USED]
                            if used >= len(out.rows):
                                return True
                            subscription.nacks += 1
                            sequence_number = (lost + cursor[1]) & 0xFFFF
                            if resend(routing, number, sequence_number, extension_maps, out.rows[used], now):
                                out.state[ROWS_USED] = used + 1
                        cursor[1] += 1
        cursor[0] += 1
        cursor[1] = 0
    return False
