"""Packets kept for retransmission (RFC 4588), bounded by age and bytes."""

from collections import OrderedDict

from visiomedia.rtp.packet import RtpPacket

MAX_AGE = 2.0
MAX_BYTES = 4 << 20


class PacketHistory:
    """The recent packets of one stream, by sequence number."""

    __slots__ = ("_bytes", "_packets", "max_age", "max_bytes")

    def __init__(self, max_age: float = MAX_AGE, max_bytes: int = MAX_BYTES) -> None:
        self.max_age = max_age
        self.max_bytes = max_bytes
        self._packets: OrderedDict[int, tuple[float, RtpPacket]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._packets)

    def add(self, packet: RtpPacket, now: float) -> None:
        """Keep a packet; a newer one with the same number takes its place."""
        previous = self._packets.pop(packet.sequence_number, None)
        if previous is not None:
            self._bytes -= len(previous[1].payload)
        self._packets[packet.sequence_number] = (now, packet)
        self._bytes += len(packet.payload)
        self._expire(now)

    def find(self, sequence_number: int, now: float) -> RtpPacket | None:
        """The packet with a number, if it is still kept."""
        self._expire(now)
        entry = self._packets.get(sequence_number)
        return None if entry is None else entry[1]

    def _expire(self, now: float) -> None:
        while self._packets:
            added, packet = next(iter(self._packets.values()))
            if now - added <= self.max_age and self._bytes <= self.max_bytes:
                return
            self._packets.popitem(last=False)
            self._bytes -= len(packet.payload)
