"""A source's recent packets: what fan-out, retransmission and late joiners read from.

Bytes lie in chunks from one bounded pool and entries in an index by sequence number, so that memory follows bitrate
and a flood evicts only itself.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import Integer, subroutine
from visiomedia.memory import copy_bytes
from visiomedia.routing.tables import (
    BLOCK_ENTRIES,
    HISTORY_BLOCKS,
    HISTORY_BYTES,
    HISTORY_NS,
    LARGE_CHUNK,
    SMALL_CHUNK,
    History,
)

# Extensions that a server passes on: audio level, absolute capture time, orientation, playout delay, dependency
# descriptor (rtp.extensions.ExtensionKind). The others are the hop's own.
FIRST_FORWARDED = 4
FORWARDED = (1 << 4) | (1 << 7) | (1 << 8) | (1 << 9) | (1 << 10)
LAST_FORWARDED = 10


@subroutine
def _chunk_size(history: History, chunk: Integer) -> Integer:
    # Large chunks come first in the pool and as many as the large stack has places.
    return LARGE_CHUNK if chunk < len(history.free_large) - 1 else SMALL_CHUNK


@subroutine
def _chunk_offset(history: History, chunk: Integer) -> Integer:
    large = len(history.free_large) - 1
    if chunk < large:
        return np.int64(chunk) * LARGE_CHUNK
    return np.int64(large) * LARGE_CHUNK + np.int64(chunk - large) * SMALL_CHUNK


@subroutine
def _give_back_oldest(history: History, source: Any) -> None:
    chunk = source.oldest_chunk
    record = history.chunks[chunk]
    record.use += 1
    stack = history.free_large if chunk < len(history.free_large) - 1 else history.free_small
    stack[0] += 1
    stack[stack[0]] = chunk
    source.chunks -= 1
    if source.chunks == 0:
        source.oldest_chunk = -1
        source.newest_chunk = -1
    else:
        source.oldest_chunk = record.next


@subroutine
def _take_chunk(history: History, source: Any, now: Integer) -> Integer:
    """A chunk that becomes the source's newest; its own oldest where the pool or its share is used up; -1 if none.

    What was written this turn is still to be forwarded from there: it is not given away.
    """
    size = SMALL_CHUNK if source.is_audio != 0 else LARGE_CHUNK
    stack = history.free_small if source.is_audio != 0 else history.free_large
    if source.chunks > 0 and (stack[0] == 0 or np.int64(source.chunks) * size >= HISTORY_BYTES):
        if history.chunks[source.oldest_chunk].last_write == now:
            return -1
        _give_back_oldest(history, source)
    if stack[0] == 0:
        return -1
    chunk = stack[stack[0]]
    stack[0] -= 1
    record = history.chunks[chunk]
    record.next = -1
    record.filled = 0
    if source.chunks == 0:
        source.oldest_chunk = chunk
    else:
        history.chunks[source.newest_chunk].next = chunk
    source.newest_chunk = chunk
    source.chunks += 1
    return np.int64(chunk)


@subroutine
def _place(history: History, source: Any, index: Integer, take: bool) -> Integer:
    """The number of the entry that an index has: block * 256 + slot; -1 where its block is not there."""
    blocks = 1 if source.is_audio != 0 else HISTORY_BLOCKS
    number = (index // BLOCK_ENTRIES) % blocks
    block = source.block[number]
    if block < 0:
        if not take or history.free_blocks[0] == 0:
            return -1
        block = history.free_blocks[history.free_blocks[0]]
        history.free_blocks[0] -= 1
        source.block[number] = block
        for slot in range(BLOCK_ENTRIES):
            history.entries[block, slot].index = -1
    return np.int64(block * BLOCK_ENTRIES + index % BLOCK_ENTRIES)


@subroutine
def find_entry(history: History, source: Any, index: Integer) -> Integer:
    """The entry of a packet by its index, or -1 where it is not kept any more."""
    if index < 0:
        return -1
    place = _place(history, source, index, False)
    if place < 0:
        return -1
    entry = history.entries[place // BLOCK_ENTRIES, place % BLOCK_ENTRIES]
    if entry.index != index or history.chunks[entry.chunk].use != entry.chunk_use:
        return -1
    return place


@subroutine
def store(history: History, source: Any, index: Integer, row: Any, arena: NDArray[np.uint8], now: Integer) -> Integer:
    """Copy a packet's forwarded extensions and payload into its source's history; its entry, or -1 where full."""
    length = np.int64(row.payload_length)
    extensions = np.int64(0)
    for kind in range(FIRST_FORWARDED, LAST_FORWARDED + 1):
        if (FORWARDED >> kind) & 1 and row.extension_length[kind] != 0:
            extensions += 2 + row.extension_length[kind]
    needed = extensions + length
    chunk = source.newest_chunk
    if chunk < 0 or history.chunks[chunk].filled + needed > _chunk_size(history, chunk):
        chunk = _take_chunk(history, source, now)
        if chunk < 0 or needed > _chunk_size(history, chunk):
            return -1
    place = _place(history, source, index, True)
    if place < 0:
        return -1
    record = history.chunks[chunk]
    at = _chunk_offset(history, chunk) + record.filled
    entry = history.entries[place // BLOCK_ENTRIES, place % BLOCK_ENTRIES]
    entry.index = index
    entry.arrival = row.arrival
    entry.chunk = chunk
    entry.chunk_use = record.use
    entry.offset = at
    entry.timestamp = row.timestamp
    entry.payload_length = length
    entry.extensions_length = extensions
    entry.payload_type = row.payload_type
    entry.marker = row.marker
    entry.is_key_frame = row.is_key_frame
    entry.starts_frame = row.starts_frame
    pool = history.pool
    for kind in range(FIRST_FORWARDED, LAST_FORWARDED + 1):
        size = np.int64(row.extension_length[kind])
        if (FORWARDED >> kind) & 1 and size != 0:
            pool[at] = kind
            pool[at + 1] = size
            start = np.int64(row.extension_offset[kind])
            for i in range(size):
                pool[at + 2 + i] = arena[start + i]
            at += 2 + size
    start = np.int64(row.payload_offset)
    copy_bytes(pool, at, arena, start, length)
    record.filled += needed
    record.last_write = now
    return place


@subroutine
def expire(history: History, source: Any, now: Integer) -> None:
    """Give back chunks nothing was written to for two seconds; an idle source holds nothing."""
    while source.chunks > 0 and now - history.chunks[source.oldest_chunk].last_write > HISTORY_NS:
        _give_back_oldest(history, source)
    if source.chunks == 0:
        forget(history, source)


@subroutine
def forget(history: History, source: Any) -> None:
    """Give back all that a source keeps."""
    while source.chunks > 0:
        _give_back_oldest(history, source)
    for number in range(HISTORY_BLOCKS):
        if source.block[number] >= 0:
            history.free_blocks[0] += 1
            history.free_blocks[history.free_blocks[0]] = source.block[number]
            source.block[number] = -1


@subroutine
def reset_history(source: Any) -> None:
    """A new source keeps nothing yet."""
    for number in range(HISTORY_BLOCKS):
        source.block[number] = -1
    source.newest_chunk = -1
    source.oldest_chunk = -1
    source.chunks = 0
