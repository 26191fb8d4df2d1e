"""Transport-wide feedback: what arrived is told once, in order and within a tick, whatever the path did to it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.congestion.kernels import REPORT_NS, note_transport_arrival, write_transport_feedback
from visiomedia.congestion.tables import TRANSPORT_ARRIVALS, TRANSPORT_WINDOW
from visiomedia.rtp.rtcp import TransportFeedback, parse_compound
from visiomedia.rtp.rtcp.transport_feedback import CLOCK_TICKS

MS = 1_000_000
SECOND = 1_000_000_000
TICK = 250_000
ROOM = 1200
GUARD = 0xA5


class Receiver:
    """One transport's window, and what its reports said, unwrapped."""

    def __init__(self) -> None:
        self.table = np.zeros(2, TRANSPORT_ARRIVALS)
        self.table["highest"] = -1
        self.table["sequence"] = -1
        self.reports: list[TransportFeedback] = []

    @property
    def window(self) -> Any:
        return self.table[1]

    def receive(self, number: int, at: int, ssrc: int = 7) -> None:
        note_transport_arrival(self.table, 1, number & 0xFFFF, at, ssrc, at)

    def write(self, room: int = ROOM) -> TransportFeedback | None:
        """One report, or None; nothing beyond ``room`` is touched."""
        arena = np.full(64 + room + 64, GUARD, np.uint8)
        length = int(write_transport_feedback(self.table, 1, 0xAABBCCDD, arena, 64, room, 0))
        assert length <= max(room, 0)
        assert (arena[:64] == GUARD).all()
        assert (arena[64 + length :] == GUARD).all()
        if length == 0:
            return None
        (report,) = parse_compound(arena[64 : 64 + length].tobytes())
        assert isinstance(report, TransportFeedback)
        assert report.sender_ssrc == 0xAABBCCDD
        self.reports.append(report)
        return report

    def write_all(self, room: int = ROOM) -> list[TransportFeedback]:
        reports = []
        while self.window.deadline != 0:
            report = self.write(room)
            assert report is not None
            reports.append(report)
        return reports


def arrivals_of(reports: list[TransportFeedback]) -> list[tuple[int, int]]:
    return [arrival for report in reports for arrival in report.received]


def test_a_report_tells_what_came_and_what_did_not() -> None:
    receiver = Receiver()
    for number, at in ((10, 64 * MS), (11, 64 * MS + 2 * TICK), (14, 64 * MS + 300 * TICK), (15, 64 * MS + 299 * TICK)):
        receiver.receive(number, at)
    report = receiver.write()
    assert report == TransportFeedback(0xAABBCCDD, 7, 10, 6, 1, 0, ((0, 0), (1, 2), (4, 300), (5, 299)))
    assert receiver.window.deadline == 0
    assert receiver.write() is None


def test_golden_bytes_of_a_report() -> None:
    receiver = Receiver()
    for number, at in ((10, 64 * MS), (11, 64 * MS + 2 * TICK), (14, 64 * MS + 300 * TICK), (15, 64 * MS + 299 * TICK)):
        receiver.receive(number, at)
    arena = np.zeros(64, np.uint8)
    length = int(write_transport_feedback(receiver.table, 1, 1, arena, 0, 64, 0))
    assert arena[:length].tobytes() == bytes.fromhex(
        "8fcd0006 00000001 00000007 000a 0006 000001 00"
        "d428"  # two bits each: small, small, lost, lost, large, large
        "00 02 012a ffff"
    )


def test_the_base_goes_on_from_the_last_report_so_that_losses_between_are_told() -> None:
    receiver = Receiver()
    receiver.receive(100, SECOND)
    assert [report.base_sequence_number for report in receiver.write_all()] == [100]
    receiver.receive(105, 2 * SECOND)
    (report,) = receiver.write_all()
    assert (report.base_sequence_number, report.lost, report.feedback_count) == (101, [101, 102, 103, 104], 1)


def test_a_packet_that_comes_after_it_was_told_lost_is_told_again() -> None:
    receiver = Receiver()
    receiver.receive(100, SECOND)
    receiver.receive(102, SECOND + MS)
    assert receiver.write_all()[0].lost == [101]
    receiver.receive(101, SECOND + 5 * MS)
    (report,) = receiver.write_all()
    assert report.base_sequence_number == 101
    assert [number for number, _ in report.received] == [101, 102]


def test_a_packet_from_before_the_first_is_told_as_well() -> None:
    receiver = Receiver()
    receiver.receive(0, SECOND)
    receiver.receive(0xFFFF, SECOND + MS)
    (report,) = receiver.write_all()
    assert [number for number, _ in report.received] == [0xFFFF, 0]


def test_the_first_arrival_counts() -> None:
    receiver = Receiver()
    receiver.receive(5, SECOND)
    receiver.receive(5, SECOND + 10 * MS)
    assert arrivals_of(receiver.write_all()) == [(5, 4000)]
    receiver.receive(5, SECOND + 20 * MS)
    assert receiver.window.deadline == 0, "a duplicate asks for no report"


def test_a_report_is_due_a_little_after_the_first_packet_it_tells_of() -> None:
    receiver = Receiver()
    receiver.receive(5, SECOND)
    receiver.receive(6, SECOND + 20 * MS)
    assert receiver.window.deadline == SECOND + REPORT_NS


def test_what_is_older_than_the_window_is_not_told() -> None:
    receiver = Receiver()
    receiver.receive(5000, SECOND)
    receiver.write_all()
    receiver.receive(5000 - TRANSPORT_WINDOW, SECOND + MS)
    assert receiver.window.deadline == 0
    receiver.receive(5001 - TRANSPORT_WINDOW, SECOND + MS)
    assert receiver.window.deadline != 0


