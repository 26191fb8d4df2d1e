"""H.264 payloads (RFC 6184): NAL units alone, aggregated (STAP-A) or in fragments (FU-A)."""

from collections.abc import Iterator
from enum import IntEnum

from visiomedia.errors import ParseError


class NalType(IntEnum):
    """NAL unit types that matter here; others stay numbers."""

    SLICE = 1
    IDR = 5
    SEI = 6
    SPS = 7
    PPS = 8
    ACCESS_UNIT_DELIMITER = 9
    STAP_A = 24
    FU_A = 28


STARTS_KEY_FRAME = (NalType.SPS, NalType.IDR)

MAX_UNIT_TYPE = 23
"""Of a NAL unit; above are the packet types of the payload format (section 5.2)."""


def nal_type(nal: bytes) -> int:
    """The type in the first byte of a NAL unit or payload, which is not empty."""
    return nal[0] & 0x1F


def is_key_frame(payload: bytes) -> bool:
    """Whether an SPS or an IDR slice begins in a payload: alone, in an aggregate, or as a first fragment.

    Of an aggregate that is cut short, what is there counts; False for garbage.
    """
    if not payload:
        return False
    kind = nal_type(payload)
    if kind == NalType.FU_A:
        return len(payload) > 1 and payload[1] >= 0x80 and payload[1] & 0x1F in STARTS_KEY_FRAME
    if kind != NalType.STAP_A:
        return kind in STARTS_KEY_FRAME
    at = 1
    while at + 3 <= len(payload):
        size = payload[at] << 8 | payload[at + 1]
        if size and payload[at + 2] & 0x1F in STARTS_KEY_FRAME:
            return True
        at += 2 + size
    return False


def begins_unit(payload: bytes) -> bool:
    """Whether NAL units begin in a payload: it is no later fragment. Units of one frame are not told apart."""
    if not payload:
        return False
    return nal_type(payload) != NalType.FU_A or (len(payload) > 1 and payload[1] >= 0x80)


def begins_picture(payload: bytes) -> bool:
    """Whether a payload is the first of an access unit that a decoder needs, even where packets before it are missing.

    That is so of a delimiter, an SPS, and a slice of the first macroblock: ``first_mb_in_slice`` 0 is a single bit 1.
    """
    kind, rest = payload[0] & 0x1F if payload else 0, payload[1:]
    if kind == NalType.STAP_A and len(payload) > 3:
        kind, rest = payload[3] & 0x1F, payload[4:]
    elif kind == NalType.FU_A and len(payload) > 2 and payload[1] >= 0x80:
        kind, rest = payload[1] & 0x1F, payload[2:]
    if kind in (NalType.SLICE, NalType.IDR):
        return rest[:1] >= b"\x80"
    return kind in (NalType.ACCESS_UNIT_DELIMITER, NalType.SPS)


def aggregated_units(payload: bytes) -> list[bytes]:
    """The NAL units of a STAP-A (section 5.7.1), at least one. Raises: ParseError."""
    units: list[bytes] = []
    at = 1
    while at < len(payload):
        if at + 2 > len(payload):
            raise ParseError("STAP-A", "size is cut short")
        size = int.from_bytes(payload[at : at + 2], "big")
        if size == 0 or at + 2 + size > len(payload):
            raise ParseError("STAP-A", f"unit of {size} bytes does not fit")
        units.append(payload[at + 2 : at + 2 + size])
        at += 2 + size
    if not units:
        raise ParseError("STAP-A", "aggregates nothing")
    return units


def split_annex_b(stream: bytes) -> Iterator[bytes]:
    """The NAL units of a byte stream with start codes (H.264 annex B)."""
    start = stream.find(b"\x00\x00\x01")
    while start >= 0:
        following = stream.find(b"\x00\x00\x01", start + 3)
        unit = stream[start + 3 : following if following >= 0 else len(stream)].rstrip(b"\x00")
        if unit:
            yield unit
        start = following


def split_avc(stream: bytes, length_size: int = 4) -> Iterator[bytes]:
    """The NAL units of a sample that has their lengths before them (ISO/IEC 14496-15).

    Raises: ParseError, and ValueError for a length of another size than 1 to 4 bytes.
    """
    if not 1 <= length_size <= 4:
        raise ValueError(f"lengths have 1 to 4 bytes, not {length_size}")
    at = 0
    while at < len(stream):
        size = int.from_bytes(stream[at : at + length_size], "big")
        at += length_size
        if at + size > len(stream):
            raise ParseError("AVC sample", f"unit of {size} bytes does not fit")
        if size:
            yield stream[at : at + size]
        at += size
