"""Serial number arithmetic beside a slow, obvious one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.rtp.sequence import SequenceExtender, distance, extend, is_newer

WIDTHS = st.sampled_from([16, 32])


@pytest.mark.parametrize(
    ("later", "earlier", "bits", "expected"),
    [
        (0, 0, 16, 0),
        (0, 65535, 16, 1),
        (65535, 0, 16, -1),
        (32767, 0, 16, 32767),
        # RFC 1982 section 3.2 leaves numbers half a circle apart undefined; here they count as older.
        (32768, 0, 16, -32768),
        (0, 32768, 16, -32768),
        (0, 0xFFFFFFFF, 32, 1),
        (0x7FFFFFFF, 0, 32, 0x7FFFFFFF),
        (0x80000000, 0, 32, -0x80000000),
    ],
)
def test_distance_goes_the_short_way_round(later: int, earlier: int, bits: int, expected: int) -> None:
    assert distance(later, earlier, bits) == expected
    assert is_newer(later, earlier, bits) == (expected > 0)


@given(WIDTHS, st.data())
def test_extend_is_the_nearest_number_with_these_low_bits(bits: int, data: st.DataObject) -> None:
    circle = 1 << bits
    value = data.draw(st.integers(0, circle - 1))
    reference = data.draw(st.integers(0, 5 * circle))
    extended = extend(value, reference, bits)
    assert extended % circle == value
    assert abs(extended - reference) <= circle // 2


@given(WIDTHS, st.integers(0, 2**34), st.lists(st.integers(-3000, 3000), max_size=60))
def test_extender_unwraps_a_stream_that_jumps_and_reorders(bits: int, start: int, steps: list[int]) -> None:
    extender = SequenceExtender(bits)
    mask = (1 << bits) - 1
    number = start & mask
    assert extender.extend(number) == number
    highest = number
    for step in steps:
        number = highest + step
        if number < 0:
            continue
        assert extender.extend(number & mask) == number
        highest = max(highest, number)
        assert extender.highest == highest


def test_a_late_packet_from_before_the_first_is_below_it() -> None:
    extender = SequenceExtender()
    assert [extender.extend(value) for value in (1, 65535, 2, 0)] == [1, -1, 2, 0]
