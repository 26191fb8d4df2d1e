"""Which TSNs have come, and messages from fragments, against plain sets and lists."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.sctp.chunks import BEGINNING, END, UNORDERED, Data
from visiomedia.sctp.reassembly import Message, Reassembly
from visiomedia.sctp.received_tsns import ReceivedTsns


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=60))
def test_received_tsns_are_a_set(steps: list[tuple[bool, int]]) -> None:
    received, wanted, cumulative = ReceivedTsns(100), set(range(101)), 100
    for is_forward, offset in steps:
        tsn = 100 + offset
        if is_forward:
            if offset % 7 == 0:
                received.forward(tsn)
                wanted |= set(range(tsn + 1))
        else:
            assert (tsn in received) == (tsn in wanted)
            if tsn not in wanted:
                received.add(tsn)
                wanted.add(tsn)
        while cumulative + 1 in wanted:
            cumulative += 1
        assert received.cumulative == cumulative
        assert received.highest == max(wanted)
        assert received.has_gaps == (max(wanted) > cumulative)
        blocks = [(first + cumulative, last + cumulative) for first, last in received.gaps(100)]
        assert [tsn for first, last in blocks for tsn in range(first, last + 1)] == sorted(
            tsn for tsn in wanted if tsn > cumulative
        )
        assert all(one[1] + 1 < other[0] for one, other in pairwise(blocks))


def fragments(messages: list[tuple[int, bool, int]]) -> list[tuple[int, Data, int]]:
    """TSN, chunk and the message's index of each fragment. Messages: stream, whether ordered, parts."""
    numbers: dict[int, int] = {}
    chunks = []
    tsn = 1000
    for index, (stream, is_ordered, parts) in enumerate(messages):
        number = numbers.get(stream, 0) if is_ordered else 0
        if is_ordered:
            numbers[stream] = number + 1
        for part in range(parts):
            flags = (0 if is_ordered else UNORDERED) | (BEGINNING if part == 0 else 0)
            flags |= END if part == parts - 1 else 0
            chunks.append((tsn, Data(flags, tsn, stream, number, 53, f"{index}.{part} ".encode()), index))
            tsn += 1
    return chunks


@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(1, 5)), min_size=1, max_size=12),
    st.integers(0, 1 << 30),
)
def test_fragments_in_any_order_make_the_messages_that_were_sent(
    messages: list[tuple[int, bool, int]], seed: int
) -> None:
    reassembly = Reassembly()
    chunks = fragments(messages)
    random.Random(seed).shuffle(chunks)
    delivered: list[Message] = []
    for tsn, chunk, _ in chunks:
        assert reassembly.is_consistent(chunk, tsn)
        delivered += reassembly.add(chunk, tsn)
    texts = ["".join(f"{index}.{part} " for part in range(parts)) for index, (_, _, parts) in enumerate(messages)]
    assert sorted(message.data.decode() for message in delivered) == sorted(texts)
    for stream in range(3):
        ordered = [texts[index] for index, (s, is_ordered, _) in enumerate(messages) if s == stream and is_ordered]
        assert [m.data.decode() for m in delivered if m.data.decode() in ordered] == ordered
    assert reassembly.held == 0


@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(1, 4)), min_size=2, max_size=10),
    st.data(),
)
def test_what_is_given_up_is_skipped_and_nothing_is_held(
    messages: list[tuple[int, bool, int]], data: st.DataObject
) -> None:
    lost = data.draw(st.sets(st.integers(0, len(messages) - 1)))
    reassembly = Reassembly()
    delivered = []
    chunks = fragments(messages)
    for tsn, chunk, index in chunks:
        # Of a lost message every second fragment is missing.
        if index not in lost or tsn % 2:
            if index in lost and chunk.flags & BEGINNING and chunk.flags & END:
                continue
            delivered += reassembly.add(chunk, tsn)
    skipped = {
        chunk.stream_id: chunk.stream_sequence_number
        for _, chunk, index in chunks
        if index in lost and not chunk.flags & UNORDERED
    }
    delivered += reassembly.forward(chunks[-1][0], list(skipped.items()))
    whole = [index for index in range(len(messages)) if index not in lost]
    assert sorted(int(message.data.split(b".")[0]) for message in delivered) == whole
    assert reassembly.held == 0


def test_a_reset_stream_begins_at_zero_and_drops_what_waited() -> None:
    reassembly = Reassembly()
    assert reassembly.add(Data(3, 1, 5, 0, 53, b"a"), 1)
    assert reassembly.add(Data(3, 3, 5, 2, 53, b"c"), 3) == []
    assert reassembly.held > 0
    reassembly.reset([5])
    assert reassembly.held == 0
    assert [message.data for message in reassembly.add(Data(3, 4, 5, 0, 53, b"d"), 4)] == [b"d"]


def test_a_message_whose_turn_was_skipped_is_dropped() -> None:
    reassembly = Reassembly()
    assert reassembly.forward(10, [(5, 4)]) == []
    assert reassembly.add(Data(3, 11, 5, 3, 53, b"late"), 11) == []
    assert [message.data for message in reassembly.add(Data(3, 12, 5, 5, 53, b"next"), 12)] == [b"next"]
    assert reassembly.held == 0


@pytest.mark.parametrize(
    "second",
    [
        Data(0, 2, 6, 0, 53, b"other stream"),
        Data(0, 2, 5, 1, 53, b"other number"),
        Data(UNORDERED, 2, 5, 0, 53, b"unordered"),
    ],
)
def test_a_fragment_of_another_message_in_the_midst_is_inconsistent(second: Data) -> None:
    reassembly = Reassembly()
    reassembly.add(Data(BEGINNING, 1, 5, 0, 53, b"a"), 1)
    assert not reassembly.is_consistent(second, 2)
    assert reassembly.is_consistent(Data(0, 2, 5, 0, 53, b"b"), 2)
