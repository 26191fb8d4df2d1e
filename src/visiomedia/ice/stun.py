"""STUN messages as ICE uses them: RFC 8489 sections 5, 6.3 and 14, attributes of RFC 8445 section 16.1.

One table drives both directions. Text and numbers are decoded when a message is parsed; integrity is checked
by ``Message.is_authentic`` once the caller knows which password belongs to the username.
"""

import hmac
import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple

from visiomedia.errors import ConfigurationError, ParseError

MAGIC_COOKIE: Final = 0x2112A442
HEADER_LENGTH: Final = 20
TRANSACTION_ID_LENGTH: Final = 12
MAXIMUM_LENGTH: Final = 1500
"""Longest message parsed, bytes: RFC 8489 section 6.1 keeps one within the path MTU. Bounds the work too."""

_COOKIE_BYTES: Final = MAGIC_COOKIE.to_bytes(4, "big")
_FINGERPRINT_XOR: Final = 0x5354554E
_INTEGRITY_LENGTH: Final = 20
_LONGEST_USERNAME: Final = 508
_IPV4_FAMILY: Final = 1
_IPV6_FAMILY: Final = 2
_MAPPED_IPV4_PREFIX: Final = bytes(10) + b"\xff\xff"
_LOWEST_OPTIONAL_TYPE: Final = 0x8000

_HEADER: Final = struct.Struct("!HHI12s")
_ATTRIBUTE_HEADER: Final = struct.Struct("!HH")
_UINT16: Final = struct.Struct("!H")
_UINT32: Final = struct.Struct("!I")
_UINT64: Final = struct.Struct("!Q")
_ADDRESS_HEADER: Final = struct.Struct("!BBH")
_ERROR_HEADER: Final = struct.Struct("!HBB")


class MessageClass(IntEnum):
    """The two class bits of a message type (RFC 8489 section 5)."""

    REQUEST = 0
    INDICATION = 1
    SUCCESS_RESPONSE = 2
    ERROR_RESPONSE = 3


class Method(IntEnum):
    """Methods this library speaks; others stay ints."""

    BINDING = 1


class AttributeType(IntEnum):
    """Attribute types this library understands (IANA's STUN parameters)."""

    MAPPED_ADDRESS = 0x0001
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    MESSAGE_INTEGRITY_SHA256 = 0x001C
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    SOFTWARE = 0x8022
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029
    ICE_CONTROLLING = 0x802A


class ErrorCode(IntEnum):
    """Error codes (RFC 8489 section 14.8, RFC 8445 section 16.2)."""

    BAD_REQUEST = 400
    UNAUTHENTICATED = 401
    UNKNOWN_ATTRIBUTE = 420
    ROLE_CONFLICT = 487


class TransportAddress(NamedTuple):
    """An IP address and a port as MAPPED-ADDRESS and XOR-MAPPED-ADDRESS carry them."""

    host: str
    port: int


class ErrorReason(NamedTuple):
    """ERROR-CODE: 300 to 699 and its words."""

    code: int
    reason: str


