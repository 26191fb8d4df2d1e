"""Sender and receiver reports, source descriptions, goodbyes (RFC 3550 section 6)."""

import struct
from dataclasses import dataclass, field

from visiomedia.errors import ParseError

BLOCK = struct.Struct("!IB3sIIII")
SENDER_INFO = struct.Struct("!QIII")


@dataclass(slots=True)
class ReportBlock:
    """What one source has delivered (section 6.4.1). ``jitter``: RTP ticks; ``delay_since_last_report``: 1/65536 s."""

    ssrc: int
    fraction_lost: int
    """Of 256, since the last report."""
    cumulative_lost: int
    """Signed: duplicates make it negative."""
    highest_sequence_number: int
    """Extended to 32 bits."""
    jitter: int
    last_report: int = 0
    """Middle 32 bits of the NTP time of the last sender report; 0 before one."""
    delay_since_last_report: int = 0

    @classmethod
    def parse(cls, data: bytes) -> "ReportBlock":
        """24 bytes. Raises ParseError."""
        if len(data) < BLOCK.size:
            raise ParseError("report block", f"{len(data)} bytes")
        ssrc, fraction, lost, *rest = BLOCK.unpack_from(data)
        return cls(ssrc, fraction, int.from_bytes(lost, "big", signed=True), *rest)

    def serialize(self) -> bytes:
        """24 bytes; a cumulative loss beyond 24 bits is clamped, as section 6.4.1 says."""
        lost = max(-0x800000, min(self.cumulative_lost, 0x7FFFFF)).to_bytes(3, "big", signed=True)
        return BLOCK.pack(
            self.ssrc,
            self.fraction_lost,
            lost,
            self.highest_sequence_number,
            self.jitter,
            self.last_report,
            self.delay_since_last_report,
        )


def _blocks(data: bytes, count: int) -> tuple[ReportBlock, ...]:
    if len(data) < count * BLOCK.size:
        raise ParseError("report", f"{count} blocks in {len(data)} bytes")
    return tuple(ReportBlock.parse(data[at : at + BLOCK.size]) for at in range(0, count * BLOCK.size, BLOCK.size))


@dataclass(slots=True)
class SenderReport:
    """SR: the sender's clock, its counts, and what it received."""

    ssrc: int
    ntp: int
    """64 bits, 32.32."""
    timestamp: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()

    @classmethod
    def parse(cls, count: int, body: bytes) -> "SenderReport":
        """``body``: behind the common header. Raises ParseError."""
        if len(body) < 24:
            raise ParseError("sender report", f"{len(body)} bytes")
        ssrc = int.from_bytes(body[:4], "big")
        return cls(ssrc, *SENDER_INFO.unpack_from(body, 4), _blocks(body[24:], count))

    def body(self) -> tuple[int, bytes]:
        """Count and body."""
        info = SENDER_INFO.pack(self.ntp, self.timestamp, self.packets, self.octets)
        blocks = b"".join(block.serialize() for block in self.blocks)
        return len(self.blocks), self.ssrc.to_bytes(4, "big") + info + blocks


@dataclass(slots=True)
class ReceiverReport:
    """RR: what somebody received."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()

    @classmethod
    def parse(cls, count: int, body: bytes) -> "ReceiverReport":
        """``body``: behind the common header. Raises ParseError."""
        if len(body) < 4:
            raise ParseError("receiver report", f"{len(body)} bytes")
        return cls(int.from_bytes(body[:4], "big"), _blocks(body[4:], count))

    def body(self) -> tuple[int, bytes]:
        """Count and body."""
        blocks = b"".join(block.serialize() for block in self.blocks)
        return len(self.blocks), self.ssrc.to_bytes(4, "big") + blocks


CNAME = 1


@dataclass(slots=True)
class SourceDescription:
    """SDES: items by SSRC (section 6.5)."""

    chunks: dict[int, dict[int, bytes]] = field(default_factory=dict)
    """Values by item type, by SSRC."""

    @classmethod
    def of_cname(cls, ssrc: int, cname: str) -> "SourceDescription":
        """The one item that every compound has."""
        return cls({ssrc: {CNAME: cname.encode()}})

    @classmethod
    def parse(cls, count: int, body: bytes) -> "SourceDescription":
        """``body``: behind the common header. Raises ParseError."""
        chunks: dict[int, dict[int, bytes]] = {}
        at = 0
        for _ in range(count):
            if at + 4 > len(body):
                raise ParseError("source description", "chunk is cut short")
            items = chunks.setdefault(int.from_bytes(body[at : at + 4], "big"), {})
            at += 4
            while at < len(body) and body[at] != 0:
                if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
                    raise ParseError("source description", "item is cut short")
                items[body[at]] = body[at + 2 : at + 2 + body[at + 1]]
                at += 2 + body[at + 1]
            # "terminated by one or more null octets, the first of which is interpreted as an item type of zero",
            # up to the next 32-bit boundary.
            at = (at + 4) & ~3
        if at > (len(body) + 3) & ~3:
            raise ParseError("source description", "chunk is not terminated")
        return cls(chunks)

    def body(self) -> tuple[int, bytes]:
        """Count and body."""
        data = b""
        for ssrc, items in self.chunks.items():
            chunk = ssrc.to_bytes(4, "big")
            chunk += b"".join(bytes([kind, len(value)]) + value for kind, value in items.items())
            data += chunk + bytes(4 - len(chunk) % 4)
        return len(self.chunks), data


@dataclass(slots=True)
class Goodbye:
    """BYE: these SSRCs end (section 6.6)."""

    ssrcs: tuple[int, ...]
    reason: bytes = b""

    @classmethod
    def parse(cls, count: int, body: bytes) -> "Goodbye":
        """``body``: behind the common header. Raises ParseError."""
        if len(body) < 4 * count:
            raise ParseError("goodbye", f"{count} SSRCs in {len(body)} bytes")
        ssrcs = struct.unpack_from(f"!{count}I", body)
        rest = body[4 * count :]
        if rest and 1 + rest[0] > len(rest):
            raise ParseError("goodbye", "reason is cut short")
        return cls(ssrcs, rest[1 : 1 + rest[0]] if rest else b"")

    def body(self) -> tuple[int, bytes]:
        """Count and body."""
        data = b"".join(ssrc.to_bytes(4, "big") for ssrc in self.ssrcs)
        if self.reason:
            data += bytes([len(self.reason)]) + self.reason
            data += bytes(-len(data) % 4)
        return len(self.ssrcs), data


@dataclass(slots=True)
class Application:
    """APP (section 6.7)."""

    subtype: int
    ssrc: int
    name: bytes
    content: bytes = b""

    @classmethod
    def parse(cls, count: int, body: bytes) -> "Application":
        """``body``: behind the common header. Raises ParseError."""
        if len(body) < 8:
            raise ParseError("application packet", f"{len(body)} bytes")
        return cls(count, int.from_bytes(body[:4], "big"), body[4:8], body[8:])

    def body(self) -> tuple[int, bytes]:
        """Subtype and body."""
        return self.subtype, self.ssrc.to_bytes(4, "big") + self.name + self.content
