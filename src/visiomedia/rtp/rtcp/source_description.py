"""Who is here and who leaves: source descriptions and goodbyes (RFC 3550 sections 6.5 and 6.6)."""

import struct
from dataclasses import dataclass
from enum import IntEnum

from visiomedia.errors import ParseError
from visiomedia.rtp.rtcp.header import PacketType, pack_packet


class ItemType(IntEnum):
    """Kinds of source description item (RFC 3550 section 12.2, RFC 9143, RFC 8852)."""

    CNAME = 1
    NAME = 2
    EMAIL = 3
    PHONE = 4
    LOC = 5
    TOOL = 6
    NOTE = 7
    PRIV = 8
    RTP_STREAM_ID = 12
    REPAIRED_RTP_STREAM_ID = 13
    MID = 15


@dataclass(frozen=True, slots=True)
class SourceChunk:
    """What one SSRC says of itself: (item type, value) pairs in order."""

    ssrc: int
    items: tuple[tuple[int, bytes], ...] = ()

    def value(self, item_type: int) -> bytes | None:
        """The first value of a type, or None."""
        return next((value for kind, value in self.items if kind == item_type), None)


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """SDES: chunks by SSRC."""

    chunks: tuple[SourceChunk, ...] = ()

    @classmethod
    def of_cname(cls, ssrc: int, cname: str) -> "SourceDescription":
        """The one item that every compound packet has to have."""
        return cls((SourceChunk(ssrc, ((ItemType.CNAME, cname.encode()),)),))

    @classmethod
    def parse(cls, count: int, content: bytes) -> "SourceDescription":
        """``content``: behind the common header. Raises: ParseError."""
        chunks: list[SourceChunk] = []
        at, end = 0, len(content)
        for _ in range(count):
            if at + 4 > end:
                raise ParseError("source description", "chunk is cut short")
            ssrc = int.from_bytes(content[at : at + 4], "big")
            at += 4
            items: list[tuple[int, bytes]] = []
            while at < end and content[at] != 0:
                stop = at + 2 + content[at + 1] if at + 2 <= end else end + 1
                if stop > end:
                    raise ParseError("source description", "item is cut short")
                items.append((content[at], content[at + 2 : stop]))
                at = stop
            # "The list of items in each chunk MUST be terminated by one or more null octets ... additional null
            # octets MUST be included if needed to pad until the next 32-bit boundary."
            if at >= end:
                raise ParseError("source description", "chunk is not terminated")
            at = (at + 4) & ~3
            chunks.append(SourceChunk(ssrc, tuple(items)))
        return cls(tuple(chunks))

    def serialize(self) -> bytes:
        """One packet. Raises: ValueError, so of an item over 255 bytes or more than 31 chunks."""
        content = b""
        for chunk in self.chunks:
            content += chunk.ssrc.to_bytes(4, "big")
            for kind, value in chunk.items:
                if not 0 < kind <= 255 or len(value) > 255:
                    raise ValueError(f"item {kind} of {len(value)} bytes does not fit")
                content += bytes([kind, len(value)]) + value
            content += bytes(4 - len(content) % 4)
        return pack_packet(PacketType.SOURCE_DESCRIPTION, len(self.chunks), content)


@dataclass(frozen=True, slots=True)
class Goodbye:
    """BYE: these SSRCs end."""

    ssrcs: tuple[int, ...]
    reason: bytes = b""

    @classmethod
    def parse(cls, count: int, content: bytes) -> "Goodbye":
        """``content``: behind the common header. Raises: ParseError."""
        at = 4 * count
        if len(content) < at:
            raise ParseError("goodbye", f"{count} SSRCs in {len(content)} bytes")
        ssrcs = struct.unpack_from(f"!{count}I", content)
        if at == len(content):
            return cls(ssrcs)
        stop = at + 1 + content[at]
        if stop > len(content):
            raise ParseError("goodbye", "reason is cut short")
        return cls(ssrcs, content[at + 1 : stop])

    def serialize(self) -> bytes:
        """One packet. Raises: ValueError, so of a reason over 255 bytes or more than 31 SSRCs."""
        content = b"".join(ssrc.to_bytes(4, "big") for ssrc in self.ssrcs)
        if self.reason:
            content += bytes([len(self.reason)]) + self.reason
            content += bytes(-len(content) % 4)
        return pack_packet(PacketType.GOODBYE, len(self.ssrcs), content)