@dataclass(slots=True, kw_only=True)
class Message:
    """One STUN message. Attributes are fields, None (or False) where absent; unknown optional ones are gone.

    ``unknown_required`` lists, in their order, the comprehension-required attribute types that the parser did
    not know (RFC 8489 section 6.3.1: a request that has any is answered 420).
    """

    message_class: MessageClass
    transaction_id: bytes
    method: int = Method.BINDING
    username: str | None = None
    priority: int | None = None
    use_candidate: bool = False
    ice_controlled: int | None = None
    ice_controlling: int | None = None
    xor_mapped_address: TransportAddress | None = None
    mapped_address: TransportAddress | None = None
    error: ErrorReason | None = None
    unknown_attributes: tuple[int, ...] | None = None
    software: str | None = None
    unknown_required: tuple[int, ...] = ()
    has_fingerprint: bool = field(default=False, compare=False)
    _wire: bytes = field(default=b"", repr=False, compare=False)
    _integrity_offset: int = field(default=0, repr=False, compare=False)

    @property
    def has_integrity(self) -> bool:
        """Whether the message was parsed and carries MESSAGE-INTEGRITY."""
        return self._integrity_offset > 0

    def is_authentic(self, password: bytes) -> bool:
        """Whether MESSAGE-INTEGRITY is there and made with ``password``; compared in constant time."""
        offset = self._integrity_offset
        if not offset:
            return False
        wire = self._wire
        digest = _integrity(wire[:2], wire[4:offset], password)
        return hmac.compare_digest(digest, wire[offset + 4 : offset + 4 + _INTEGRITY_LENGTH])

    @classmethod
    def parse(cls, data: bytes) -> "Message":
        """The message that a whole datagram holds; a FINGERPRINT, if there is one, is checked.

        Raises:
            ParseError: it is no STUN message, or one whose attributes or fingerprint are wrong.
        """
        length = len(data)
        if not HEADER_LENGTH <= length <= MAXIMUM_LENGTH:
            raise ParseError("STUN message", f"{length} bytes")
        message_type, body_length, cookie, transaction_id = _HEADER.unpack_from(data)
        # RFC 8489 section 5: "The most significant 2 bits of every STUN message MUST be zeroes."
        if message_type > 0x3FFF or cookie != MAGIC_COOKIE:
            raise ParseError("STUN message", "not STUN")
        if body_length != length - HEADER_LENGTH or body_length & 3:
            raise ParseError("STUN message", f"length {body_length} in {length} bytes")
        message = cls(
            message_class=MessageClass((message_type >> 4) & 1 | (message_type >> 7) & 2),
            method=message_type & 0xF | (message_type >> 1) & 0x70 | (message_type >> 2) & 0xF80,
            transaction_id=transaction_id,
        )
        message._wire = data
        message._read_attributes(data)
        return message

    def _read_attributes(self, data: bytes) -> None:
        end = len(data)
        unknown: list[int] = []
        seen: set[int] = set()
        offset = HEADER_LENGTH
        while offset < end:
            attribute_type, value_length = _ATTRIBUTE_HEADER.unpack_from(data, offset)
            start = offset + 4
            following = start + (value_length + 3 & ~3)
            if following > end:
                raise ParseError("STUN attribute", f"0x{attribute_type:04x} runs past the message")
            if attribute_type == AttributeType.FINGERPRINT:
                # RFC 8489 section 14.7: "the FINGERPRINT attribute MUST be the last attribute in the message"
                if following != end or value_length != 4:
                    raise ParseError("STUN FINGERPRINT", "not last, or not 4 bytes")
                if _UINT32.unpack_from(data, start)[0] != _fingerprint(data[:offset]):
                    raise ParseError("STUN FINGERPRINT", "mismatch")
                self.has_fingerprint = True
            elif self._integrity_offset:
                pass  # RFC 8489 section 14.5: "ignore all other attributes that follow MESSAGE-INTEGRITY"
            elif attribute_type == AttributeType.MESSAGE_INTEGRITY:
                if value_length != _INTEGRITY_LENGTH:
                    raise ParseError("STUN MESSAGE-INTEGRITY", f"{value_length} bytes")
                self._integrity_offset = offset
            elif (codec := _BY_TYPE.get(attribute_type)) is not None:
                # RFC 8489 section 14: "only the first occurrence needs to be processed by a receiver"
                if attribute_type not in seen:
                    seen.add(attribute_type)
                    setattr(
                        self,
                        codec.name,
                        codec.decode(data[start : start + value_length], self.transaction_id),
                    )
            elif attribute_type < _LOWEST_OPTIONAL_TYPE and attribute_type != AttributeType.MESSAGE_INTEGRITY_SHA256:
                unknown.append(attribute_type)
            offset = following
        self.unknown_required = tuple(unknown)

    def serialize(self, password: bytes | None = None) -> bytes:
        """The bytes of the message: FINGERPRINT last, MESSAGE-INTEGRITY before it if a password is given."""
        assert len(self.transaction_id) == TRANSACTION_ID_LENGTH, "a transaction id has 96 bits"
        body = bytearray()
        for codec in _CODECS:
            value = getattr(self, codec.name)
            if value is None or value is False:
                continue
            encoded = codec.encode(value, self.transaction_id)
            body += _ATTRIBUTE_HEADER.pack(codec.type, len(encoded))
            body += encoded
            body += bytes(-len(encoded) & 3)
        method, message_class = self.method, self.message_class
        message_type = _UINT16.pack(
            method & 0xF
            | (method & 0x70) << 1
            | (method & 0xF80) << 2
            | (message_class & 1) << 4
            | (message_class & 2) << 7
        )
        after_length = _COOKIE_BYTES + self.transaction_id + body
        if password is not None:
            digest = _integrity(message_type, after_length, password)
            after_length += _ATTRIBUTE_HEADER.pack(AttributeType.MESSAGE_INTEGRITY, _INTEGRITY_LENGTH) + digest
        # FINGERPRINT covers the header with its final length: 16 header bytes are in after_length, 8 follow.
        covered = message_type + _UINT16.pack(len(after_length) - 16 + 8) + after_length
        return (
            covered
            + _ATTRIBUTE_HEADER.pack(AttributeType.FINGERPRINT, 4)
            + _UINT32.pack(zlib.crc32(covered) ^ _FINGERPRINT_XOR)
        )


