"""Messages on their way out, and their chunks in flight."""

from collections.abc import Iterator
from dataclasses import dataclass

OVERHEAD = 64
"""Bytes that a message costs beyond its data, roughly, in Python."""


@dataclass(slots=True)
class OutgoingMessage:
    """A user message, sent chunk by chunk. TSNs and the stream's number are its own once its first chunk leaves.

    ``expires_at``: monotonic seconds; it and ``max_retransmits`` are how long the message is worth sending
    (RFC 7496). ``is_buffered``: counts in the channel's buffered amount.
    """

    stream_id: int
    payload_protocol_id: int
    data: bytes
    is_ordered: bool = True
    max_retransmits: int | None = None
    expires_at: float | None = None
    is_buffered: bool = False
    sent: int = 0
    first_tsn: int = -1
    last_tsn: int = -1
    stream_sequence_number: int = 0

    @property
    def is_reliable(self) -> bool:
        """Whether it is sent until it arrives."""
        return self.max_retransmits is None and self.expires_at is None

    @property
    def cost(self) -> int:
        """What it takes of the send buffer."""
        return len(self.data) + OVERHEAD

    def tsns(self) -> Iterator[int]:
        """Of the chunks that have left."""
        return iter(range(self.first_tsn, self.last_tsn + 1)) if self.first_tsn >= 0 else iter(())


@dataclass(slots=True)
class SentChunk:
    """A chunk that has left and is not acknowledged for good. ``start`` and ``end``: where in the message it lies."""

    message: OutgoingMessage
    start: int
    end: int
    flags: int
    transmissions: int = 0
    misses: int = 0
    is_in_flight: bool = False
    was_fast_retransmitted: bool = False

    @property
    def size(self) -> int:
        """Bytes on the wire, padding included: what congestion and flow control count."""
        return 16 + (self.end - self.start + 3 & ~3)

    @property
    def cost(self) -> int:
        """What of the message's cost ends with this chunk."""
        return self.end - self.start + (OVERHEAD if self.end == len(self.message.data) else 0)
