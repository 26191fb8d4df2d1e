"""What is missing, when it is asked for, and when it is given up."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.rtp.nack_kernels import collect_nacks, next_nack, note_arrival
from visiomedia.rtp.rtcp import unpack_lost
from visiomedia.rtp.tables import NACK_LIST, NACK_PENDING

MS = 1_000_000
START = 10**12


class List:
    """One source's list, driven by hand."""

    def __init__(self) -> None:
        self.table = np.zeros(2, NACK_LIST)
        self.table["highest"] = -1

    @property
    def entry(self) -> Any:
        return self.table[1]

    def receive(self, *indices: int, at: int = START) -> None:
        for index in indices:
            note_arrival(self.table, 1, index, at)

    def ask(self, at: int, rtt: int = 0, room: int = 64) -> list[int]:
        out = np.zeros((room, 2), np.int64)
        count = int(collect_nacks(self.table, 1, at, rtt, out))
        assert (out[count:] == 0).all()
        return unpack_lost((int(pid), int(mask)) for pid, mask in out[:count])

    def next(self, rtt: int = 0) -> int:
        return int(next_nack(self.table, 1, rtt))


def test_nothing_is_missing_where_everything_came() -> None:
    nacks = List()
    nacks.receive(*range(70_000, 70_100))
    assert (nacks.ask(START), nacks.next()) == ([], 0)


def test_a_gap_is_asked_for_once_it_can_no_longer_be_mere_reordering() -> None:
    nacks = List()
    nacks.receive(10, 12)
    assert nacks.ask(START + 5 * MS - 1) == []
    assert nacks.next() == START + 5 * MS
    assert nacks.ask(START + 5 * MS) == [11]


def test_a_gap_is_asked_for_at_once_when_three_newer_packets_have_come() -> None:
    nacks = List()
    nacks.receive(10, 12, 13)
    assert nacks.ask(START) == []
    nacks.receive(14)
    assert nacks.next() <= START
    assert nacks.ask(START) == [11]


def test_what_came_late_is_asked_for_no_more() -> None:
    nacks = List()
    nacks.receive(10, 14, 11, 13)
    assert nacks.ask(START + 5 * MS) == [12]
    nacks.receive(12)
    assert (nacks.ask(START + 100 * MS), nacks.next()) == ([], 0)


@pytest.mark.parametrize(("rtt", "repeat"), [(0, 40 * MS), (10 * MS, 40 * MS), (200 * MS, 200 * MS)])
def test_a_request_is_repeated_after_a_round_trip_and_at_least_40_ms(rtt: int, repeat: int) -> None:
    nacks = List()
    nacks.receive(10, 20)
    first = START + 5 * MS
    assert nacks.ask(first, rtt) == list(range(11, 20))
    assert nacks.next(rtt) == first + repeat
    assert nacks.ask(first + repeat - 1, rtt) == []
    assert nacks.ask(first + repeat, rtt) == list(range(11, 20))


def test_a_packet_is_given_up_after_ten_requests() -> None:
    nacks = List()
    nacks.receive(10, 12)
    asked = [nacks.ask(START + tenth * 45 * MS) for tenth in range(1, 15)]
    assert asked == [[11]] * 10 + [[]] * 4
    assert nacks.next() == 0


def test_a_packet_is_given_up_after_a_second() -> None:
    nacks = List()
    nacks.receive(10, 12)
    assert nacks.ask(START + 1000 * MS, 300 * MS) == [11]
    assert nacks.ask(START + 1301 * MS, 300 * MS) == []
    assert nacks.entry.count == 0


def test_the_newest_first_packet_decides_where_loss_begins() -> None:
    nacks = List()
    nacks.receive(500, 499, 498)
    assert nacks.ask(START + 50 * MS) == []


@pytest.mark.parametrize("jump", [NACK_PENDING + 2, 1002, 40_000])
def test_a_jump_that_repair_cannot_fill_asks_for_a_key_frame_instead(jump: int) -> None:
    nacks = List()
    nacks.receive(10, 12, 12 + jump)
    assert (nacks.entry.overflowed, nacks.entry.count, nacks.entry.highest) == (1, 0, 12 + jump)
    assert nacks.ask(START + 50 * MS) == []
    assert 0 < nacks.next() <= START, "the owner is called, to ask for a key frame"
    nacks.receive(11, 14 + jump)
    assert nacks.ask(START + 50 * MS) == [(13 + jump) & 0xFFFF]


def test_as_many_as_the_list_holds_are_repaired() -> None:
    nacks = List()
    nacks.receive(0, NACK_PENDING + 1)
    assert nacks.entry.overflowed == 0
    assert nacks.ask(START + 5 * MS) == list(range(1, NACK_PENDING + 1))
    nacks.receive(NACK_PENDING + 3)
    assert (nacks.entry.overflowed, nacks.entry.count) == (1, 0)


def test_what_does_not_fit_into_one_message_is_asked_for_in_the_next() -> None:
    nacks = List()
    nacks.receive(0, 100)
    assert nacks.ask(START + 5 * MS, room=2) == list(range(1, 35))
    assert nacks.next() <= START + 5 * MS
    assert nacks.ask(START + 5 * MS, room=64) == list(range(35, 100))


def test_sequence_numbers_wrap_in_the_message_only() -> None:
    nacks = List()
    nacks.receive(0x1FFFE, 0x20003)
    out = np.zeros((4, 2), np.int64)
    assert collect_nacks(nacks.table, 1, START + 5 * MS, 0, out) == 1
    assert out[0].tolist() == [0xFFFF, 0b111]


def test_other_sources_are_not_touched() -> None:
    nacks = List()
    before = nacks.table[0].tobytes()
    nacks.receive(0, 100)
    nacks.ask(START + 5 * MS)
    assert nacks.table[0].tobytes() == before


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3)), max_size=120), st.integers(0, 2**40))
def test_exactly_what_never_came_is_asked_for(path: list[tuple[int, int]], first: int) -> None:
    """Steps that lose, delays that reorder: once all is quiet, the list is what lies between and did not come."""
    sent, index = [(0, first)], first
    for position, (step, delay) in enumerate(path):
        index += step if step > 27 else 1
        sent.append((position + delay, index))
    order = [index for _, index in sorted(sent)]
    nacks = List()
    highest, missing, is_hopeless = order[0], set[int](), False
    for index in order:
        nacks.receive(index)
        if index < highest:
            missing.discard(index)
            continue
        gap = set(range(highest + 1, index))
        if len(missing) + len(gap) > NACK_PENDING:
            missing, is_hopeless = set(), True
        else:
            missing |= gap
        highest = index
    assert nacks.ask(START + 5 * MS) == [index & 0xFFFF for index in sorted(missing)]
    assert bool(nacks.entry.overflowed) == is_hopeless
