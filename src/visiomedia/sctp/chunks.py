"""Chunks (RFC 9260 section 3.3), with FORWARD-TSN (RFC 3758) and RE-CONFIG (RFC 6525) among them."""

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

from visiomedia.errors import ParseError
from visiomedia.sctp.parameters import Parameter, ParameterType, parse_parameters, serialize_parameters


class ChunkType(IntEnum):
    """What a chunk is. The two high bits say what to do with one that is not known."""

    DATA = 0
    INIT = 1
    INIT_ACK = 2
    SACK = 3
    HEARTBEAT = 4
    HEARTBEAT_ACK = 5
    ABORT = 6
    SHUTDOWN = 7
    SHUTDOWN_ACK = 8
    ERROR = 9
    COOKIE_ECHO = 10
    COOKIE_ACK = 11
    SHUTDOWN_COMPLETE = 14
    RE_CONFIG = 130
    FORWARD_TSN = 192


END, BEGINNING, UNORDERED, IMMEDIATE = 1, 2, 4, 8
"""Flags of DATA (RFC 9260 section 3.3.1)."""

TAG_REFLECTED = 1
"""The flag T of ABORT and SHUTDOWN COMPLETE: the verification tag is the one that its receiver sends with."""

DATA_HEADER = struct.Struct("!BBHIHHI")
_HEADER = struct.Struct("!BBH")
_DATA = struct.Struct("!IHHI")
_INIT = struct.Struct("!IIHHI")
_SACK = struct.Struct("!IIHH")
_PAIR = struct.Struct("!HH")
_TSN = struct.Struct("!I")


def serialize_chunk(kind: int, flags: int, value: bytes) -> bytes:
    """A chunk with its header, padded to four bytes."""
    return _HEADER.pack(kind, flags, 4 + len(value)) + value + bytes(-len(value) % 4)


@dataclass(slots=True)
class Data:
    """DATA: a user message or a fragment of one."""

    kind: ClassVar[ChunkType] = ChunkType.DATA
    flags: int
    tsn: int
    stream_id: int
    stream_sequence_number: int
    payload_protocol_id: int
    user_data: bytes

    @classmethod
    def parse(cls, flags: int, value: bytes) -> "Data":
        """Raises ``ParseError`` when shorter than its header. No user data is for the association to judge."""
        if len(value) < _DATA.size:
            raise ParseError("DATA", f"{len(value)} bytes")
        tsn, stream_id, number, protocol = _DATA.unpack_from(value)
        return cls(flags, tsn, stream_id, number, protocol, value[_DATA.size :])

    def serialize(self) -> bytes:
        """The chunk, padded."""
        length = len(self.user_data)
        return (
            DATA_HEADER.pack(
                0,
                self.flags,
                DATA_HEADER.size + length,
                self.tsn,
                self.stream_id,
                self.stream_sequence_number,
                self.payload_protocol_id,
            )
            + self.user_data
            + bytes(-length % 4)
        )


@dataclass(slots=True)
class Init:
    """INIT, and INIT ACK, which has the same fields (RFC 9260 sections 3.3.2 and 3.3.3)."""

    kind: ChunkType
    initiate_tag: int
    advertised_receiver_window: int
    outbound_streams: int
    inbound_streams: int
    initial_tsn: int
    parameters: list[Parameter] = field(default_factory=list)

    @classmethod
    def parse(cls, kind: ChunkType, value: bytes) -> "Init":
        """Raises ``ParseError`` for a length, tag or number of streams that the RFC forbids."""
        if len(value) < _INIT.size:
            raise ParseError(kind.name, f"{len(value)} bytes")
        tag, window, outbound, inbound, tsn = _INIT.unpack_from(value)
        # RFC 9260 section 3.3.2: "The receiver of the INIT chunk ... if the value of the Initiate Tag is found to be
        # 0, the receiver MUST silently discard the packet"; a number of streams of 0 makes no association either.
        if tag == 0:
            raise ParseError(kind.name, "initiate tag 0")
        if outbound == 0 or inbound == 0:
            raise ParseError(kind.name, "no streams")
        return cls(kind, tag, window, outbound, inbound, tsn, parse_parameters(value[_INIT.size :], kind.name))

    def serialize(self) -> bytes:
        """The chunk, padded."""
        fixed = _INIT.pack(
            self.initiate_tag,
            self.advertised_receiver_window,
            self.outbound_streams,
            self.inbound_streams,
            self.initial_tsn,
        )
        return serialize_chunk(self.kind, 0, fixed + serialize_parameters(self.parameters))


