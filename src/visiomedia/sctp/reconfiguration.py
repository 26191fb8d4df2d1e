"""Parameters of RE-CONFIG: requests to reset streams, and responses (RFC 6525 section 4)."""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from visiomedia.errors import ParseError
from visiomedia.sctp.parameters import Parameter

_OUTGOING = struct.Struct("!III")
_NUMBER = struct.Struct("!I")
_RESPONSE = struct.Struct("!II")
_ADD = struct.Struct("!IHH")


class ReconfigurationType(IntEnum):
    """Parameters that may stand in a RE-CONFIG."""

    OUTGOING_RESET = 13
    INCOMING_RESET = 14
    TSN_RESET = 15
    RESPONSE = 16
    ADD_OUTGOING_STREAMS = 17
    ADD_INCOMING_STREAMS = 18


class ResetResult(IntEnum):
    """What became of a request (RFC 6525 section 4.4)."""

    NOTHING_TO_DO = 0
    PERFORMED = 1
    DENIED = 2
    WRONG_STREAM = 3
    REQUEST_IN_PROGRESS = 4
    BAD_SEQUENCE_NUMBER = 5
    IN_PROGRESS = 6


def _stream_ids(value: bytes, what: str) -> list[int]:
    if len(value) % 2:
        raise ParseError(what, "half a stream identifier")
    return [stream for (stream,) in struct.iter_unpack("!H", value)]


@dataclass(slots=True)
class OutgoingReset:
    """The sender resets these streams of its own, once all up to its last TSN is there. No streams: all of them."""

    request_number: int
    response_number: int
    last_tsn: int
    streams: list[int] = field(default_factory=list)

    @classmethod
    def parse(cls, value: bytes) -> "OutgoingReset":
        """Raises ``ParseError`` for a length that leaves a rest."""
        if len(value) < _OUTGOING.size:
            raise ParseError("outgoing reset", f"{len(value)} bytes")
        request, response, last_tsn = _OUTGOING.unpack_from(value)
        return cls(request, response, last_tsn, _stream_ids(value[_OUTGOING.size :], "outgoing reset"))

    def serialize(self) -> Parameter:
        """The parameter."""
        fixed = _OUTGOING.pack(self.request_number, self.response_number, self.last_tsn)
        streams = struct.pack(f"!{len(self.streams)}H", *self.streams)
        return Parameter(ReconfigurationType.OUTGOING_RESET, fixed + streams)


@dataclass(slots=True)
class IncomingReset:
    """The sender asks us to reset streams of ours."""

    request_number: int
    streams: list[int] = field(default_factory=list)

    @classmethod
    def parse(cls, value: bytes) -> "IncomingReset":
        """Raises ``ParseError`` for a length that leaves a rest."""
        if len(value) < _NUMBER.size:
            raise ParseError("incoming reset", f"{len(value)} bytes")
        [number] = _NUMBER.unpack_from(value)
        return cls(number, _stream_ids(value[_NUMBER.size :], "incoming reset"))

    def serialize(self) -> Parameter:
        """The parameter."""
        streams = struct.pack(f"!{len(self.streams)}H", *self.streams)
        return Parameter(ReconfigurationType.INCOMING_RESET, _NUMBER.pack(self.request_number) + streams)


@dataclass(slots=True)
class AddStreams:
    """The sender wants more streams: its own (type 17), or ours (type 18)."""

    kind: ReconfigurationType
    request_number: int
    count: int

    @classmethod
    def parse(cls, kind: ReconfigurationType, value: bytes) -> "AddStreams":
        """Raises ``ParseError`` for any other length than 8."""
        if len(value) != _ADD.size:
            raise ParseError("add streams", f"{len(value)} bytes")
        number, count, _ = _ADD.unpack(value)
        return cls(kind, number, count)

    def serialize(self) -> Parameter:
        """The parameter."""
        return Parameter(self.kind, _ADD.pack(self.request_number, self.count, 0))


@dataclass(slots=True)
class TsnReset:
    """The sender wants both sides to begin again with TSNs and stream sequence numbers."""

    request_number: int

    @classmethod
    def parse(cls, value: bytes) -> "TsnReset":
        """Raises ``ParseError`` for any other length than 4."""
        if len(value) != _NUMBER.size:
            raise ParseError("TSN reset", f"{len(value)} bytes")
        return cls(*_NUMBER.unpack(value))

    def serialize(self) -> Parameter:
        """The parameter."""
        return Parameter(ReconfigurationType.TSN_RESET, _NUMBER.pack(self.request_number))


@dataclass(slots=True)
class ResetResponse:
    """What became of the request with this number. A result may be one that ``ResetResult`` does not know."""

    response_number: int
    result: int

    @classmethod
    def parse(cls, value: bytes) -> "ResetResponse":
        """Raises ``ParseError`` for a length of neither form: without TSNs, or with both."""
        if len(value) not in (8, 16):
            raise ParseError("reset response", f"{len(value)} bytes")
        return cls(*_RESPONSE.unpack_from(value))

    def serialize(self) -> Parameter:
        """The parameter."""
        return Parameter(ReconfigurationType.RESPONSE, _RESPONSE.pack(self.response_number, self.result))


Reconfiguration = OutgoingReset | IncomingReset | AddStreams | TsnReset | ResetResponse


def parse_reconfiguration(parameter: Parameter) -> Reconfiguration:
    """What the parameter of a RE-CONFIG says.

    Raises:
        ParseError: it is of no known type, or not what its type says.
    """
    match parameter.type:
        case ReconfigurationType.OUTGOING_RESET:
            return OutgoingReset.parse(parameter.value)
        case ReconfigurationType.INCOMING_RESET:
            return IncomingReset.parse(parameter.value)
        case ReconfigurationType.TSN_RESET:
            return TsnReset.parse(parameter.value)
        case ReconfigurationType.RESPONSE:
            return ResetResponse.parse(parameter.value)
        case ReconfigurationType.ADD_OUTGOING_STREAMS | ReconfigurationType.ADD_INCOMING_STREAMS:
            return AddStreams.parse(ReconfigurationType(parameter.type), parameter.value)
    raise ParseError("RE_CONFIG", f"unknown parameter {parameter.type}")
