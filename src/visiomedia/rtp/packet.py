"""RTP packets (RFC 3550 section 5.1)."""

import struct
from dataclasses import dataclass

from visiomedia.errors import ParseError

VERSION = 2
HEADER = struct.Struct("!BBHII")
MAX_PAYLOAD_TYPE = 127


@dataclass(slots=True)
class RtpPacket:
    """One RTP packet in the clear. ``timestamp`` is in ticks of the format's clock rate."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extension_profile: int | None = None
    """None where there is no header extension."""
    extension_data: bytes = b""
    """A multiple of 4 bytes."""
    padding_length: int = 0
    """Octets of padding, the one that counts them included."""

    @classmethod
    def parse(cls, data: bytes) -> "RtpPacket":
        """Raises ParseError."""
        if len(data) < HEADER.size:
            raise ParseError("RTP packet", f"{len(data)} bytes, at least {HEADER.size}")
        first, second, sequence_number, timestamp, ssrc = HEADER.unpack_from(data)
        if first >> 6 != VERSION:
            raise ParseError("RTP packet", f"version {first >> 6}")
        at = HEADER.size
        end = len(data)
        csrcs: tuple[int, ...] = ()
        if count := first & 0x0F:
            if at + 4 * count > end:
                raise ParseError("RTP packet", "CSRC list is cut short")
            csrcs = struct.unpack_from(f"!{count}I", data, at)
            at += 4 * count
        profile, extension = None, b""
        if first & 0x10:
            if at + 4 > end:
                raise ParseError("RTP packet", "extension header is cut short")
            profile, words = struct.unpack_from("!HH", data, at)
            at += 4
            if at + 4 * words > end:
                raise ParseError("RTP packet", "extension is cut short")
            extension = data[at : at + 4 * words]
            at += 4 * words
        padding = 0
        if first & 0x20:
            # "The last octet of the padding contains a count of how many padding octets should be ignored,
            # including itself."
            padding = data[-1] if end > at else 0
            if padding == 0 or at + padding > end:
                raise ParseError("RTP packet", "padding length does not fit")
        payload = data[at : end - padding]
        return cls(
            second & 0x7F,
            sequence_number,
            timestamp,
            ssrc,
            payload,
            bool(second & 0x80),
            csrcs,
            profile,
            extension,
            padding,
        )

    def serialize(self) -> bytes:
        """The packet's bytes."""
        has_extension = self.extension_profile is not None
        first = VERSION << 6 | bool(self.padding_length) << 5 | has_extension << 4 | len(self.csrcs)
        second = bool(self.marker) << 7 | self.payload_type
        parts = [HEADER.pack(first, second, self.sequence_number, self.timestamp, self.ssrc)]
        parts += [csrc.to_bytes(4, "big") for csrc in self.csrcs]
        if self.extension_profile is not None:
            parts.append(struct.pack("!HH", self.extension_profile, len(self.extension_data) // 4))
            parts.append(self.extension_data)
        parts.append(self.payload)
        if self.padding_length:
            parts.append(bytes(self.padding_length - 1) + bytes([self.padding_length]))
        return b"".join(parts)
