"""Packets: the common header, its checksum, and the chunks behind it (RFC 9260 section 3, RFC 9653)."""

import struct
from dataclasses import dataclass

from visiomedia.errors import ParseError
from visiomedia.sctp.checksum import crc32c
from visiomedia.sctp.chunks import Chunk, parse_chunk

HEADER_SIZE = 12
_HEADER = struct.Struct("!HHI")
_CHECKSUM = struct.Struct("<I")
_CHUNK_HEADER = struct.Struct("!BBH")
_NO_CHECKSUM = bytes(4)


@dataclass(slots=True)
class Packet:
    """One SCTP packet. ``has_checksum``: False where the sender relied on DTLS (RFC 9653)."""

    source_port: int
    destination_port: int
    verification_tag: int
    chunks: list[Chunk]
    has_checksum: bool = True

    @classmethod
    def parse(cls, data: bytes) -> "Packet":
        """The packet. A checksum of zero is let through, for the association to judge, as is no chunk at all.

        Raises:
            ParseError: the checksum is wrong, or a chunk does not fit or is not what its type says.
        """
        if len(data) < HEADER_SIZE:
            raise ParseError("packet", f"{len(data)} bytes")
        checksum = data[8:HEADER_SIZE]
        has_checksum = checksum != _NO_CHECKSUM
        if has_checksum and _CHECKSUM.pack(crc32c(data[:8] + _NO_CHECKSUM + data[HEADER_SIZE:])) != checksum:
            raise ParseError("packet", "wrong checksum")
        source_port, destination_port, tag = _HEADER.unpack_from(data)
        chunks = []
        at, end = HEADER_SIZE, len(data)
        while at < end:
            if at + 4 > end:
                raise ParseError("packet", "chunk without a header")
            kind, flags, length = _CHUNK_HEADER.unpack_from(data, at)
            if length < 4 or at + length > end:
                raise ParseError("packet", f"chunk {kind} of {length} bytes does not fit")
            chunks.append(parse_chunk(kind, flags, data[at + 4 : at + length]))
            at += length + (-length % 4)
        return cls(source_port, destination_port, tag, chunks, has_checksum)

    def serialize(self) -> bytes:
        """The packet, with its checksum unless it goes without."""
        chunks = [chunk.serialize() for chunk in self.chunks]
        return serialize_packet(
            self.source_port, self.destination_port, self.verification_tag, chunks, has_checksum=self.has_checksum
        )


def serialize_packet(
    source_port: int, destination_port: int, verification_tag: int, chunks: list[bytes], *, has_checksum: bool
) -> bytes:
    """A packet of chunks that are serialized and padded already."""
    header = _HEADER.pack(source_port, destination_port, verification_tag)
    data = b"".join((header, _NO_CHECKSUM, *chunks))
    if not has_checksum:
        return data
    return header + _CHECKSUM.pack(crc32c(data)) + data[HEADER_SIZE:]
