"""Index estimation and windows against sets of unbounded integers."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from visiomedia.batch import Drop
from visiomedia.srtp import reference
from visiomedia.srtp.tables import RTCP_STREAM, STREAM
from visiomedia.srtp.windows import (
    check_index,
    check_rtcp_index,
    estimate_index,
    mark_index,
    mark_rtcp_index,
    reset_stream,
)

STEPS = st.lists(st.one_of(st.integers(-5, 5), st.integers(-3000, 3000), st.integers(0, 70_000)), max_size=60)


@given(st.integers(-1, (1 << 48) - 1), st.integers(0, 65535))
def test_the_estimate_is_the_nearest_index_with_that_sequence_number(highest: int, sequence_number: int) -> None:
    assert estimate_index(highest, sequence_number) == reference.estimate_index(highest, sequence_number)


@given(st.integers(0, 1 << 40), st.integers(-32767, 32767))
def test_an_index_within_half_a_cycle_is_estimated_exactly(highest: int, distance: int) -> None:
    index = max(0, highest + distance)
    assert estimate_index(highest, index & 0xFFFF) == index


@settings(max_examples=200)
@given(st.integers(0, 1 << 40), STEPS)
def test_the_window_tells_apart_what_a_set_does(start: int, steps: list[int]) -> None:
    streams = np.zeros(1, STREAM).view(np.recarray)
    reset_stream(streams, 0)
    seen: set[int] = set()
    index = start
    for step in steps:
        index = max(0, index + step)
        highest = max(seen, default=-1)
        expected = Drop.NONE
        if seen and index <= highest - 2048:
            expected = Drop.TOO_OLD
        elif index in seen:
            expected = Drop.REPLAYED
        assert check_index(streams[0], index) == expected
        if expected is Drop.NONE:
            mark_index(streams[0], index)
            seen.add(index)
    assert reference.accepted(streams[0]) == {i for i in seen if i > max(seen) - 2048}


@settings(max_examples=200)
@given(st.integers(0, 1 << 30), st.lists(st.integers(-100, 100), max_size=60))
def test_the_rtcp_window_tells_apart_what_a_set_does(start: int, steps: list[int]) -> None:
    senders = np.zeros(1, RTCP_STREAM).view(np.recarray)
    senders[0].highest = -1
    seen: set[int] = set()
    index = start
    for step in steps:
        index = max(0, index + step)
        expected = Drop.NONE
        if seen and index <= max(seen) - 64:
            expected = Drop.TOO_OLD
        elif index in seen:
            expected = Drop.REPLAYED
        assert check_rtcp_index(senders[0], index) == expected
        if expected is Drop.NONE:
            mark_rtcp_index(senders[0], index)
            seen.add(index)