@dataclass(slots=True)
class Sack:
    """SACK. ``gaps``: first and last TSN of each block, as offsets from the cumulative TSN ack."""

    kind: ClassVar[ChunkType] = ChunkType.SACK
    cumulative_tsn_ack: int
    advertised_receiver_window: int
    gaps: list[tuple[int, int]] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)

    @classmethod
    def parse(cls, value: bytes) -> "Sack":
        """Raises ``ParseError`` when its length is not that of its lists, or a block ends before it starts."""
        if len(value) < _SACK.size:
            raise ParseError("SACK", f"{len(value)} bytes")
        tsn, window, gap_count, duplicate_count = _SACK.unpack_from(value)
        gaps_end = _SACK.size + 4 * gap_count
        if len(value) != gaps_end + 4 * duplicate_count:
            raise ParseError("SACK", f"{len(value)} bytes for {gap_count} blocks and {duplicate_count} duplicates")
        gaps = [(first, last) for first, last in _PAIR.iter_unpack(value[_SACK.size : gaps_end])]
        if any(not 0 < first <= last for first, last in gaps):
            raise ParseError("SACK", "block that ends before it starts")
        return cls(tsn, window, gaps, [duplicate for (duplicate,) in _TSN.iter_unpack(value[gaps_end:])])

    def serialize(self) -> bytes:
        """The chunk."""
        value = _SACK.pack(
            self.cumulative_tsn_ack, self.advertised_receiver_window, len(self.gaps), len(self.duplicates)
        )
        if self.gaps or self.duplicates:
            value += b"".join([_PAIR.pack(*gap) for gap in self.gaps] + [_TSN.pack(tsn) for tsn in self.duplicates])
        return serialize_chunk(self.kind, 0, value)


@dataclass(slots=True)
class Heartbeat:
    """HEARTBEAT, or HEARTBEAT ACK that sends the same back. ``info``: the parameter's value, the sender's own."""

    kind: ChunkType
    info: bytes

    @classmethod
    def parse(cls, kind: ChunkType, value: bytes) -> "Heartbeat":
        """Raises ``ParseError`` unless one heartbeat info is in it."""
        parameters = parse_parameters(value, kind.name)
        if len(parameters) != 1 or parameters[0].type != ParameterType.HEARTBEAT_INFO:
            raise ParseError(kind.name, "no heartbeat info")
        return cls(kind, parameters[0].value)

    def serialize(self) -> bytes:
        """The chunk, padded."""
        return serialize_chunk(self.kind, 0, _unpadded(ParameterType.HEARTBEAT_INFO, self.info))


def _unpadded(kind: int, value: bytes) -> bytes:
    return _PAIR.pack(kind, 4 + len(value)) + value


@dataclass(slots=True)
class Causes:
    """ERROR, or ABORT, which ends the association (RFC 9260 sections 3.3.7 and 3.3.10)."""

    kind: ChunkType
    causes: list[Parameter] = field(default_factory=list)
    flags: int = 0

    @classmethod
    def parse(cls, kind: ChunkType, flags: int, value: bytes) -> "Causes":
        """Raises ``ParseError`` when a cause does not fit."""
        return cls(kind, parse_parameters(value, kind.name), flags)

    def serialize(self) -> bytes:
        """The chunk, padded."""
        return serialize_chunk(self.kind, self.flags, serialize_parameters(self.causes))


@dataclass(slots=True)
class Shutdown:
    """SHUTDOWN."""

    kind: ClassVar[ChunkType] = ChunkType.SHUTDOWN
    cumulative_tsn_ack: int

    @classmethod
    def parse(cls, value: bytes) -> "Shutdown":
        """Raises ``ParseError`` for any other length than 4."""
        if len(value) != _TSN.size:
            raise ParseError("SHUTDOWN", f"{len(value)} bytes")
        return cls(*_TSN.unpack(value))

    def serialize(self) -> bytes:
        """The chunk."""
        return serialize_chunk(self.kind, 0, _TSN.pack(self.cumulative_tsn_ack))


@dataclass(slots=True)
class CookieEcho:
    """COOKIE ECHO."""

    kind: ClassVar[ChunkType] = ChunkType.COOKIE_ECHO
    cookie: bytes

    @classmethod
    def parse(cls, value: bytes) -> "CookieEcho":
        """Raises ``ParseError`` without a cookie."""
        if not value:
            raise ParseError("COOKIE_ECHO", "no cookie")
        return cls(value)

    def serialize(self) -> bytes:
        """The chunk, padded."""
        return serialize_chunk(self.kind, 0, self.cookie)


