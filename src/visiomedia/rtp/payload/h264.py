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


def nal_type(nal: bytes) -> int:
    """The type in a NAL unit's first byte."""
    return nal[0] & 0x1F


def aggregated_units(payload: bytes) -> list[bytes]:
    """The NAL units of a STAP-A (section 5.7.1). Raises ParseError."""
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
    """The NAL units of length-prefixed samples (ISO 14496-15). Raises ParseError."""
    at = 0
    while at < len(stream):
        size = int.from_bytes(stream[at : at + length_size], "big")
        at += length_size
        if size == 0 or at + size > len(stream):
            raise ParseError("AVC sample", f"unit of {size} bytes does not fit")
        yield stream[at : at + size]
        at += size
