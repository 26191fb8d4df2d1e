"""Row handles: reuse only after acknowledgement, and stale handles find nothing."""

import pytest

from visiomedia.errors import CapacityError
from visiomedia.rows import RowAllocator


def test_row_is_not_reused_before_its_removal_was_applied() -> None:
    rows = RowAllocator("paths", 1)
    first = rows.allocate()
    rows.release(first, command=7)
    rows.acknowledged(7)  # commands 0 to 6 were applied
    with pytest.raises(CapacityError):
        rows.allocate()
    rows.acknowledged(8)
    second = rows.allocate()
    assert second.row == first.row
    assert second.generation != first.generation
    assert not rows.is_current(first)
    assert rows.is_current(second)


def test_full_table_says_which_and_how_large() -> None:
    rows = RowAllocator("sources", 2)
    rows.allocate()
    rows.allocate()
    with pytest.raises(CapacityError, match="sources is full: 2 rows"):
        rows.allocate()
    assert rows.used == 2
