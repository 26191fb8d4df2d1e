"""The header that all RTCP packets share, and the walk over a datagram of them (RFC 3550 section 6.1)."""

from collections.abc import Iterator
from enum import IntEnum

from visiomedia.errors import ParseError

VERSION = 2
HEADER_BYTES = 4
MAX_COUNT = 31


class PacketType(IntEnum):
    """RTCP packet types."""

    SENDER_REPORT = 200
    RECEIVER_REPORT = 201
    SOURCE_DESCRIPTION = 202
    GOODBYE = 203
    APPLICATION = 204
    TRANSPORT_LAYER_FEEDBACK = 205
    PAYLOAD_SPECIFIC_FEEDBACK = 206
    EXTENDED_REPORT = 207


class TransportLayerFormat(IntEnum):
    """Formats of transport-layer feedback (RFC 4585 section 6.2)."""

    NACK = 1
    TRANSPORT_WIDE = 15


class PayloadSpecificFormat(IntEnum):
    """Formats of payload-specific feedback (RFC 4585 section 6.3, RFC 5104 section 4.3)."""

    PICTURE_LOSS = 1
    FULL_INTRA_REQUEST = 4
    APPLICATION_LAYER = 15


def split_packets(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Packet type, count (or format, or subtype) and content of each packet; padding is taken off.

    Raises: ParseError where the next packet's header is malformed.
    """
    at, total = 0, len(data)
    while at < total:
        if at + HEADER_BYTES > total:
            raise ParseError("RTCP", "header is cut short")
        first, packet_type = data[at], data[at + 1]
        if first >> 6 != VERSION:
            raise ParseError("RTCP", f"version {first >> 6}")
        end = at + HEADER_BYTES + 4 * (data[at + 2] << 8 | data[at + 3])
        if end > total:
            raise ParseError("RTCP", "packet is cut short")
        stop = end
        if first & 0x20:
            stop -= _padding(data, at, end)
        yield packet_type, first & 0x1F, data[at + HEADER_BYTES : stop]
        at = end


def _padding(data: bytes, at: int, end: int) -> int:
    # RFC 3550 section 6.4.1: "In a compound RTCP packet, padding is only required on one individual packet ...
    # padding MUST only be added to the last individual packet".
    padding = data[end - 1] if end > at + HEADER_BYTES else 0
    # "... it will be a multiple of four"; but transport-wide feedback ends anywhere in a word (draft-holmer 3.1).
    is_transport_wide = (
        data[at + 1] == PacketType.TRANSPORT_LAYER_FEEDBACK and data[at] & 0x1F == TransportLayerFormat.TRANSPORT_WIDE
    )
    fits = 0 < padding <= end - at - HEADER_BYTES and (padding % 4 == 0 or is_transport_wide)
    if not fits or end != len(data):
        raise ParseError("RTCP", "padding does not fit")
    return padding


def pack_packet(packet_type: int, count: int, content: bytes) -> bytes:
    """One packet; padded where its content is no multiple of 4 bytes, and then it must be a compound's last.

    Raises: ValueError where the count or the length does not fit.
    """
    if not 0 <= count <= MAX_COUNT:
        raise ValueError(f"an RTCP packet counts to {MAX_COUNT}, not {count}")
    if len(content) > 4 * 0xFFFF:
        raise ValueError(f"{len(content)} bytes do not fit an RTCP packet")
    padding = -len(content) % 4
    first = VERSION << 6 | bool(padding) << 5 | count
    if padding:
        content += bytes(padding - 1) + bytes([padding])
    return bytes([first, packet_type]) + (len(content) // 4).to_bytes(2, "big") + content
