"""A source's history: what it finds, what it forgets, and that no source takes another's share."""

from typing import Any

import numpy as np
import pytest

from visiomedia.batch import ROW
from visiomedia.jit import Integer
from visiomedia.routing.history_kernels import expire, find_entry, forget, reset_history, store
from visiomedia.routing.tables import (
    BLOCK_ENTRIES,
    HISTORY_BYTES,
    HISTORY_NS,
    LARGE_CHUNK,
    SMALL_CHUNK,
    SOURCE,
    History,
    make_history,
)

AUDIO_LEVEL = 4
MID = 1


def make_source(*, is_audio: bool = False) -> Any:
    sources = np.zeros(1, SOURCE)
    sources[0].is_audio = is_audio
    reset_history(sources[0])
    return sources[0]


def keep(history: History, source: Any, index: int, payload: bytes, now: int = 0, level: bytes = b"") -> int:
    rows = np.zeros(1, ROW)
    arena = np.zeros(2048, np.uint8)
    arena[100 : 100 + len(payload)] = np.frombuffer(payload, np.uint8)
    row = rows[0]
    row.payload_offset, row.payload_length, row.timestamp, row.payload_type = (
        100,
        len(payload),
        index * 3000,
        96,
    )
    if level:
        arena[50 : 50 + len(level)] = np.frombuffer(level, np.uint8)
        row.extension_offset[AUDIO_LEVEL], row.extension_length[AUDIO_LEVEL] = 50, len(level)
        row.extension_offset[MID], row.extension_length[MID] = 50, 1
    return int(store(history, source, index, row, arena, now))


def payload_of(history: History, place: Integer) -> bytes:
    entry = history.entries[place // BLOCK_ENTRIES, place % BLOCK_ENTRIES]
    at = entry.offset + entry.extensions_length
    return history.pool[at : at + entry.payload_length].tobytes()


def free_places(history: History) -> tuple[int, int, int]:
    return int(history.free_large[0]), int(history.free_small[0]), int(history.free_blocks[0])


def test_stored_packet_is_found_with_its_payload_and_forwarded_extensions_only() -> None:
    history, source = make_history(4, 16, 16), make_source()
    keep(history, source, 70_000, b"payload", level=b"\x85")
    place = find_entry(history, source, 70_000)
    entry = history.entries[place // BLOCK_ENTRIES, place % BLOCK_ENTRIES]
    assert payload_of(history, place) == b"payload"
    assert entry.timestamp == 70_000 * 3000 % 2**32
    extensions = history.pool[entry.offset : entry.offset + entry.extensions_length].tobytes()
    assert extensions == bytes([AUDIO_LEVEL, 1, 0x85]), "the MID is the hop's own"
    assert find_entry(history, source, 70_001) == -1
    assert find_entry(history, source, -5) == -1


def test_index_that_lies_in_the_same_slot_replaces_the_older_one() -> None:
    history, source = make_history(4, 16, 16), make_source(is_audio=True)
    keep(history, source, 5, b"old")
    keep(history, source, 5 + BLOCK_ENTRIES, b"new")
    assert find_entry(history, source, 5) == -1
    assert payload_of(history, find_entry(history, source, 5 + BLOCK_ENTRIES)) == b"new"


def test_source_beyond_its_share_evicts_its_own_oldest_and_nobody_elses() -> None:
    history = make_history(2 * HISTORY_BYTES // LARGE_CHUNK, 4, 64)
    flooding, quiet = make_source(), make_source()
    keep(history, quiet, 1, b"quiet")
    packets = 2 * HISTORY_BYTES // 1000
    for index in range(packets):
        assert keep(history, flooding, index, bytes(1000), now=index) >= 0
    assert flooding.chunks * LARGE_CHUNK <= HISTORY_BYTES
    assert find_entry(history, flooding, 0) == -1
    assert find_entry(history, flooding, packets - 1) >= 0
    assert payload_of(history, find_entry(history, quiet, 1)) == b"quiet"


def test_what_this_turn_has_still_to_forward_is_not_given_back() -> None:
    history = make_history(1, 1, 16)
    source = make_source()
    fits = LARGE_CHUNK // 1000
    for index in range(fits):
        assert keep(history, source, index, bytes(1000), now=7) >= 0
    assert keep(history, source, fits, bytes(1000), now=7) == -1
    assert find_entry(history, source, 0) >= 0
    assert keep(history, source, fits, bytes(1000), now=8) >= 0
    assert find_entry(history, source, 0) == -1


def test_entry_in_a_chunk_given_back_is_not_found_though_its_slot_is_unchanged() -> None:
    history = make_history(1, 1, 16)
    first, second = make_source(), make_source()
    keep(history, first, 1, b"first")
    forget(history, first)
    keep(history, second, 1, b"second")
    assert find_entry(history, first, 1) == -1
    assert payload_of(history, find_entry(history, second, 1)) == b"second"


def test_exhausted_pool_refuses_a_source_that_has_nothing_to_give_back() -> None:
    history = make_history(1, 1, 16)
    first, second = make_source(), make_source()
    assert keep(history, first, 1, b"first") >= 0
    assert keep(history, second, 1, b"second") == -1
    assert payload_of(history, find_entry(history, first, 1)) == b"first"


@pytest.mark.parametrize("is_audio", [True, False])
def test_idle_source_holds_nothing_after_two_seconds(is_audio: bool) -> None:
    history, source = make_history(4, 16, 16), make_source(is_audio=is_audio)
    everything = free_places(history)
    size = SMALL_CHUNK if is_audio else LARGE_CHUNK
    for index in range(3 * size // 1000):
        keep(history, source, index, bytes(1000), now=index)
    assert free_places(history) != everything
    expire(history, source, 1)
    assert source.chunks > 0
    expire(history, source, 2 * HISTORY_NS)
    assert source.chunks == 0
    assert free_places(history) == everything