def test_a_jump_longer_than_the_window_reports_what_the_window_holds() -> None:
    receiver = Receiver()
    receiver.receive(5, SECOND)
    receiver.receive(30_000, SECOND + MS)
    reports = receiver.write_all()
    assert reports[0].base_sequence_number == 30_001 - TRANSPORT_WINDOW
    assert arrivals_of(reports) == [(30_000, 4004)]


def test_a_pause_too_long_for_a_delta_begins_another_report() -> None:
    receiver = Receiver()
    for number, at in ((1, SECOND), (2, 2 * SECOND), (4, 11 * SECOND)):
        receiver.receive(number, at)
    reports = receiver.write_all()
    assert [(report.base_sequence_number, report.status_count) for report in reports] == [(1, 2), (3, 2)]
    assert arrivals_of(reports) == [(1, 4000), (2, 8000), (4, 44000)]


@pytest.mark.parametrize("wrap", [1 << 23, 1 << 24], ids=["turns negative", "begins again"])
def test_the_reference_time_wraps(wrap: int) -> None:
    start = wrap * 64 * MS - 20 * MS
    receiver = Receiver()
    for number in range(40):
        receiver.receive(number, start + number * MS)
    reports = [receiver.write(40) for _ in range(20)]
    for number, ticks in arrivals_of([report for report in reports if report]):
        assert (ticks - (start + number * MS) // TICK) % CLOCK_TICKS == 0


def test_a_room_that_holds_no_arrival_leaves_everything_as_it_was() -> None:
    receiver = Receiver()
    receiver.receive(1, SECOND)
    before = receiver.table.tobytes()
    for room in (0, 10, 20, 25):
        assert receiver.write(room) is None
    assert receiver.table.tobytes() == before
    assert arrivals_of(receiver.write_all(26)) == [(1, 4000)]


def test_many_losses_before_an_arrival_fit_into_a_small_room() -> None:
    receiver = Receiver()
    receiver.receive(1, SECOND)
    receiver.write_all()
    receiver.receive(1001, SECOND + MS)
    (report,) = receiver.write_all(28)
    assert (report.status_count, report.received) == (1000, [(1001, 4004)])


def test_a_report_without_loss_is_small() -> None:
    receiver = Receiver()
    for number in range(900):
        receiver.receive(number, SECOND + number * MS)
    # A header, a run of 900, 900 bytes of deltas.
    assert len(receiver.write_all(2 * ROOM)) == 1
    receiver = Receiver()
    for number in range(0, 1400, 2):
        receiver.receive(number, SECOND + number * MS)
    # One bit each where every other packet is lost: 700 bytes of deltas, 200 of statuses.
    assert len(receiver.write_all(20 + 400 + 700 + 3)) == 1


steps = st.tuples(
    st.sampled_from([1, 1, 1, 1, 2, 3, 9, 40]),  # how far the number moves on: what lies between is lost
    st.sampled_from([0, 40_000, 250_000, 1_000_000, 70_000_000, 8_150_000_000, 8_300_000_000]),
    st.sampled_from([0, 0, 0, 3, 17]),  # how many others overtake it
    st.booleans(),  # whether a report is written now
)


@given(
    st.integers(0, 0xFFFF),
    st.integers(1, 2**50),
    st.lists(steps, min_size=1, max_size=300),
    st.sampled_from([28, 40, 100, 1200]),
)
def test_reports_give_back_exactly_the_arrivals(
    first: int, start: int, path: list[tuple[int, int, int, bool]], room: int
) -> None:
    """Loss, reordering, wraps of the number and of the clock, any room: each first arrival within a tick."""
    sent: list[tuple[int, int]] = []
    number = first + 0x10000
    for position, (step, _, delay, _) in enumerate(path):
        number += step
        sent.append((position + delay, number))
    receiver = Receiver()
    clock = start
    expected: dict[int, int] = {}
    told: dict[int, int] = {}
    told_lost: set[int] = set()
    highest = oldest = 0
    for (_, number), (_, wait, _, is_report_due) in zip(sorted(sent), path, strict=True):
        clock += wait
        receiver.receive(number, clock)
        if not expected:
            highest = number
            oldest = number
        if number > highest - TRANSPORT_WINDOW:
            expected.setdefault(number, clock)
            highest = max(highest, number)
            oldest = min(oldest, number)
        if is_report_due:
            _collect(receiver.write_all(room), highest, told, told_lost)
    _collect(receiver.write_all(room), highest, told, told_lost)
    assert {number: time // TICK % CLOCK_TICKS for number, time in expected.items()} == told
    # Nothing between the first and the last is left out: what did not come was told as lost.
    assert told_lost >= set(range(oldest, highest + 1)) - set(expected)


def _collect(reports: list[TransportFeedback], highest: int, told: dict[int, int], told_lost: set[int]) -> None:
    for report in reports:
        for number, ticks in report.received:
            index = highest - ((highest - number) & 0xFFFF)
            # What is told again, because one before it came late, came when it was first said to have come.
            assert told.setdefault(index, ticks % CLOCK_TICKS) == ticks % CLOCK_TICKS
        told_lost |= {highest - ((highest - number) & 0xFFFF) for number in report.lost}


def test_feedback_count_wraps_at_eight_bits() -> None:
    receiver = Receiver()
    for number in range(300):
        receiver.receive(number, SECOND + number * MS)
        receiver.write_all()
    assert [report.feedback_count for report in receiver.reports] == [number % 256 for number in range(300)]


def test_other_transports_are_not_touched() -> None:
    receiver = Receiver()
    before = receiver.table[0].tobytes()
    receiver.receive(1, SECOND)
    receiver.write_all()
    assert receiver.table[0].tobytes() == before
