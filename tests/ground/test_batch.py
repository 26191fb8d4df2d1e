"""PacketBatch: datagrams in an arena, found again by their rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.batch import (
    BYTES_USED,
    DROP_REASONS,
    EXTENSION_KINDS,
    MAX_DATAGRAM,
    MAX_PREFIX,
    OUT_ROW,
    ROW,
    ROWS_USED,
    Drop,
    PacketBatch,
    append_datagram,
    datagram,
    make_batch,
)

ADDRESS = bytes(range(16))


def append(batch: PacketBatch, data: bytes) -> int:
    return append_datagram(batch, data, arrival=77, address=ADDRESS, port=5004, socket=1)


@given(st.lists(st.binary(max_size=64), max_size=16))
def test_every_datagram_is_found_again_by_its_row(datagrams: list[bytes]) -> None:
    batch = make_batch(16, 1024)
    rows = [append(batch, data) for data in datagrams]
    assert rows == list(range(len(datagrams)))
    assert [datagram(batch, row) for row in rows] == datagrams
    assert batch.state[ROWS_USED] == len(datagrams)
    assert batch.state[BYTES_USED] == sum(map(len, datagrams))


def test_a_row_says_where_its_datagram_came_from_and_when() -> None:
    batch = make_batch(2, 64)
    row = batch.rows[append(batch, b"data")]
    assert (row.arrival, row.port, row.socket, row.length, row.drop) == (77, 5004, 1, 4, Drop.NONE)
    assert bytes(row.address) == ADDRESS


@pytest.mark.parametrize(("length", "drop"), [(MAX_DATAGRAM, Drop.NONE), (MAX_DATAGRAM + 1, Drop.TRUNCATED)])
def test_a_datagram_that_no_socket_would_have_read_whole_is_marked(length: int, drop: Drop) -> None:
    batch = make_batch(1, 2 * MAX_DATAGRAM)
    assert batch.rows[append(batch, bytes(length))].drop == drop


def test_a_copy_does_not_follow_the_arena() -> None:
    batch = make_batch(1, 64)
    copied = datagram(batch, append(batch, b"first"))
    batch.arena[:] = 0
    assert copied == b"first"


@pytest.mark.parametrize("dtype", [ROW, OUT_ROW])
def test_a_new_batch_is_empty_and_aligned_for_kernels(dtype: np.dtype[np.void]) -> None:
    batch = make_batch(3, 100, dtype)
    assert (len(batch.rows), len(batch.arena)) == (3, 100)
    assert batch.state.tolist() == [0, 0]
    assert batch.rows.dtype.isalignedstruct
    assert batch.rows.itemsize % 8 == 0


def test_every_reason_has_a_counter_of_its_own() -> None:
    assert len(set(Drop)) == len(Drop)
    assert max(Drop) < DROP_REASONS


def test_columns_are_wide_enough_for_what_they_hold() -> None:
    assert ROW["extension_offset"].shape == ROW["extension_length"].shape == (EXTENSION_KINDS,)
    assert OUT_ROW["prefix"].shape == (MAX_PREFIX,)
    for name in ("drop", "kind"):
        assert np.iinfo(ROW[name]).max >= DROP_REASONS - 1
