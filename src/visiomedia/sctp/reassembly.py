"""Fragments to messages, and messages into their stream's order (RFC 9260 sections 6.5, 6.6 and 6.9)."""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from visiomedia.rtp.sequence import distance
from visiomedia.sctp.chunks import BEGINNING, END, UNORDERED, Data

OVERHEAD = 64
"""Bytes that something held costs beyond its data, roughly, in Python."""

RUN_OVERHEAD = 1024
STREAM_OVERHEAD = 512
"""What a run of fragments, and a stream on which something waits, cost by being there. An honest peer has few of
either; one that sends a byte on every stream would otherwise hold fifteen times the window in memory."""


class Message(NamedTuple):
    """A whole message, as its stream delivers it."""

    stream_id: int
    payload_protocol_id: int
    data: bytes

    @property
    def cost(self) -> int:
        """What it takes of the window until it is read."""
        return len(self.data) + OVERHEAD


@dataclass(slots=True)
class _Run:
    """Fragments with consecutive TSNs of one message."""

    first: int
    last: int
    parts: deque[bytes]
    size: int
    stream_id: int
    stream_sequence_number: int
    flags: int
    """Of the first fragment BEGINNING, of the last one END, of all UNORDERED."""
    payload_protocol_id: int

    def belongs_with(self, chunk: Data) -> bool:
        return (
            self.stream_id == chunk.stream_id
            and self.stream_sequence_number == chunk.stream_sequence_number
            and (self.flags ^ chunk.flags) & UNORDERED == 0
        )


