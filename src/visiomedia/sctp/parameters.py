"""Parameters and error causes: type, length, value, padded to four bytes (RFC 9260 sections 3.2.1 and 3.3.10)."""

import struct
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from visiomedia.errors import ParseError

_HEADER = struct.Struct("!HH")


class ParameterType(IntEnum):
    """Parameters of INIT and INIT ACK."""

    HEARTBEAT_INFO = 1
    IPV4_ADDRESS = 5
    IPV6_ADDRESS = 6
    STATE_COOKIE = 7
    UNRECOGNIZED_PARAMETER = 8
    COOKIE_PRESERVATIVE = 9
    HOST_NAME_ADDRESS = 11
    SUPPORTED_ADDRESS_TYPES = 12
    ZERO_CHECKSUM_ACCEPTABLE = 0x8001
    """RFC 9653 section 4."""
    SUPPORTED_EXTENSIONS = 0x8008
    """RFC 5061 section 4.2.7."""
    FORWARD_TSN_SUPPORTED = 0xC000
    """RFC 3758 section 3.1."""


class CauseCode(IntEnum):
    """Why an ERROR or ABORT was sent."""

    INVALID_STREAM_IDENTIFIER = 1
    MISSING_MANDATORY_PARAMETER = 2
    STALE_COOKIE = 3
    OUT_OF_RESOURCE = 4
    UNRESOLVABLE_ADDRESS = 5
    UNRECOGNIZED_CHUNK_TYPE = 6
    INVALID_MANDATORY_PARAMETER = 7
    UNRECOGNIZED_PARAMETERS = 8
    NO_USER_DATA = 9
    COOKIE_RECEIVED_WHILE_SHUTTING_DOWN = 10
    RESTART_WITH_NEW_ADDRESSES = 11
    USER_INITIATED_ABORT = 12
    PROTOCOL_VIOLATION = 13


class Parameter(NamedTuple):
    """One parameter, or one error cause: they look the same. ``type`` is an int where it is unknown."""

    type: int
    value: bytes

    def serialize(self) -> bytes:
        """With its header and padding."""
        return _HEADER.pack(self.type, 4 + len(self.value)) + self.value + bytes(-len(self.value) % 4)


def parse_parameters(data: bytes, what: str) -> list[Parameter]:
    """The parameters that fill ``data``; padding after the last may be missing.

    Raises:
        ParseError: one does not fit.
    """
    parameters = []
    at, end = 0, len(data)
    while at < end:
        if at + 4 > end:
            raise ParseError(what, "parameter without a header")
        kind, length = _HEADER.unpack_from(data, at)
        if length < 4 or at + length > end:
            raise ParseError(what, f"parameter {kind} of {length} bytes does not fit")
        parameters.append(Parameter(kind, data[at + 4 : at + length]))
        at += length + (-length % 4)
    return parameters


def serialize_parameters(parameters: Iterable[Parameter]) -> bytes:
    """All of them, each padded: chunks with more after them want that too (RFC 9260 section 3.2.1)."""
    return b"".join(parameter.serialize() for parameter in parameters)
