"""Reception statistics: what report blocks say of loss, reordering, jitter and sender reports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.rtp.rtcp import ReportBlock
from visiomedia.rtp.statistics import MAX_DROPOUT, MAX_MISORDER, ReceptionStatistics

CLOCK = 90_000


def given_packets(sequence_numbers: list[int], start: float = 0.0) -> ReceptionStatistics:
    """Every packet of a constant delay, 20 ms apart."""
    statistics = ReceptionStatistics(1, CLOCK)
    for place, number in enumerate(sequence_numbers):
        statistics.receive(number, 1800 * place, start + 0.02 * place)
    return statistics


def test_nothing_received_reports_nothing() -> None:
    assert ReceptionStatistics(7, CLOCK).report(5.0) == ReportBlock(7, 0, 0, 0, 0)


def test_first_packet_counts_without_probation() -> None:
    statistics = given_packets([1000])
    assert (statistics.expected, statistics.received) == (1, 1)
    assert statistics.report(0.0) == ReportBlock(1, 0, 0, 1000, 0)


def test_highest_number_is_extended_by_its_cycles() -> None:
    statistics = given_packets([0xFFFE, 0xFFFF, 0, 1])
    assert statistics.report(0.0).highest_sequence_number == 0x10001
    assert statistics.expected == 4


def test_a_late_packet_of_the_cycle_before_is_no_new_cycle() -> None:
    statistics = given_packets([0xFFFE, 0, 0xFFFF, 1])
    assert statistics.report(0.0) == ReportBlock(1, 0, 0, 0x10001, 0)


def test_fraction_lost_is_of_the_interval_and_loss_of_all_time() -> None:
    # RFC 3550 appendix A.3: 2 of 8 are a quarter, 64 of 256; afterwards 1 of 4.
    statistics = given_packets([0, 1, 3, 4, 6, 7])
    block = statistics.report(1.0)
    assert (block.fraction_lost, block.cumulative_lost) == (64, 2)
    for number in (8, 10, 11):
        statistics.receive(number, 0, 1.0)
    block = statistics.report(2.0)
    assert (block.fraction_lost, block.cumulative_lost) == (64, 3)
    block = statistics.report(3.0)
    assert (block.fraction_lost, block.cumulative_lost) == (0, 3)


def test_duplicates_make_loss_negative_and_the_fraction_zero() -> None:
    statistics = given_packets([5, 5, 5, 6])
    block = statistics.report(0.0)
    assert (block.fraction_lost, block.cumulative_lost) == (0, -2)


def test_all_but_one_lost_is_255_at_most() -> None:
    assert given_packets([0, 2999]).report(0.0).fraction_lost == 255


@pytest.mark.parametrize("far", [MAX_DROPOUT, 30_000, -MAX_MISORDER - 5])
def test_a_stray_packet_far_from_the_others_does_not_count(far: int) -> None:
    statistics = given_packets([5000, 5001, 5001 + far, 5002, 5003 + far, 5003])
    assert statistics.report(0.0) == ReportBlock(1, 0, 0, 5003, 0)
    assert statistics.received == 4


@pytest.mark.parametrize("far", [MAX_DROPOUT, 30_000, -MAX_MISORDER - 5])
def test_two_in_a_row_far_from_the_others_begin_anew(far: int) -> None:
    statistics = given_packets([5000, 5002, *(5002 + far + number for number in (0, 1, 2, 4))])
    assert statistics.report(0.0) == ReportBlock(1, 64, 1, 5006 + far, 0)
    assert (statistics.first, statistics.received) == (5003 + far, 3)


@pytest.mark.parametrize("near", [MAX_DROPOUT - 1, -MAX_MISORDER])
def test_loss_and_repair_within_bounds_are_no_new_beginning(near: int) -> None:
    statistics = given_packets([4000, 5001, 5001 + near, 5002 + near])
    assert statistics.first == 4000
    assert statistics.received == 4


def test_a_constant_delay_has_no_jitter() -> None:
    assert given_packets(list(range(100)), start=1000.0).jitter < 1.0


def test_jitter_of_rfc_3550_appendix_a_8() -> None:
    # Packets of 20 ms; the second comes 10 ms late: D = 900, J = 900/16; then D = 900 back again.
    statistics = ReceptionStatistics(1, CLOCK)
    statistics.receive(0, 0, 0.0)
    statistics.receive(1, 1800, 0.030)
    assert statistics.jitter == 900 / 16
    statistics.receive(2, 3600, 0.040)
    assert statistics.jitter == 900 / 16 + (900 - 900 / 16) / 16
    assert statistics.report(0.0).jitter == int(900 / 16 + (900 - 900 / 16) / 16)


def test_a_timestamp_that_wraps_is_no_jitter() -> None:
    statistics = ReceptionStatistics(1, CLOCK)
    statistics.receive(0, 0xFFFFFFFF - 899, 0.0)
    statistics.receive(1, 900, 0.020)
    assert statistics.jitter == 0


def test_a_timestamp_that_jumps_says_nothing_of_the_network() -> None:
    statistics = ReceptionStatistics(1, CLOCK)
    statistics.receive(0, 0, 0.0)
    statistics.receive(1, 1 << 30, 0.020)
    assert statistics.jitter == 0


def test_sender_report_is_told_back_with_its_age() -> None:
    statistics = given_packets([0])
    assert statistics.report(1.0).last_report == 0
    statistics.receive_sender_report(0x1122_3344_5566_7788, 2.0)
    block = statistics.report(3.5)
    assert (block.last_report, block.delay_since_last_report) == (0x3344_5566, 3 << 15)


@given(st.integers(0, 0xFFFF), st.lists(st.integers(1, 50), max_size=50), st.data())
def test_counts_are_those_of_the_unbounded_numbers(first: int, steps: list[int], data: st.DataObject) -> None:
    numbers = [first]
    for step in steps:
        numbers.append(numbers[-1] + step)
    # Neighbours change places, but the first.
    for place in range(1, len(numbers) - 1, 2):
        if data.draw(st.booleans()):
            numbers[place], numbers[place + 1] = numbers[place + 1], numbers[place]
    statistics = given_packets([number & 0xFFFF for number in numbers])
    block = statistics.report(0.0)
    assert block.highest_sequence_number == max(numbers)
    assert block.cumulative_lost == max(numbers) - first + 1 - len(numbers)
    assert ReportBlock.parse(block.serialize()) == block