class Reassembly:
    """Holds what is not deliverable yet. TSNs are extended; ``held`` is what it all costs.

    A stream that was spoken on leaves its next sequence number here: 65,535 streams are the bound of that.
    """

    __slots__ = ("_by_first", "_by_last", "_next_numbers", "_waiting", "held")

    def __init__(self) -> None:
        self._by_first: dict[int, _Run] = {}
        self._by_last: dict[int, _Run] = {}
        self._next_numbers: dict[int, int] = {}
        self._waiting: dict[int, dict[int, Message]] = {}
        self.held = 0

    def is_consistent(self, chunk: Data, tsn: int) -> bool:
        """Whether the chunk may stand between its neighbours: fragments of a message have consecutive TSNs."""
        left = None if chunk.flags & BEGINNING else self._by_last.get(tsn - 1)
        right = None if chunk.flags & END else self._by_first.get(tsn + 1)
        if left is not None and (left.flags & END or not left.belongs_with(chunk)):
            return False
        return right is None or (not right.flags & BEGINNING and right.belongs_with(chunk))

    def has_fragment_before(self, tsn: int) -> bool:
        """Whether the TSN before this one is a fragment that waits for more."""
        return tsn - 1 in self._by_last

    def size_with(self, chunk: Data, tsn: int) -> int:
        """Bytes of the message as far as it would be there with this chunk."""
        left = None if chunk.flags & BEGINNING else self._by_last.get(tsn - 1)
        right = None if chunk.flags & END else self._by_first.get(tsn + 1)
        return len(chunk.user_data) + (left.size if left else 0) + (right.size if right else 0)

    def add(self, chunk: Data, tsn: int) -> list[Message]:
        """Take a chunk that is new and consistent; returns what can be delivered now, in order."""
        if chunk.flags & (BEGINNING | END) == BEGINNING | END:
            message = Message(chunk.stream_id, chunk.payload_protocol_id, chunk.user_data)
            return self._complete(message, chunk.stream_sequence_number, bool(chunk.flags & UNORDERED))
        run = self._join(chunk, tsn)
        if run.flags & (BEGINNING | END) != BEGINNING | END:
            return []
        self._remove(run)
        message = Message(run.stream_id, run.payload_protocol_id, b"".join(run.parts))
        return self._complete(message, run.stream_sequence_number, bool(run.flags & UNORDERED))

    def _join(self, chunk: Data, tsn: int) -> _Run:
        """Put a fragment into the run that it belongs to, which may close the gap to the next one."""
        data = chunk.user_data
        self.held += len(data) + OVERHEAD
        left = None if chunk.flags & BEGINNING else self._by_last.pop(tsn - 1, None)
        right = None if chunk.flags & END else self._by_first.pop(tsn + 1, None)
        if left is None and right is None:
            self.held += RUN_OVERHEAD
            run = _Run(
                tsn,
                tsn,
                deque((data,)),
                len(data),
                chunk.stream_id,
                chunk.stream_sequence_number,
                chunk.flags,
                chunk.payload_protocol_id,
            )
        elif left is not None:
            run = left
            run.parts.append(data)
            run.size += len(data)
            run.last = tsn
            run.flags |= chunk.flags & END
            if right is not None:
                self.held -= RUN_OVERHEAD
                run = _merged(left, right)
        else:
            assert right is not None, "one of the two is there"
            run = right
            run.parts.appendleft(data)
            run.size += len(data)
            run.first = tsn
            run.flags |= chunk.flags & BEGINNING
            run.payload_protocol_id = chunk.payload_protocol_id
        self._by_first[run.first] = run
        self._by_last[run.last] = run
        return run

    def _remove(self, run: _Run) -> None:
        del self._by_first[run.first], self._by_last[run.last]
        self.held -= run.size + len(run.parts) * OVERHEAD + RUN_OVERHEAD

    def _complete(self, message: Message, number: int, is_unordered: bool) -> list[Message]:
        if is_unordered:
            return [message]
        ahead = distance(number, self._next_numbers.get(message.stream_id, 0))
        if ahead < 0:
            return []  # its turn was skipped by a FORWARD-TSN
        if ahead > 0:
            waiting = self._waiting.get(message.stream_id)
            if waiting is None:
                waiting = self._waiting[message.stream_id] = {}
                self.held += STREAM_OVERHEAD
            # Two messages of one number: the peer is at fault, and the first one stays.
            if number not in waiting:
                waiting[number] = message
                self.held += message.cost
            return []
        self._next_numbers[message.stream_id] = (number + 1) & 0xFFFF
        return [message, *self._due(message.stream_id)] if message.stream_id in self._waiting else [message]

    def _due(self, stream_id: int) -> list[Message]:
        """What waited on a stream for the number that is next now."""
        waiting = self._waiting.get(stream_id)
        if waiting is None:
            return []
        number = self._next_numbers[stream_id]
        messages = []
        while (message := waiting.pop(number, None)) is not None:
            messages.append(message)
            self.held -= message.cost
            number = (number + 1) & 0xFFFF
        self._next_numbers[stream_id] = number
        if not waiting:
            self._forget_waiting(stream_id)
        return messages

    def _forget_waiting(self, stream_id: int) -> dict[int, Message]:
        """What waited on a stream, which is no longer counted as one where something waits."""
        waiting = self._waiting.pop(stream_id, None)
        if waiting is None:
            return {}
        self.held -= STREAM_OVERHEAD
        return waiting

    def forward(self, cumulative: int, streams: list[tuple[int, int]]) -> list[Message]:
        """The peer has given up all up to ``cumulative``; returns what waited for that (RFC 3758 section 3.6)."""
        for run in [run for run in self._by_first.values() if run.first <= cumulative]:
            self._remove(run)
        messages = []
        for stream_id, number in streams:
            if distance(number, self._next_numbers.get(stream_id, 0)) < 0:
                continue
            # What is whole and precedes the skipped number is delivered; it came before what was given up.
            waiting = self._waiting.get(stream_id, {})
            for early in sorted(
                (held for held in waiting if distance(held, number) <= 0), key=lambda held: distance(held, number)
            ):
                message = waiting.pop(early)
                self.held -= message.cost
                messages.append(message)
            self._next_numbers[stream_id] = (number + 1) & 0xFFFF
            messages += self._due(stream_id)
            if not waiting:
                self._forget_waiting(stream_id)
        return messages

    def reset(self, streams: list[int]) -> None:
        """Streams begin again at sequence number 0; none named means all (RFC 6525 section 5.2.2)."""
        for stream_id in streams or list(self._next_numbers.keys() | self._waiting.keys()):
            self._next_numbers.pop(stream_id, None)
            for message in self._forget_waiting(stream_id).values():
                self.held -= message.cost


def _merged(left: _Run, right: _Run) -> _Run:
    """One run of both, made by moving the shorter one's parts."""
    if len(left.parts) >= len(right.parts):
        left.parts.extend(right.parts)
        parts = left.parts
    else:
        right.parts.extendleft(reversed(left.parts))
        parts = right.parts
    return _Run(
        left.first,
        right.last,
        parts,
        left.size + right.size,
        left.stream_id,
        left.stream_sequence_number,
        left.flags | right.flags & END,
        left.payload_protocol_id,
    )
