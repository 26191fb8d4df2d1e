"""When to ask for what did not come, how often, and when to give up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.rtp.nack import MAX_AGE, MAX_PENDING, MAX_TRIES, REORDER, REPEAT, NackGenerator


def given_packets(*sequence_numbers: int, now: float = 0.0) -> NackGenerator:
    generator = NackGenerator()
    for number in sequence_numbers:
        generator.receive(number, now)
    return generator


def test_without_a_gap_nothing_is_asked_for() -> None:
    generator = given_packets(0xFFFE, 0xFFFF, 0, 1)
    assert generator.next_timeout() is None
    assert generator.lost(10.0) == []


def test_a_gap_waits_for_reordering_and_is_asked_for_then() -> None:
    generator = given_packets(1, 3, now=5.0)
    assert generator.lost(5.0) == []
    assert generator.next_timeout() == 5.0 + REORDER
    assert generator.lost(5.0 + REORDER) == [2]


def test_three_newer_packets_make_it_urgent() -> None:
    generator = given_packets(1, 3, 4)
    assert generator.lost(0.0) == []
    generator.receive(5, 0.0)
    assert generator.next_timeout() == 0.0
    assert generator.lost(0.0) == [2]


def test_what_comes_late_is_not_asked_for() -> None:
    generator = given_packets(1, 4, 2)
    assert generator.missing == [3]
    assert generator.lost(1.0) == [3]
    generator.receive(3, 1.0)
    assert generator.next_timeout() is None


def test_it_is_asked_for_again_after_a_round_trip() -> None:
    generator = given_packets(1, 3)
    assert generator.lost(0.010) == [2]
    assert generator.lost(0.010 + REPEAT / 2) == []
    assert generator.next_timeout() == 0.010 + REPEAT
    assert generator.next_timeout(rtt=0.2) == 0.010 + 0.2
    assert generator.lost(0.2, rtt=0.2) == []
    assert generator.lost(0.010 + 0.2, rtt=0.2) == [2]


def test_it_is_given_up_after_ten_times() -> None:
    generator = given_packets(1, 3)
    asked = 0
    now = 0.0
    while (deadline := generator.next_timeout()) is not None and asked < 100:
        now = max(now, deadline)
        asked += len(generator.lost(now))
    assert asked == MAX_TRIES == 10
    assert not generator.needs_key_frame


def test_it_is_given_up_when_it_is_old() -> None:
    generator = given_packets(1, 3)
    assert generator.lost(MAX_AGE + 0.001) == []
    assert generator.missing == []


def test_numbers_are_of_16_bits_and_oldest_first() -> None:
    generator = given_packets(0xFFFD, 2)
    assert generator.lost(0.1) == [0xFFFE, 0xFFFF, 0, 1]


@pytest.mark.parametrize("jump", [MAX_PENDING + 2, 1002, 30_000])
def test_too_much_at_once_asks_for_a_key_frame_instead(jump: int) -> None:
    generator = given_packets(1, 1 + jump)
    assert generator.needs_key_frame
    assert generator.next_timeout() is None
    generator.needs_key_frame = False
    generator.receive(1 + jump + 2, 0.0)
    assert not generator.needs_key_frame
    assert generator.lost(1.0) == [jump + 2]


def test_too_much_in_sum_asks_for_a_key_frame_instead() -> None:
    generator = NackGenerator()
    number = 0
    while not generator.needs_key_frame:
        generator.receive(number & 0xFFFF, 0.0)
        assert len(generator.missing) <= MAX_PENDING
        number += 2
    assert generator.missing == []


@given(st.lists(st.integers(-300, 600), max_size=80))
def test_what_is_missing_is_bounded_and_really_missing(steps: list[int]) -> None:
    generator = NackGenerator()
    number = 1000
    seen: set[int] = set()
    for place, step in enumerate(steps):
        number = max(1000, number + step)
        seen.add(number)
        generator.receive(number & 0xFFFF, 0.001 * place)
        assert len(generator.missing) <= MAX_PENDING
        assert not seen.intersection(generator.missing)
        assert not generator.missing or min(seen) < generator.missing[0] <= generator.missing[-1] < max(seen)
