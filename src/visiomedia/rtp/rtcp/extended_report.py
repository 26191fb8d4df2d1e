"""Extended reports: reference times both ways, so that who only receives learns its round trip (RFC 3611 4.4, 4.5)."""

import struct
from dataclasses import dataclass

from visiomedia.errors import ParseError
from visiomedia.rtp.rtcp.header import PacketType, pack_packet

RECEIVER_REFERENCE_TIME = 4
DELAY_SINCE_LAST = 5
SUB_BLOCK = struct.Struct("!III")


@dataclass(frozen=True, slots=True)
class DelaySinceLast:
    """One sub-block of DLRR: an answer to somebody's reference time."""

    ssrc: int
    """Whose reference time it was."""
    last_receiver_report: int
    """Middle 32 bits of that reference time; 0 before one."""
    delay: int
    """Since it came, in 1/65536 s."""


@dataclass(frozen=True, slots=True)
class ExtendedReport:
    """XR with the two kinds of block that matter here; others are skipped."""

    ssrc: int
    reference_time: int | None = None
    """RRTR: 64-bit NTP."""
    delays: tuple[DelaySinceLast, ...] = ()

    @classmethod
    def parse(cls, content: bytes) -> "ExtendedReport":
        """``content``: behind the common header. Raises: ParseError."""
        end = len(content)
        if end < 4:
            raise ParseError("extended report", f"{end} bytes, wants at least 4")
        reference_time: int | None = None
        delays: list[DelaySinceLast] = []
        at = 4
        while at < end:
            if at + 4 > end:
                raise ParseError("extended report", "block header is cut short")
            kind, length = content[at], 4 * (content[at + 2] << 8 | content[at + 3])
            at += 4
            if at + length > end:
                raise ParseError("extended report", "block is cut short")
            if kind == RECEIVER_REFERENCE_TIME:
                if length != 8:
                    raise ParseError("extended report", f"reference time of {length} bytes")
                reference_time = int.from_bytes(content[at : at + 8], "big")
            elif kind == DELAY_SINCE_LAST:
                if length % SUB_BLOCK.size:
                    raise ParseError("extended report", f"DLRR of {length} bytes")
                delays += [DelaySinceLast(*words) for words in SUB_BLOCK.iter_unpack(content[at : at + length])]
            at += length
        return cls(int.from_bytes(content[:4], "big"), reference_time, tuple(delays))

    def serialize(self) -> bytes:
        """One packet. Raises: ValueError."""
        content = self.ssrc.to_bytes(4, "big")
        if self.reference_time is not None:
            content += bytes([RECEIVER_REFERENCE_TIME, 0, 0, 2]) + self.reference_time.to_bytes(8, "big")
        if self.delays:
            content += bytes([DELAY_SINCE_LAST, 0]) + (3 * len(self.delays)).to_bytes(2, "big")
            for delay in self.delays:
                content += SUB_BLOCK.pack(delay.ssrc, delay.last_receiver_report, delay.delay)
        return pack_packet(PacketType.EXTENDED_REPORT, 0, content)
