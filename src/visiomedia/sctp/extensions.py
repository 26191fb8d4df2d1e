"""What INIT and INIT ACK offer beyond their fixed fields (RFC 9260 section 3.2.1, RFC 5061 section 4.2.7)."""

import struct

from visiomedia.sctp.chunks import ChunkType
from visiomedia.sctp.cookie import FORWARD_TSN, RE_CONFIG, ZERO_CHECKSUM
from visiomedia.sctp.parameters import Parameter, ParameterType

_DETECTED_BY_DTLS = struct.pack("!I", 1)
"""The error detection method identifier of SCTP over DTLS (RFC 9653 section 4)."""

_KNOWN = frozenset(ParameterType)


def offered_extensions(*, zero_checksum: bool) -> list[Parameter]:
    """What we say we can do. I-DATA (RFC 8260) is not in it: no browser needs it."""
    chunks = bytes([ChunkType.RE_CONFIG, ChunkType.FORWARD_TSN])
    parameters = [
        Parameter(ParameterType.SUPPORTED_EXTENSIONS, chunks),
        Parameter(ParameterType.FORWARD_TSN_SUPPORTED, b""),
    ]
    if zero_checksum:
        parameters.append(Parameter(ParameterType.ZERO_CHECKSUM_ACCEPTABLE, _DETECTED_BY_DTLS))
    return parameters


def read_extensions(parameters: list[Parameter]) -> int:
    """What the peer can do, as the flags of ``cookie``."""
    extensions = 0
    for kind, value in parameters:
        if kind == ParameterType.SUPPORTED_EXTENSIONS:
            if ChunkType.RE_CONFIG in value:
                extensions |= RE_CONFIG
            if ChunkType.FORWARD_TSN in value:
                extensions |= FORWARD_TSN
        elif kind == ParameterType.FORWARD_TSN_SUPPORTED:
            extensions |= FORWARD_TSN
        elif kind == ParameterType.ZERO_CHECKSUM_ACCEPTABLE and value == _DETECTED_BY_DTLS:
            extensions |= ZERO_CHECKSUM
    return extensions


def understood(parameters: list[Parameter]) -> tuple[list[Parameter], list[Parameter]]:
    """The parameters to go by, and those to report as unrecognized (RFC 9260 section 3.2.1).

    The two high bits of a type that is not known say whether to go on behind it, and whether to report it.
    """
    known, reported = [], []
    for parameter in parameters:
        if parameter.type in _KNOWN:
            known.append(parameter)
            continue
        if parameter.type & 0x4000:
            reported.append(parameter)
        if not parameter.type & 0x8000:
            break
    return known, reported
