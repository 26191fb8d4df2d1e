"""Chunks into packets: bundling (RFC 9260 section 6.10)."""

from collections import Counter, deque
from collections.abc import Iterator

from visiomedia.sctp.packet import HEADER_SIZE

MAX_QUEUED = 64
"""Answers that wait to be fetched: a flood of requests costs no more memory than this."""


class PacketFiller:
    """Fills packets with serialized chunks in order. ``room``: what the packet being filled still takes."""

    __slots__ = ("_chunks", "_full", "_limit", "room")

    def __init__(self, limit: int) -> None:
        self._limit = limit - HEADER_SIZE
        self._full: list[list[bytes]] = []
        self._chunks: list[bytes] = []
        self.room = self._limit

    @property
    def is_fresh(self) -> bool:
        """Whether nothing is in the packet yet."""
        return not self._chunks

    def add(self, chunk: bytes) -> None:
        """Append a chunk, in a packet of its own if there is not room."""
        if len(chunk) > self.room and self._chunks:
            self.begin_packet()
        self._chunks.append(chunk)
        self.room -= len(chunk)

    def begin_packet(self) -> None:
        """What follows goes into the next packet."""
        self._full.append(self._chunks)
        self._chunks, self.room = [], self._limit

    def packets(self) -> Iterator[list[bytes]]:
        """The chunks of each packet."""
        yield from self._full
        if self._chunks:
            yield self._chunks


class ControlQueue:
    """Chunks of control that leave with the next packets. Bounded: what is too much or too large is counted."""

    __slots__ = ("_chunks", "_counters", "_limit")

    def __init__(self, limit: int, counters: Counter[str]) -> None:
        self._limit = limit - HEADER_SIZE
        self._counters = counters
        self._chunks: deque[bytes] = deque()

    def append(self, chunk: bytes) -> None:
        """Last of all. A heartbeat sent back must fit a packet of ours."""
        if len(self._chunks) >= MAX_QUEUED or len(chunk) > self._limit:
            self._counters["control_overflow"] += 1
        else:
            self._chunks.append(chunk)

    def clear(self) -> None:
        """Nothing is sent any more."""
        self._chunks.clear()

    def fill(self, filler: PacketFiller) -> None:
        """Move all of it into packets."""
        while self._chunks:
            filler.add(self._chunks.popleft())
