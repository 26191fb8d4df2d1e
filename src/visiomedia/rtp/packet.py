"""RTP packets (RFC 3550 section 5.1)."""

import struct
from dataclasses import dataclass

from visiomedia.errors import ParseError

VERSION = 2
HEADER = struct.Struct("!BBHII")
EXTENSION_HEADER = struct.Struct("!HH")
MAX_CSRCS = 15
MAX_PAYLOAD_TYPE = 127
MAX_PADDING = 255


@dataclass(frozen=True, slots=True)
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
    """A multiple of 4 bytes. ``extensions.parse_extensions`` takes it apart."""
    padding_length: int = 0
    """Octets of padding, the one that counts them included."""

    @classmethod
    def parse(cls, data: bytes) -> "RtpPacket":
        """The packet in a datagram. Padding is taken off the payload and may be all there is (probing).

        Raises: ParseError.
        """
        end = len(data)
        if end < HEADER.size:
            raise ParseError("RTP packet", f"{end} bytes, wants at least {HEADER.size}")
        first, second, sequence_number, timestamp, ssrc = HEADER.unpack_from(data)
        if first >> 6 != VERSION:
            raise ParseError("RTP packet", f"version {first >> 6}")
        at = HEADER.size
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
            profile, words = EXTENSION_HEADER.unpack_from(data, at)
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
        return cls(
            second & 0x7F,
            sequence_number,
            timestamp,
            ssrc,
            data[at : end - padding],
            second > MAX_PAYLOAD_TYPE,
            csrcs,
            profile,
            extension,
            padding,
        )

    def serialize(self) -> bytes:
        """The packet's bytes. Raises: ValueError for a field that its place in the header cannot hold."""
        has_extension = self.extension_profile is not None
        if not 0 <= self.payload_type <= MAX_PAYLOAD_TYPE:
            raise ValueError(f"payload type {self.payload_type} is not within 0 to {MAX_PAYLOAD_TYPE}")
        if len(self.csrcs) > MAX_CSRCS:
            raise ValueError(f"{len(self.csrcs)} CSRCs, at most {MAX_CSRCS} fit")
        if not 0 <= self.padding_length <= MAX_PADDING:
            raise ValueError(f"{self.padding_length} octets of padding, at most {MAX_PADDING} fit")
        if len(self.extension_data) % 4 or (self.extension_data and not has_extension):
            raise ValueError("extension data wants a profile and whole 32-bit words")
        first = VERSION << 6 | bool(self.padding_length) << 5 | has_extension << 4 | len(self.csrcs)
        second = bool(self.marker) << 7 | self.payload_type
        try:
            parts = [HEADER.pack(first, second, self.sequence_number, self.timestamp, self.ssrc)]
            if self.csrcs:
                parts.append(struct.pack(f"!{len(self.csrcs)}I", *self.csrcs))
            if self.extension_profile is not None:
                parts.append(EXTENSION_HEADER.pack(self.extension_profile, len(self.extension_data) // 4))
                parts.append(self.extension_data)
        except struct.error as error:
            raise ValueError(f"a header field is out of range: {error}") from None
        parts.append(self.payload)
        if self.padding_length:
            parts.append(bytes(self.padding_length - 1) + bytes([self.padding_length]))
        return b"".join(parts)
