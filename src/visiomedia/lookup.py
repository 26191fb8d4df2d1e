"""A hash table from a key of three 64-bit words to a row number, for kernels.

Open addressing with linear probing and backward-shift deletion: no tombstones, so that churn never slows it. The
hash is keyed by a random seed, because remote peers choose the keys (addresses, SSRCs).
"""

import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visiomedia.jit import Integer, record, subroutine

ENTRY = record([("key", "<u8", (3,)), ("value", "<i4"), ("used", "u1")])


class Lookup(NamedTuple):
    """The table's arrays. ``entries``: (a power of two,) ENTRY; ``state``: (3,) u8: seed, count, most entries."""

    entries: NDArray[Any]
    state: NDArray[np.uint64]


def make_lookup(capacity: int, seed: Integer | None = None) -> Lookup:
    """An empty table for at most ``capacity`` keys, at most half full."""
    size = 1 << max(4, (2 * capacity - 1).bit_length())
    chosen = int.from_bytes(os.urandom(8), "little") if seed is None else seed
    return Lookup(np.zeros(size, ENTRY), np.array([chosen, 0, capacity], np.uint64))


@subroutine
def _slot(lookup: Lookup, a: Integer, b: Integer, c: Integer) -> Integer:
    value = np.uint64(a) ^ lookup.state[0]
    value = (value ^ (value >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    value ^= np.uint64(b)
    value = (value ^ (value >> np.uint64(29))) * np.uint64(0xA0761D6478BD642F)
    value ^= np.uint64(c) ^ lookup.state[0]
    value = (value ^ (value >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    value ^= value >> np.uint64(29)
    return np.int64(value & np.uint64(len(lookup.entries) - 1))


@subroutine
def find(lookup: Lookup, a: Integer, b: Integer, c: Integer) -> Integer:
    """The row of a key, or -1."""
    entries = lookup.entries
    mask = len(entries) - 1
    slot = _slot(lookup, a, b, c)
    while entries[slot].used != 0:
        entry = entries[slot]
        if entry.key[0] == np.uint64(a) and entry.key[1] == np.uint64(b) and entry.key[2] == np.uint64(c):
            return np.int64(entry.value)
        slot = (slot + 1) & mask
    return np.int64(-1)


@subroutine
def insert(lookup: Lookup, a: Integer, b: Integer, c: Integer, value: Integer) -> bool:
    """Put a key or give it another row; False where the table is full."""
    entries = lookup.entries
    mask = len(entries) - 1
    slot = _slot(lookup, a, b, c)
    while entries[slot].used != 0:
        entry = entries[slot]
        if entry.key[0] == np.uint64(a) and entry.key[1] == np.uint64(b) and entry.key[2] == np.uint64(c):
            entry.value = value
            return True
        slot = (slot + 1) & mask
    if lookup.state[1] >= lookup.state[2]:
        return False
    entry = entries[slot]
    entry.key[0] = np.uint64(a)
    entry.key[1] = np.uint64(b)
    entry.key[2] = np.uint64(c)
    entry.value = value
    entry.used = 1
    lookup.state[1] += np.uint64(1)
    return True


@subroutine
def remove(lookup: Lookup, a: Integer, b: Integer, c: Integer) -> bool:
    """Take a key out; False where it is not in."""
    entries = lookup.entries
    mask = len(entries) - 1
    slot = _slot(lookup, a, b, c)
    while entries[slot].used != 0:
        entry = entries[slot]
        if entry.key[0] == np.uint64(a) and entry.key[1] == np.uint64(b) and entry.key[2] == np.uint64(c):
            break
        slot = (slot + 1) & mask
    if entries[slot].used == 0:
        return False
    # Close the gap: an entry moves back when its own slot does not lie between the gap and where it stands.
    gap = slot
    following = (slot + 1) & mask
    while entries[following].used != 0:
        key = entries[following].key
        home = _slot(lookup, key[0], key[1], key[2])
        if ((following - home) & mask) >= ((following - gap) & mask):
            moved, hole = entries[following], entries[gap]
            for word in range(3):
                hole.key[word] = moved.key[word]
            hole.value = moved.value
            gap = following
        following = (following + 1) & mask
    entries[gap].used = 0
    lookup.state[1] -= np.uint64(1)
    return True
