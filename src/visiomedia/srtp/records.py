"""DTLS records as seen from outside: what may reach OpenSSL, and how what it wrote becomes datagrams (RFC
6347 section 4.1)."""

from collections.abc import Iterator
from enum import IntEnum

from visiomedia.errors import ParseError

RECORD_HEADER = 13
HANDSHAKE_HEADER = 12

MAX_HANDSHAKE_MESSAGE = 16_384
"""Bytes of one handshake message, reassembled. A browser's ClientHello is 1.5 kB, a chain of certificates a
few; OpenSSL would set 100 kB aside for each message that a peer announces."""


class ContentType(IntEnum):
    """RFC 5246 section 6.2.1."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


_VERSIONS = (b"\xfe\xff", b"\xfe\xfd")
"""DTLS 1.0, which a first ClientHello is written in, and 1.2."""


def records(data: bytes) -> Iterator[bytes]:
    """The records of a datagram, or of several one after another.

    Raises:
        ParseError: what follows the records already given is not a DTLS 1.2 record, or not a whole one.
    """
    offset = 0
    while offset < len(data):
        header = data[offset : offset + RECORD_HEADER]
        if len(header) < RECORD_HEADER:
            raise ParseError("DTLS record", "header cut short")
        if not ContentType.CHANGE_CIPHER_SPEC <= header[0] <= ContentType.APPLICATION_DATA:
            raise ParseError("DTLS record", f"content type {header[0]}")
        if header[1:3] not in _VERSIONS:
            raise ParseError("DTLS record", f"version {header[1:3].hex()}")
        end = offset + RECORD_HEADER + int.from_bytes(header[11:13], "big")
        if end == offset + RECORD_HEADER or end > len(data):
            raise ParseError("DTLS record", "empty or longer than its datagram")
        record = data[offset:end]
        if header[0] == ContentType.HANDSHAKE and header[3:5] == b"\0\0":
            _check_handshake(record)
        yield record
        offset = end


def _check_handshake(record: bytes) -> None:
    """Bound the messages that the fragments in a clear handshake record announce."""
    offset = RECORD_HEADER
    while offset < len(record):
        header = record[offset : offset + HANDSHAKE_HEADER]
        if len(header) < HANDSHAKE_HEADER:
            raise ParseError("DTLS handshake", "header cut short")
        length = int.from_bytes(header[1:4], "big")
        fragment_offset, fragment_length = (
            int.from_bytes(header[6:9], "big"),
            int.from_bytes(header[9:12], "big"),
        )
        if length > MAX_HANDSHAKE_MESSAGE or fragment_offset + fragment_length > length:
            raise ParseError("DTLS handshake", "message too long, or a fragment outside it")
        offset += HANDSHAKE_HEADER + fragment_length
    if offset != len(record):
        raise ParseError("DTLS handshake", "fragment longer than its record")


def pack_records(written: bytes, limit: int) -> list[bytes]:
    """Records that OpenSSL wrote, as datagrams of at most ``limit`` bytes; a record longer than that goes
    alone.

    RFC 6347 section 4.1.1: "Multiple DTLS records may be placed in a single datagram" and none spans two.
    """
    datagrams: list[bytearray] = []
    offset = 0
    while offset < len(written):
        end = offset + RECORD_HEADER + int.from_bytes(written[offset + 11 : offset + 13], "big")
        if not datagrams or len(datagrams[-1]) + end - offset > limit:
            datagrams.append(bytearray())
        datagrams[-1] += written[offset:end]
        offset = end
    return [bytes(datagram) for datagram in datagrams]
