"""Redundant audio data (RFC 2198): a packet that carries earlier ones again, so that a lost one is not missed."""

from collections.abc import Sequence
from typing import NamedTuple

from visiomedia.errors import ParseError

MAX_TIMESTAMP_OFFSET = (1 << 14) - 1
MAX_LENGTH = (1 << 10) - 1
HEADER, LAST_HEADER = 4, 1


class RedundantBlock(NamedTuple):
    """One encoding in a packet. ``timestamp_offset``: ticks before the packet's own time; 0 for the primary one."""

    payload_type: int
    timestamp_offset: int
    data: bytes


def parse_red(payload: bytes) -> list[RedundantBlock]:
    """The blocks of a payload, oldest first, the primary encoding last.

    Raises:
        ParseError: headers end early, or name more bytes than there are.
    """
    heads: list[tuple[int, int, int]] = []
    at = 0
    while True:
        if at >= len(payload):
            raise ParseError("RED", "headers end without a last one")
        payload_type = payload[at] & 0x7F
        if not payload[at] & 0x80:
            break
        if at + HEADER > len(payload):
            raise ParseError("RED", "a header is cut off")
        word = int.from_bytes(payload[at + 1 : at + HEADER], "big")
        heads.append((payload_type, word >> 10, word & MAX_LENGTH))
        at += HEADER
    at += LAST_HEADER
    blocks = []
    for kind, offset, length in heads:
        if at + length > len(payload):
            raise ParseError("RED", "a block is longer than its packet")
        blocks.append(RedundantBlock(kind, offset, payload[at : at + length]))
        at += length
    blocks.append(RedundantBlock(payload_type, 0, payload[at:]))
    return blocks


def build_red(primary: RedundantBlock, redundant: Sequence[RedundantBlock] = ()) -> bytes:
    """A payload of one encoding and earlier ones, oldest first.

    What cannot be told is left out: a block of more than 1023 bytes, empty, or 16384 ticks old (RFC 2198 section 3).
    """
    told = [
        block
        for block in redundant
        if 0 < len(block.data) <= MAX_LENGTH and 0 < block.timestamp_offset <= MAX_TIMESTAMP_OFFSET
    ]
    heads = b"".join(
        bytes([0x80 | block.payload_type]) + (block.timestamp_offset << 10 | len(block.data)).to_bytes(3, "big")
        for block in told
    )
    return heads + bytes([primary.payload_type]) + b"".join(block.data for block in told) + primary.data
