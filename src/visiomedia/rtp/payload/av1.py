"""AV1 payloads (RTP Payload Format For AV1, section 4): the aggregation header and its OBU elements."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from visiomedia.errors import ParseError

MAX_COUNTED = 3
"""More elements than the two bits of W count: each has its length then."""


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
        """The header before a payload's elements. Raises: ParseError."""
        if not data:
            raise ParseError("AV1 payload", "empty")
        byte = data[0]
        return cls(bool(byte & 0x80), bool(byte & 0x40), byte >> 4 & 0x03, bool(byte & 0x08))

    def serialize(self) -> bytes:
        """One byte."""
        head = self.continues_previous << 7 | self.continues_in_next << 6
        return bytes([head | (self.element_count & 0x03) << 4 | self.starts_coded_video_sequence << 3])


def elements(payload: bytes) -> list[bytes]:
    """The OBU elements of a payload; the first and the last may be parts (Z, Y). Raises: ParseError."""
    header = AggregationHeader.parse(payload)
    found: list[bytes] = []
    at = 1
    while at < len(payload):
        # "the last OBU element MUST NOT be preceded by a length field", if W is not 0.
        if header.element_count and len(found) == header.element_count - 1:
            found.append(payload[at:])
            break
        size, at = _leb128(payload, at)
        if at + size > len(payload):
            raise ParseError("AV1 payload", f"element of {size} bytes does not fit")
        found.append(payload[at : at + size])
        at += size
    return found


def serialize_elements(
    parts: Sequence[bytes],
    *,
    continues_previous: bool = False,
    continues_in_next: bool = False,
    starts_coded_video_sequence: bool = False,
) -> bytes:
    """The payload of OBU elements, at least one; up to three spare the last one its length (W).

    Raises: ValueError for no elements, and for N and Z together, which section 4.4 forbids.
    """
    if not parts:
        raise ValueError("a payload has at least one element")
    if starts_coded_video_sequence and continues_previous:
        raise ValueError("a coded video sequence does not start in the middle of an element")
    count = len(parts) if len(parts) <= MAX_COUNTED else 0
    header = AggregationHeader(continues_previous, continues_in_next, count, starts_coded_video_sequence)
    data = bytearray(header.serialize())
    for place, part in enumerate(parts):
        if place != count - 1:
            data += _pack_leb128(len(part))
        data += part
    return bytes(data)


def obu_type(element: bytes) -> int:
    """The type of an OBU (AV1 specification section 5.3.2) whose beginning this is; 0, reserved, of nothing."""
    return element[0] >> 3 & 0x0F if element else 0


def is_key_frame(payload: bytes) -> bool:
    """Whether a key frame's first packet is this: it says so by N, or brings a sequence header, as key frames do.

    A sequence header counts in a payload that is not cut short; False for garbage.
    """
    if not payload or payload[0] & 0x80:
        return False
    if payload[0] & 0x08:
        return True
    try:
        return any(obu_type(element) == ObuType.SEQUENCE_HEADER for element in elements(payload))
    except ParseError:
        return False


def _pack_leb128(value: int) -> bytes:
    data = bytearray()
    while value >= 0x80:
        data.append(0x80 | value & 0x7F)
        value >>= 7
    data.append(value)
    return bytes(data)


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
