"""Chunks into packets: bundling (RFC 9260 section 6.10)."""

from collections.abc import Iterator

from visiomedia.sctp.packet import HEADER_SIZE


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
