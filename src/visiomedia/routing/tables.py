"""Routing state of the packet plane: sources, tracks, subscriptions, and each source's history of packets.

A *source* is one SSRC that a peer sends (one simulcast layer, or a repair stream). A *track* is what is published:
its layers are sources. A *subscription* is one track on its way to one receiver, with an SSRC of its own.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import record
from visiomedia.lookup import Lookup, make_lookup

MAX_LAYERS = 4
STOPPED_NS = 400_000_000
"""A layer that nothing came from for this long has stopped, where another of its track still arrives."""

SETTLE_NS = 2_000_000_000
"""After a layer was lost, a higher one is not taken up for this long."""

CNAME_BYTES = 64
MID_BYTES = 16

SHIFTS = 8
"""Places, of late, where a padding-only packet left a source's sequence space and the rest moved down."""

HISTORY_BLOCKS = 8
BLOCK_ENTRIES = 256
"""A source's history index is at most 8 blocks of 256 packets; audio has one."""

LARGE_CHUNK = 65536
SMALL_CHUNK = 4096
"""Bytes of history are handed out in chunks: large ones for video, small ones for audio."""

HISTORY_NS = 2_000_000_000
HISTORY_BYTES = 4 << 20
"""A source keeps two seconds, at most 4 MB of one publisher's bytes."""

SOURCE = record(
    [
        ("in_use", "u1"),
        ("is_audio", "u1"),
        ("layer", "u1"),
        ("key_frame_wanted", "u1"),
        ("generation", "<i4"),
        ("transport", "<i4"),
        ("ssrc", "<u4"),
        ("track", "<i4"),
        ("repairs", "<i4"),  # for a repair stream (RTX) the source it repairs, else -1
        ("clock_rate", "<u4"),
        ("payload_type", "u1"),  # of the last media packet
        ("shifts", "<i8"),  # padding-only packets taken out so far
        ("shift_index", "<i8", (SHIFTS,)),  # raw index behind which shift number n applies, by n % SHIFTS
        ("highest", "<i8"),  # raw index of the newest media packet; -1 before the first
        ("last_arrival", "<i8"),
        ("last_key_frame", "<i8"),
        ("key_frame_asked", "<i8"),
        ("nack_at", "<i8"),
        ("packets", "<i8"),
        ("octets", "<i8"),
        ("level_sum", "<i8"),  # of audio levels (RFC 6464), -dBov, of so many packets that had one
        ("levels", "<i8"),
        ("recovered", "<i8"),
        ("duplicates", "<i8"),
        ("padding_packets", "<i8"),
        ("key_frames", "<i8"),
        ("nacks_sent", "<i8"),
        ("key_frame_requests_sent", "<i8"),
        # history
        ("block", "<i4", (HISTORY_BLOCKS,)),  # -1 where not taken yet
        ("newest_chunk", "<i4"),  # -1 where none
        ("oldest_chunk", "<i4"),
        ("chunks", "<i4"),
        ("waiting", "<i4"),  # of its packets, to be fanned out
    ]
)

TRACK = record(
    [
        ("in_use", "u1"),
        ("is_audio", "u1"),
        ("cname_length", "u1"),
        ("generation", "<i4"),
        ("transport", "<i4"),
        ("first_subscription", "<i4"),  # -1 where none
        ("layers", "<i4", (MAX_LAYERS,)),  # source rows, lowest first; -1 where not bound yet
        ("cname", "u1", (CNAME_BYTES,)),
    ]
)

MAPPINGS = 4
"""Past ways from a source's numbers to a subscription's that a NACK can still be answered by."""

RESENT = 64
REPORTS = 4

SUBSCRIPTION = record(
    [
        ("in_use", "u1"),
        ("is_audio", "u1"),
        ("payload_type", "u1"),
        ("rtx_payload_type", "u1"),
        ("source_payload_type", "u1"),  # forwarded only if it comes as this
        ("has_rtx", "u1"),
        ("mid_length", "u1"),
        ("last_marker", "u1"),
        ("generation", "<i4"),
        ("track", "<i4"),
        ("transport", "<i4"),
        ("next", "<i4"),  # of the same track; -1 at the end
        ("current", "<i4"),  # source forwarded now; -1 before the first packet
        ("target", "<i4"),  # source whose next key frame is switched to; -1 where none is waited for
        ("ssrc", "<u4"),
        ("rtx_ssrc", "<u4"),
        ("clock_rate", "<u4"),
        ("mid", "u1", (MID_BYTES,)),
        # from the source's numbers to ours
        ("mappings", "<i8"),  # so far; number n lies at n % MAPPINGS
        ("map_source", "<i4", (MAPPINGS,)),
        ("map_first", "<i8", (MAPPINGS,)),  # first index of ours that it made
        ("map_offset", "<i8", (MAPPINGS,)),  # ours = theirs + offset
        ("map_timestamp_offset", "<u4", (MAPPINGS,)),
        ("map_start", "<u4", (MAPPINGS,)),  # their timestamp that it began at
        ("map_behind", "<i8", (MAPPINGS,)),  # ticks by which that lay behind what was sent already
        ("floor", "<i8"),  # their index that the current mapping began at: older ones are not forwarded
        ("timestamp_offset", "<i8"),  # of the current mapping: ours = theirs + offset, modulo 2**32
        ("highest", "<i8"),  # of ours
        ("last_timestamp", "<u4"),  # of ours, of the newest
        ("last_arrival", "<i8"),  # of the packet that became it
        ("switched_down", "<i8"),
        # repair
        ("rtx_next", "<i8"),
        ("rtx_tokens", "<i8"),
        ("resent_index", "<i8", (RESENT,)),
        ("resent_at", "<i8", (RESENT,)),
        ("key_frame_at", "<i8"),  # last request taken from this receiver
        ("key_frame_tokens", "<i8"),
        # reports
        ("report_at", "<i8"),
        ("report_ntp", "<u4", (REPORTS,)),  # middle 32 bits of the NTP times sent
        ("report_sent", "<i8", (REPORTS,)),
        ("reports", "<i8"),
        ("rtt", "<i8"),  # ns; 0 before it is known
        ("fraction_lost", "u1"),
        ("cumulative_lost", "<i8"),
        ("remote_jitter", "<i8"),
        # counters
        ("packets", "<i8"),
        ("octets", "<i8"),
        ("switches", "<i8"),
        ("late", "<i8"),
        ("nacks", "<i8"),
        ("resent", "<i8"),
        ("not_resent", "<i8"),
        ("key_frame_requests", "<i8"),
    ]
)

