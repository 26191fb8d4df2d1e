"""AV1 payloads (RTP Payload Format For AV1, section 4): the aggregation header and its OBU elements."""

from dataclasses import dataclass
from enum import IntEnum

from visiomedia.errors import ParseError


class ObuType(IntEnum):
    """OBU types that matter here (AV1 specification section 6.2.2)."""

    SEQUENCE_HEADER = 1
    TEMPORAL_DELIMITER = 2
    FRAME_HEADER = 3
    FRAME = 6


@dataclass(frozen=True, slots=True)
class AggregationHeader:
    """|Z|Y| W |N|-|-|-|."""

    continues_previous: bool
    """Z: the first element goes on from the packet before."""
    continues_in_next: bool
    """Y: the last element goes on in the packet after."""
    element_count: int
    """W: 0 where every element has its length before it."""
    starts_coded_video_sequence: bool
    """N: a key frame's first packet."""

    @classmethod
    def parse(cls, data: bytes) -> "AggregationHeader":
        """Raises ParseError."""
        if not data:
            raise ParseError("AV1 payload", "empty")
        byte = data[0]
        return cls(bool(byte & 0x80), bool(byte & 0x40), byte >> 4 & 0x03, bool(byte & 0x08))

    def serialize(self) -> bytes:
        """One byte."""
        head = self.continues_previous << 7 | self.continues_in_next << 6
        return bytes([head | self.element_count << 4 | self.starts_coded_video_sequence << 3])


def elements(payload: bytes) -> list[bytes]:
    """The OBU elements of a payload. Raises ParseError."""
    header = AggregationHeader.parse(payload)
    found: list[bytes] = []
    at = 1
    while at < len(payload):
        # "If W is not 0, the last OBU element MUST NOT be preceded by a length field."
        if header.element_count and len(found) == header.element_count - 1:
            found.append(payload[at:])
            break
        size, at = _leb128(payload, at)
        if at + size > len(payload):
            raise ParseError("AV1 payload", f"element of {size} bytes does not fit")
        found.append(payload[at : at + size])
        at += size
    return found


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(8):
        if at >= len(data):
            raise ParseError("AV1 payload", "length is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            return value, at
    raise ParseError("AV1 payload", "length of more than eight bytes")