def _integrity(message_type: bytes, after_length: bytes, password: bytes) -> bytes:
    # RFC 8489 section 14.5: the length is taken as if MESSAGE-INTEGRITY (24 bytes) were the last attribute.
    length = _UINT16.pack(len(after_length) - 16 + 4 + _INTEGRITY_LENGTH)
    return hmac.digest(password, message_type + length + after_length, "sha1")


def _fingerprint(covered: bytes) -> int:
    # FINGERPRINT is the last attribute, so the length in the header already counts it.
    return zlib.crc32(covered) ^ _FINGERPRINT_XOR


def _decode_username(value: bytes, _: bytes) -> str:
    # RFC 8489 section 14.3: UTF-8, less than 509 bytes.
    if len(value) > _LONGEST_USERNAME:
        raise ParseError("STUN USERNAME", f"{len(value)} bytes")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise ParseError("STUN USERNAME", "not UTF-8") from None


def _encode_username(value: str, _: bytes) -> bytes:
    encoded = value.encode("utf-8")
    assert len(encoded) <= _LONGEST_USERNAME, "credentials bound the length of a username"
    return encoded


def _decode_text(value: bytes, _: bytes) -> str:
    # Words for a person's eyes: a wrong byte in them is no reason to drop the message.
    return value.decode("utf-8", "replace")


def _encode_text(value: str, _: bytes) -> bytes:
    return value.encode("utf-8")


def _decode_uint32(value: bytes, _: bytes) -> int:
    if len(value) != 4:
        raise ParseError("STUN PRIORITY", f"{len(value)} bytes")
    return int.from_bytes(value, "big")


def _encode_uint32(value: int, _: bytes) -> bytes:
    return _UINT32.pack(value)


def _decode_uint64(value: bytes, _: bytes) -> int:
    if len(value) != 8:
        raise ParseError("STUN tie-breaker", f"{len(value)} bytes")
    return int.from_bytes(value, "big")


def _encode_uint64(value: int, _: bytes) -> bytes:
    return _UINT64.pack(value)


def _decode_flag(value: bytes, _: bytes) -> bool:
    if value:
        raise ParseError("STUN USE-CANDIDATE", f"{len(value)} bytes")
    return True


def _encode_flag(_: bool, __: bytes) -> bytes:
    return b""


def _decode_error(value: bytes, _: bytes) -> ErrorReason:
    if len(value) < 4:
        raise ParseError("STUN ERROR-CODE", f"{len(value)} bytes")
    hundreds, number = value[2] & 7, value[3]
    # RFC 8489 section 14.8: the class is the hundreds digit, 3 to 6; the number is 0 to 99.
    if not 3 <= hundreds <= 6 or number > 99:
        raise ParseError("STUN ERROR-CODE", f"class {hundreds}, number {number}")
    return ErrorReason(hundreds * 100 + number, value[4:].decode("utf-8", "replace"))


