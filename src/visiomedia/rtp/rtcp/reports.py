"""Sender and receiver reports (RFC 3550 section 6.4)."""

import struct
from dataclasses import dataclass

from visiomedia.errors import ParseError
from visiomedia.rtp.rtcp.header import PacketType, pack_packet

BLOCK = struct.Struct("!IB3sIIII")
SENDER = struct.Struct("!IQIII")
LEAST_LOST, MOST_LOST = -0x800000, 0x7FFFFF


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What one source has delivered (section 6.4.1)."""

    ssrc: int
    fraction_lost: int
    """Of 256, since the last report."""
    cumulative_lost: int
    """Signed: duplicates make it negative."""
    highest_sequence_number: int
    """Extended to 32 bits."""
    jitter: int
    """RTP ticks."""
    last_report: int = 0
    """Middle 32 bits of the NTP time of the last sender report; 0 before one."""
    delay_since_last_report: int = 0
    """1/65536 s."""

    @classmethod
    def parse(cls, data: bytes) -> "ReportBlock":
        """The block in the first 24 bytes. Raises: ParseError."""
        if len(data) < BLOCK.size:
            raise ParseError("report block", f"{len(data)} bytes, wants {BLOCK.size}")
        ssrc, fraction, lost, *rest = BLOCK.unpack_from(data)
        return cls(ssrc, fraction, int.from_bytes(lost, "big", signed=True), *rest)

    def serialize(self) -> bytes:
        """24 bytes. Loss beyond 24 bits is clamped, extended numbers beyond 32 wrap. Raises: ValueError."""
        lost = max(LEAST_LOST, min(self.cumulative_lost, MOST_LOST)).to_bytes(3, "big", signed=True)
        try:
            return BLOCK.pack(
                self.ssrc,
                self.fraction_lost,
                lost,
                self.highest_sequence_number & 0xFFFFFFFF,
                self.jitter,
                self.last_report,
                self.delay_since_last_report,
            )
        except struct.error as error:
            raise ValueError(f"report block: {error}") from None


def _parse_blocks(content: bytes, at: int, count: int) -> tuple[ReportBlock, ...]:
    """What follows the blocks is a profile's own extension, and is skipped."""
    end = at + count * BLOCK.size
    if end > len(content):
        raise ParseError("report", f"{count} blocks in {len(content) - at} bytes")
    return tuple(ReportBlock.parse(content[start : start + BLOCK.size]) for start in range(at, end, BLOCK.size))


@dataclass(frozen=True, slots=True)
class SenderReport:
    """SR: the sender's clock, its counts, and what it received."""

    ssrc: int
    ntp: int
    """64 bits, 32.32 seconds since 1900."""
    timestamp: int
    """The same instant in RTP ticks."""
    packets: int
    octets: int
    """Of payload."""
    blocks: tuple[ReportBlock, ...] = ()

    @classmethod
    def parse(cls, count: int, content: bytes) -> "SenderReport":
        """``content``: behind the common header. Raises: ParseError."""
        if len(content) < SENDER.size:
            raise ParseError("sender report", f"{len(content)} bytes, wants {SENDER.size}")
        ssrc, ntp, timestamp, packets, octets = SENDER.unpack_from(content)
        return cls(ssrc, ntp, timestamp, packets, octets, _parse_blocks(content, SENDER.size, count))

    def serialize(self) -> bytes:
        """One packet; counts wrap at 32 bits. Raises: ValueError, so of more than 31 blocks."""
        counts = (self.packets & 0xFFFFFFFF, self.octets & 0xFFFFFFFF)
        try:
            content = SENDER.pack(self.ssrc, self.ntp, self.timestamp, *counts)
        except struct.error as error:
            raise ValueError(f"sender report: {error}") from None
        content += b"".join(block.serialize() for block in self.blocks)
        return pack_packet(PacketType.SENDER_REPORT, len(self.blocks), content)


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """RR: what somebody who sends nothing received."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()

    @classmethod
    def parse(cls, count: int, content: bytes) -> "ReceiverReport":
        """``content``: behind the common header. Raises: ParseError."""
        if len(content) < 4:
            raise ParseError("receiver report", f"{len(content)} bytes, wants 4")
        return cls(int.from_bytes(content[:4], "big"), _parse_blocks(content, 4, count))

    def serialize(self) -> bytes:
        """One packet. Raises: ValueError, so of more than 31 blocks."""
        content = self.ssrc.to_bytes(4, "big") + b"".join(block.serialize() for block in self.blocks)
        return pack_packet(PacketType.RECEIVER_REPORT, len(self.blocks), content)