ENTRY = record(
    [
        ("index", "<i8"),  # the source's, padding-only packets taken out; -1 where empty
        ("arrival", "<i8"),
        ("chunk", "<i4"),
        ("chunk_use", "<i4"),
        ("offset", "<i8"),  # into the pool: forwarded extensions, then payload
        ("timestamp", "<u4"),
        ("payload_length", "<i4"),
        ("extensions_length", "<u2"),  # kind, length, bytes; repeated
        ("payload_type", "u1"),
        ("marker", "u1"),
        ("is_key_frame", "u1"),
        ("starts_frame", "u1"),
    ]
)
"""A packet in history."""

CHUNK = record([("use", "<i4"), ("next", "<i4"), ("filled", "<i4"), ("last_write", "<i8")])
"""``use`` changes each time a chunk is given back, so that entries which point into it find nothing."""


class History(NamedTuple):
    """``pool``: (bytes,) uint8, the large chunks first; ``chunks``: (chunks,) CHUNK; ``free_large``, ``free_small``,
    ``free_blocks``: stacks whose element 0 is their height; ``entries``: (blocks, 256) ENTRY."""

    pool: NDArray[np.uint8]
    chunks: NDArray[Any]
    free_large: NDArray[np.int64]
    free_small: NDArray[np.int64]
    free_blocks: NDArray[np.int64]
    entries: NDArray[Any]


JOB = record([("source", "<i4"), ("generation", "<i4"), ("place", "<i8"), ("index", "<i8")])
"""A stored packet that its track's subscriptions have not got yet: the entry's number, and the index it must have."""

ADDED, DONE, RUN_END, SERVED, NEXT_JOB = 0, 1, 2, 3, 4
"""Places in a row of ``FanOutQueue.state``."""

NOT_BEGUN = -2


class FanOutQueue(NamedTuple):
    """What is still to be fanned out, in order of arrival; a turn that has used up its time leaves the rest here.

    ``jobs``: (2, capacity) JOB, rings of audio and of all else; ``state``: (2, 5) int64, of each ring: jobs added and
    done since the start, the end of those served together now, the subscription that gets them (``NOT_BEGUN`` before
    the first), and the job that is next for it.
    """

    jobs: NDArray[Any]
    state: NDArray[np.int64]


class RoutingTables(NamedTuple):
    """``sources``, ``tracks``, ``subscriptions``: (capacity,) of their record; ``outgoing``: (transport, SSRC, 0) to
    subscription; ``active_sources``, ``active_subscriptions``: lists whose element 0 is their length."""

    sources: NDArray[Any]
    tracks: NDArray[Any]
    subscriptions: NDArray[Any]
    outgoing: Lookup
    active_sources: NDArray[np.int64]
    active_subscriptions: NDArray[np.int64]
    history: History
    queue: FanOutQueue


def _full_stack(first: int, count: int) -> NDArray[np.int64]:
    stack = np.zeros(count + 1, np.int64)
    stack[0] = count
    stack[1:] = np.arange(first + count - 1, first - 1, -1)
    return stack


def make_history(large_chunks: int, small_chunks: int, blocks: int) -> History:
    """An empty history, allocated once; the system gives it memory as it is touched."""
    return History(
        np.zeros(large_chunks * LARGE_CHUNK + small_chunks * SMALL_CHUNK, np.uint8),
        np.zeros(large_chunks + small_chunks, CHUNK),
        _full_stack(0, large_chunks),
        _full_stack(large_chunks, small_chunks),
        _full_stack(0, blocks),
        np.zeros((blocks, BLOCK_ENTRIES), ENTRY),
    )


def make_routing_tables(
    sources: int, tracks: int, subscriptions: int, history: History, *, waiting: int
) -> RoutingTables:
    """Empty tables, allocated once. ``waiting``: packets of each kind that may wait to be fanned out."""
    queue = FanOutQueue(np.zeros((2, waiting), JOB), np.zeros((2, 5), np.int64))
    queue.state[:, SERVED] = NOT_BEGUN
    return RoutingTables(
        np.zeros(sources, SOURCE),
        np.zeros(tracks, TRACK),
        np.zeros(subscriptions, SUBSCRIPTION),
        make_lookup(subscriptions * 2),
        np.zeros(sources + 1, np.int64),
        np.zeros(subscriptions + 1, np.int64),
        history,
        queue,
    )
