"""The Data Channel Establishment Protocol: DATA_CHANNEL_OPEN and DATA_CHANNEL_ACK (RFC 8832 section 5)."""

import struct
from dataclasses import dataclass
from enum import IntEnum

from visiomedia.errors import ConfigurationError, ParseError

_OPEN = struct.Struct("!BBHIHH")
_UNORDERED = 0x80


class PayloadProtocol(IntEnum):
    """Payload protocol identifiers of WebRTC (RFC 8831 section 8). The partial ones, 52 and 54, are deprecated."""

    DCEP = 50
    STRING = 51
    BINARY = 53
    STRING_EMPTY = 56
    BINARY_EMPTY = 57


class MessageType(IntEnum):
    """The first byte of a message."""

    ACK = 2
    OPEN = 3


class Reliability(IntEnum):
    """The channel type without its bit for unordered."""

    RELIABLE = 0
    PARTIAL_RELIABLE_REXMIT = 1
    PARTIAL_RELIABLE_TIMED = 2


@dataclass(slots=True)
class DataChannelOpen:
    """DATA_CHANNEL_OPEN. At most one of ``max_retransmits`` and ``max_packet_life_time`` (ms) is set."""

    label: str
    protocol: str = ""
    ordered: bool = True
    max_retransmits: int | None = None
    max_packet_life_time: int | None = None
    priority: int = 256

    def __post_init__(self) -> None:
        if self.max_retransmits is not None and self.max_packet_life_time is not None:
            raise ConfigurationError("max_retransmits", self.max_retransmits, "None when max_packet_life_time is set")
        for name, value, most in (
            ("max_retransmits", self.max_retransmits or 0, 0xFFFFFFFF),
            ("max_packet_life_time", self.max_packet_life_time or 0, 0xFFFFFFFF),
            ("priority", self.priority, 0xFFFF),
            ("bytes of label", len(self.label.encode()), 0xFFFF),
            ("bytes of protocol", len(self.protocol.encode()), 0xFFFF),
        ):
            if not 0 <= value <= most:
                raise ConfigurationError(name, value, f"0 to {most}")

    @classmethod
    def parse(cls, data: bytes) -> "DataChannelOpen":
        """Raises ``ParseError`` for a length that is not its strings', an unknown type, or strings not in UTF-8."""
        if len(data) < _OPEN.size or data[0] != MessageType.OPEN:
            raise ParseError("DATA_CHANNEL_OPEN", f"{len(data)} bytes")
        _, kind, priority, reliability, label_length, protocol_length = _OPEN.unpack_from(data)
        label_end = _OPEN.size + label_length
        if len(data) != label_end + protocol_length:
            raise ParseError("DATA_CHANNEL_OPEN", f"{len(data)} bytes for {label_length} and {protocol_length}")
        try:
            label, protocol = data[_OPEN.size : label_end].decode(), data[label_end:].decode()
        except UnicodeDecodeError as error:
            raise ParseError("DATA_CHANNEL_OPEN", "label or protocol not in UTF-8") from error
        policy = kind & ~_UNORDERED
        if policy > Reliability.PARTIAL_RELIABLE_TIMED:
            raise ParseError("DATA_CHANNEL_OPEN", f"channel type {kind}")
        return cls(
            label,
            protocol,
            not kind & _UNORDERED,
            reliability if policy == Reliability.PARTIAL_RELIABLE_REXMIT else None,
            reliability if policy == Reliability.PARTIAL_RELIABLE_TIMED else None,
            priority,
        )

    def serialize(self) -> bytes:
        """The message."""
        kind, reliability = Reliability.RELIABLE, 0
        if self.max_retransmits is not None:
            kind, reliability = Reliability.PARTIAL_RELIABLE_REXMIT, self.max_retransmits
        elif self.max_packet_life_time is not None:
            kind, reliability = Reliability.PARTIAL_RELIABLE_TIMED, self.max_packet_life_time
        label, protocol = self.label.encode(), self.protocol.encode()
        flags = kind | (0 if self.ordered else _UNORDERED)
        return (
            _OPEN.pack(MessageType.OPEN, flags, self.priority, reliability, len(label), len(protocol))
            + label
            + protocol
        )


DATA_CHANNEL_ACK = bytes([MessageType.ACK])
"""DATA_CHANNEL_ACK is one byte."""
