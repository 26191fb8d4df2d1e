"""What is carried and not understood: application packets, and types that are not modelled (RFC 3550 section 6.7)."""

from dataclasses import dataclass

from visiomedia.errors import ParseError
from visiomedia.rtp.rtcp.header import PacketType, pack_packet


@dataclass(frozen=True, slots=True)
class Application:
    """APP: an application's own. ``name``: four ASCII bytes."""

    subtype: int
    ssrc: int
    name: bytes
    data: bytes = b""

    @classmethod
    def parse(cls, count: int, content: bytes) -> "Application":
        """``content``: behind the common header; ``count``: its subtype. Raises: ParseError."""
        if len(content) < 8:
            raise ParseError("application packet", f"{len(content)} bytes, wants 8")
        return cls(count, int.from_bytes(content[:4], "big"), content[4:8], content[8:])

    def serialize(self) -> bytes:
        """One packet. Raises: ValueError."""
        if len(self.name) != 4 or len(self.data) % 4:
            raise ValueError("an application packet wants a name of 4 bytes and data of whole words")
        return pack_packet(PacketType.APPLICATION, self.subtype, self.ssrc.to_bytes(4, "big") + self.name + self.data)


@dataclass(frozen=True, slots=True)
class UnknownPacket:
    """A packet of a type or format that is not modelled, as it came. ``count``: or format, or subtype."""

    packet_type: int
    count: int
    content: bytes

    @classmethod
    def parse(cls, packet_type: int, count: int, content: bytes) -> "UnknownPacket":
        """Whatever ``content`` is; but feedback has at least its two SSRCs. Raises: ParseError."""
        is_feedback = packet_type in (PacketType.TRANSPORT_LAYER_FEEDBACK, PacketType.PAYLOAD_SPECIFIC_FEEDBACK)
        if is_feedback and len(content) < 8:
            raise ParseError("feedback", f"{len(content)} bytes, wants 8")
        return cls(packet_type, count, content)

    def serialize(self) -> bytes:
        """One packet. Raises: ValueError."""
        return pack_packet(self.packet_type, self.count, self.content)