@dataclass(slots=True)
class Signal:
    """A chunk that says all by its type: SHUTDOWN ACK, COOKIE ACK, SHUTDOWN COMPLETE."""

    kind: ChunkType
    flags: int = 0

    @classmethod
    def parse(cls, kind: ChunkType, flags: int, value: bytes) -> "Signal":
        """Raises ``ParseError`` when there is a value."""
        if value:
            raise ParseError(kind.name, f"{len(value)} bytes")
        return cls(kind, flags)

    def serialize(self) -> bytes:
        """The chunk."""
        return serialize_chunk(self.kind, self.flags, b"")


@dataclass(slots=True)
class ForwardTsn:
    """FORWARD-TSN (RFC 3758 section 3.2). ``streams``: id and the last sequence number skipped in it."""

    kind: ClassVar[ChunkType] = ChunkType.FORWARD_TSN
    new_cumulative_tsn: int
    streams: list[tuple[int, int]] = field(default_factory=list)

    @classmethod
    def parse(cls, value: bytes) -> "ForwardTsn":
        """Raises ``ParseError`` for a length that leaves a rest."""
        if len(value) < 4 or len(value) % 4:
            raise ParseError("FORWARD_TSN", f"{len(value)} bytes")
        [tsn] = _TSN.unpack_from(value)
        return cls(tsn, [(stream, number) for stream, number in _PAIR.iter_unpack(value[4:])])

    def serialize(self) -> bytes:
        """The chunk."""
        pairs = b"".join(_PAIR.pack(*stream) for stream in self.streams)
        return serialize_chunk(self.kind, 0, _TSN.pack(self.new_cumulative_tsn) + pairs)


@dataclass(slots=True)
class ReConfig:
    """RE-CONFIG (RFC 6525 section 3.1); its parameters are ``reconfiguration``'s."""

    kind: ClassVar[ChunkType] = ChunkType.RE_CONFIG
    parameters: list[Parameter]

    @classmethod
    def parse(cls, value: bytes) -> "ReConfig":
        """Raises ``ParseError`` unless one or two parameters are in it."""
        parameters = parse_parameters(value, "RE_CONFIG")
        if not 1 <= len(parameters) <= 2:
            raise ParseError("RE_CONFIG", f"{len(parameters)} parameters")
        return cls(parameters)

    def serialize(self) -> bytes:
        """The chunk, padded."""
        # RFC 6525 section 3.1 gives the chunk's length without the padding of its last parameter.
        *first, last = self.parameters
        return serialize_chunk(self.kind, 0, serialize_parameters(first) + _unpadded(*last))


@dataclass(slots=True)
class UnknownChunk:
    """A chunk of a type that is not known here; its two high bits say what becomes of it."""

    kind: int
    flags: int
    value: bytes

    def serialize(self) -> bytes:
        """The chunk, padded."""
        return serialize_chunk(self.kind, self.flags, self.value)


Chunk = Data | Init | Sack | Heartbeat | Causes | Shutdown | CookieEcho | Signal | ForwardTsn | ReConfig | UnknownChunk


def parse_chunk(kind: int, flags: int, value: bytes) -> Chunk:
    """The chunk of this type with this value.

    Raises:
        ParseError: the value is not what the type says.
    """
    match kind:
        case ChunkType.DATA:
            return Data.parse(flags, value)
        case ChunkType.SACK:
            return Sack.parse(value)
        case ChunkType.INIT | ChunkType.INIT_ACK:
            return Init.parse(ChunkType(kind), value)
        case ChunkType.HEARTBEAT | ChunkType.HEARTBEAT_ACK:
            return Heartbeat.parse(ChunkType(kind), value)
        case ChunkType.ABORT | ChunkType.ERROR:
            return Causes.parse(ChunkType(kind), flags, value)
        case ChunkType.SHUTDOWN:
            return Shutdown.parse(value)
        case ChunkType.COOKIE_ECHO:
            return CookieEcho.parse(value)
        case ChunkType.SHUTDOWN_ACK | ChunkType.COOKIE_ACK | ChunkType.SHUTDOWN_COMPLETE:
            return Signal.parse(ChunkType(kind), flags, value)
        case ChunkType.FORWARD_TSN:
            return ForwardTsn.parse(value)
        case ChunkType.RE_CONFIG:
            return ReConfig.parse(value)
    return UnknownChunk(kind, flags, value)