def _encode_error(value: ErrorReason, _: bytes) -> bytes:
    return _ERROR_HEADER.pack(0, *divmod(value.code, 100)) + value.reason.encode("utf-8")


def _decode_types(value: bytes, _: bytes) -> tuple[int, ...]:
    if len(value) & 1:
        raise ParseError("STUN UNKNOWN-ATTRIBUTES", f"{len(value)} bytes")
    return struct.unpack(f"!{len(value) // 2}H", value)


def _encode_types(value: tuple[int, ...], _: bytes) -> bytes:
    return struct.pack(f"!{len(value)}H", *value)


def _decode_address(value: bytes, _: bytes) -> TransportAddress:
    if len(value) < 4:
        raise ParseError("STUN address", f"{len(value)} bytes")
    family, packed = value[1], value[4:]
    if family == _IPV4_FAMILY and len(packed) == 4:
        host = socket.inet_ntop(socket.AF_INET, packed)
    elif family == _IPV6_FAMILY and len(packed) == 16:
        host = socket.inet_ntop(socket.AF_INET6, packed)
    else:
        raise ParseError("STUN address", f"family {family} in {len(packed)} bytes")
    return TransportAddress(host, value[2] << 8 | value[3])


def _encode_address(value: TransportAddress, _: bytes) -> bytes:
    host, port = value
    try:
        if ":" not in host:
            packed = socket.inet_pton(socket.AF_INET, host)
        else:
            packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except OSError:
        raise ConfigurationError("host", host, "an IPv4 or IPv6 address") from None
    # A dual-stack socket shows an IPv4 peer as ::ffff:a.b.c.d; that peer knows itself as IPv4.
    packed = packed.removeprefix(_MAPPED_IPV4_PREFIX)
    return _ADDRESS_HEADER.pack(0, _IPV4_FAMILY if len(packed) == 4 else _IPV6_FAMILY, port) + packed


def _exclusive_or(value: bytes, transaction_id: bytes) -> bytes:
    # RFC 8489 section 14.2: the port with half the cookie, the address with cookie and transaction id.
    size = len(value)
    pad = (b"\0\0" + _COOKIE_BYTES[:2] + _COOKIE_BYTES + transaction_id)[:size]
    return (int.from_bytes(value, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")


def _decode_xor_address(value: bytes, transaction_id: bytes) -> TransportAddress:
    if len(value) > 20:
        raise ParseError("STUN address", f"{len(value)} bytes")
    return _decode_address(_exclusive_or(value, transaction_id), transaction_id)


def _encode_xor_address(value: TransportAddress, transaction_id: bytes) -> bytes:
    return _exclusive_or(_encode_address(value, transaction_id), transaction_id)


class _Codec(NamedTuple):
    type: AttributeType
    name: str
    decode: Callable[[bytes, bytes], Any]
    encode: Callable[[Any, bytes], bytes]


_CODECS: Final = (
    _Codec(AttributeType.USERNAME, "username", _decode_username, _encode_username),
    _Codec(AttributeType.XOR_MAPPED_ADDRESS, "xor_mapped_address", _decode_xor_address, _encode_xor_address),
    _Codec(AttributeType.MAPPED_ADDRESS, "mapped_address", _decode_address, _encode_address),
    _Codec(AttributeType.ICE_CONTROLLED, "ice_controlled", _decode_uint64, _encode_uint64),
    _Codec(AttributeType.ICE_CONTROLLING, "ice_controlling", _decode_uint64, _encode_uint64),
    _Codec(AttributeType.USE_CANDIDATE, "use_candidate", _decode_flag, _encode_flag),
    _Codec(AttributeType.PRIORITY, "priority", _decode_uint32, _encode_uint32),
    _Codec(AttributeType.ERROR_CODE, "error", _decode_error, _encode_error),
    _Codec(AttributeType.UNKNOWN_ATTRIBUTES, "unknown_attributes", _decode_types, _encode_types),
    _Codec(AttributeType.SOFTWARE, "software", _decode_text, _encode_text),
)
_BY_TYPE: Final[dict[int, _Codec]] = {int(codec.type): codec for codec in _CODECS}
