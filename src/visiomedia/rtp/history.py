"""Packets kept for retransmission (RFC 4585 section 6.2.1, RFC 4588), bounded by age and bytes."""

from collections import OrderedDict
from dataclasses import dataclass

from visiomedia.rtp.packet import RtpPacket

MAX_AGE = 2.0
"""Seconds."""

MAX_BYTES = 4 << 20
PACKET_OVERHEAD = 256
"""Bytes that a packet counts beside its payload."""


@dataclass(slots=True)
class _Kept:
    packet: RtpPacket
    added: float
    sent_again: float | None = None


class PacketHistory:
    """The recent packets of one stream, by 16-bit sequence number."""

    __slots__ = ("_bytes", "_packets", "max_age", "max_bytes")

    def __init__(self, max_age: float = MAX_AGE, max_bytes: int = MAX_BYTES) -> None:
        self.max_age = max_age
        self.max_bytes = max_bytes
        self._packets: OrderedDict[int, _Kept] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._packets)

    def add(self, packet: RtpPacket, now: float) -> None:
        """Keep a packet; a newer one with the same number takes its place."""
        previous = self._packets.pop(packet.sequence_number, None)
        if previous is not None:
            self._bytes -= _size(previous.packet)
        self._packets[packet.sequence_number] = _Kept(packet, now)
        self._bytes += _size(packet)
        self._expire(now)

    def find(self, sequence_number: int, now: float) -> RtpPacket | None:
        """The packet with a number, if it is still kept."""
        kept = self._find(sequence_number, now)
        return None if kept is None else kept.packet

    def retransmit(self, sequence_number: int, now: float, round_trip: float = 0.0) -> RtpPacket | None:
        """The packet to answer a NACK with; None where it is gone, or is on its way since less than a round trip."""
        kept = self._find(sequence_number, now)
        if kept is None or (kept.sent_again is not None and now - kept.sent_again < round_trip):
            return None
        kept.sent_again = now
        return kept.packet

    def _find(self, sequence_number: int, now: float) -> _Kept | None:
        self._expire(now)
        return self._packets.get(sequence_number)

    def _expire(self, now: float) -> None:
        while self._packets:
            kept = next(iter(self._packets.values()))
            if now - kept.added <= self.max_age and self._bytes <= self.max_bytes:
                return
            self._packets.popitem(last=False)
            self._bytes -= _size(kept.packet)


def _size(packet: RtpPacket) -> int:
    return len(packet.payload) + PACKET_OVERHEAD
