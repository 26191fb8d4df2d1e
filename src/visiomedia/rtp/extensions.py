"""RTP header extensions (RFC 8285), and the values of those that a media server reads or passes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from visiomedia.errors import ParseError

ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000
TWO_BYTE_MASK = 0xFFF0
"""The low four bits of a two-byte block's profile are "appbits", free for applications (section 4.3)."""


class ExtensionKind(IntEnum):
    """What an element is; the numbers are columns of the packet plane."""

    UNKNOWN = 0
    MID = 1
    RID = 2
    REPAIRED_RID = 3
    AUDIO_LEVEL = 4
    TRANSPORT_WIDE_CC = 5
    ABS_SEND_TIME = 6
    ABS_CAPTURE_TIME = 7
    VIDEO_ORIENTATION = 8
    PLAYOUT_DELAY = 9
    DEPENDENCY_DESCRIPTOR = 10


URI_BY_KIND = {
    ExtensionKind.MID: "urn:ietf:params:rtp-hdrext:sdes:mid",
    ExtensionKind.RID: "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
    ExtensionKind.REPAIRED_RID: "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
    ExtensionKind.AUDIO_LEVEL: "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    ExtensionKind.TRANSPORT_WIDE_CC: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
    ExtensionKind.ABS_SEND_TIME: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    ExtensionKind.ABS_CAPTURE_TIME: "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
    ExtensionKind.VIDEO_ORIENTATION: "urn:3gpp:video-orientation",
    ExtensionKind.PLAYOUT_DELAY: "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    ExtensionKind.DEPENDENCY_DESCRIPTOR: (
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
    ),
}
KIND_BY_URI = {uri: kind for kind, uri in URI_BY_KIND.items()}

Element = tuple[int, bytes]
"""Local identifier and value."""


def parse_extensions(profile: int | None, data: bytes) -> list[Element]:
    """The (id, value) elements of an extension block; of an unknown profile, or none, an empty list.

    Never raises: as a receiver must, it stops at what does not fit and keeps what it has read.
    """
    if profile == ONE_BYTE_PROFILE:
        return _parse_one_byte(data)
    if profile is not None and profile & TWO_BYTE_MASK == TWO_BYTE_PROFILE:
        return _parse_two_byte(data)
    return []


def _parse_one_byte(data: bytes) -> list[Element]:
    elements: list[Element] = []
    at, end = 0, len(data)
    while at < end:
        head = data[at]
        at += 1
        if head == 0:
            continue
        identifier, stop = head >> 4, at + (head & 0x0F) + 1
        # RFC 8285 section 4.2: at ID 15 processing stops; section 4.1.2 says of ID 0 with a length: "processing of
        # the entire extension MUST terminate at that point".
        if identifier in (0, 15) or stop > end:
            break
        elements.append((identifier, data[at:stop]))
        at = stop
    return elements


def _parse_two_byte(data: bytes) -> list[Element]:
    elements: list[Element] = []
    at, end = 0, len(data)
    while at < end:
        identifier = data[at]
        if identifier == 0:
            at += 1
            continue
        if at + 2 > end:
            break
        stop = at + 2 + data[at + 1]
        if stop > end:
            break
        elements.append((identifier, data[at + 2 : stop]))
        at = stop
    return elements


def serialize_extensions(elements: Sequence[Element], *, two_byte: bool | None = None) -> tuple[int, bytes]:
    """Profile and padded bytes of a block; the two-byte form only where an element needs it, or as told.

    Whoever sends two-byte blocks where others may be one-byte needs ``extmap-allow-mixed`` (section 4.1.2).
    Raises: ValueError for an element that the form cannot hold.
    """
    if two_byte is None:
        two_byte = any(identifier > 14 or not 1 <= len(value) <= 16 for identifier, value in elements)
    shortest, longest, highest = (0, 255, 255) if two_byte else (1, 16, 14)
    block = bytearray()
    for identifier, value in elements:
        if not 1 <= identifier <= highest or not shortest <= len(value) <= longest:
            raise ValueError(f"element {identifier} of {len(value)} bytes does not fit")
        block += bytes([identifier, len(value)]) if two_byte else bytes([identifier << 4 | len(value) - 1])
        block += value
    block += bytes(-len(block) % 4)
    return (TWO_BYTE_PROFILE if two_byte else ONE_BYTE_PROFILE), bytes(block)


def _require(value: bytes, length: int, what: str) -> None:
    """What is longer is taken: a newer version of an extension may have grown."""
    if len(value) < length:
        raise ParseError(what, f"{len(value)} bytes, wants {length}")


def _within(value: int, highest: int, what: str) -> int:
    if not 0 <= value <= highest:
        raise ValueError(f"{what} {value} is not within 0 to {highest}")
    return value


TOKEN_CHARACTERS = frozenset(b"!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz{|}~")
"""RFC 8866 section 9, ``token``: what a MID is made of."""

RID_CHARACTERS = frozenset(b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
"""RFC 8851 section 10, ``rid-id``. RFC 8852 allows fewer on the wire, but senders put there what SDP named."""


def parse_mid(value: bytes) -> str:
    """A media section's identification tag (RFC 9143 section 14). Raises: ParseError."""
    if not value or not TOKEN_CHARACTERS.issuperset(value):
        raise ParseError("MID", f"{value!r} is no token")
    return value.decode("ascii")


def serialize_mid(mid: str) -> bytes:
    """Its bytes. Raises: ValueError where it is no token or too long for an element."""
    value = mid.encode("ascii", "replace")
    if not mid or len(mid) > 255 or value != mid.encode() or not TOKEN_CHARACTERS.issuperset(value):
        raise ValueError(f"{mid!r} cannot be a MID")
    return value


def parse_rid(value: bytes) -> str:
    """The identifier of a stream, or of the stream that a repair stream repairs (RFC 8852). Raises: ParseError."""
    if not value or not RID_CHARACTERS.issuperset(value):
        raise ParseError("RID", f"{value!r} is no stream identifier")
    return value.decode("ascii")


def serialize_rid(rid: str) -> bytes:
    """Its bytes. Raises: ValueError where it is no stream identifier or too long for an element."""
    value = rid.encode("ascii", "replace")
    if not rid or len(rid) > 255 or value != rid.encode() or not RID_CHARACTERS.issuperset(value):
        raise ValueError(f"{rid!r} cannot be a RID")
    return value


@dataclass(frozen=True, slots=True)
class AudioLevel:
    """Loudness of a packet (RFC 6464). ``level``: 0 (loudest) to 127 (silence), in -dBov."""

    level: int
    has_voice: bool = False

    @classmethod
    def parse(cls, value: bytes) -> "AudioLevel":
        """The level of an element. Raises: ParseError."""
        _require(value, 1, "audio level")
        return cls(value[0] & 0x7F, bool(value[0] & 0x80))

    def serialize(self) -> bytes:
        """One byte. Raises: ValueError."""
        return bytes([_within(self.level, 127, "audio level") | self.has_voice << 7])


def parse_transport_sequence_number(value: bytes) -> int:
    """The 16-bit transport-wide sequence number. Raises: ParseError."""
    _require(value, 2, "transport-wide sequence number")
    return value[0] << 8 | value[1]


def serialize_transport_sequence_number(number: int) -> bytes:
    """Two bytes: the low 16 bits of an unbounded number."""
    return (number & 0xFFFF).to_bytes(2, "big")


def parse_abs_send_time(value: bytes) -> float:
    """Seconds modulo 64, of 24 bits in 6.18 fixed point. Raises: ParseError."""
    _require(value, 3, "absolute send time")
    return int.from_bytes(value[:3], "big") / (1 << 18)


def serialize_abs_send_time(seconds: float) -> bytes:
    """Three bytes, of any time in seconds."""
    return (round(seconds * (1 << 18)) & 0xFFFFFF).to_bytes(3, "big")


@dataclass(frozen=True, slots=True)
class AbsCaptureTime:
    """When a frame was captured (http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time)."""

    timestamp: int
    """64-bit NTP time, 32.32, of the capturer's clock."""
    clock_offset: int | None = None
    """Signed 32.32: what to add to come to the sender's clock; None where it was not said."""

    @classmethod
    def parse(cls, value: bytes) -> "AbsCaptureTime":
        """The time of an element of 8 or 16 bytes. Raises: ParseError."""
        _require(value, 8, "absolute capture time")
        offset = int.from_bytes(value[8:16], "big", signed=True) if len(value) >= 16 else None
        return cls(int.from_bytes(value[:8], "big"), offset)

    def serialize(self) -> bytes:
        """8 or 16 bytes. Raises: ValueError."""
        data = _within(self.timestamp, (1 << 64) - 1, "capture time").to_bytes(8, "big")
        if self.clock_offset is None:
            return data
        _within(self.clock_offset + (1 << 63), (1 << 64) - 1, "clock offset")
        return data + self.clock_offset.to_bytes(8, "big", signed=True)


@dataclass(frozen=True, slots=True)
class VideoOrientation:
    """How a picture must be turned (3GPP TS 26.114 section 7.4.5)."""

    rotation: int
    """Degrees clockwise: 0, 90, 180 or 270."""
    is_flipped: bool = False
    is_back_camera: bool = False

    @classmethod
    def parse(cls, value: bytes) -> "VideoOrientation":
        """The orientation of an element. Raises: ParseError."""
        _require(value, 1, "video orientation")
        return cls((value[0] & 0x03) * 90, bool(value[0] & 0x04), bool(value[0] & 0x08))

    def serialize(self) -> bytes:
        """One byte. Raises: ValueError."""
        if self.rotation not in (0, 90, 180, 270):
            raise ValueError(f"rotation {self.rotation} is not one of 0, 90, 180, 270")
        return bytes([self.rotation // 90 | self.is_flipped << 2 | self.is_back_camera << 3])


@dataclass(frozen=True, slots=True)
class PlayoutDelay:
    """Bounds of a receiver's playout delay, in ms, multiples of 10 up to 40950."""

    least_ms: int
    most_ms: int

    @classmethod
    def parse(cls, value: bytes) -> "PlayoutDelay":
        """The bounds of an element: two of 12 bits, in 10 ms. Raises: ParseError."""
        _require(value, 3, "playout delay")
        bits = int.from_bytes(value[:3], "big")
        if bits >> 12 > bits & 0xFFF:
            raise ParseError("playout delay", f"least {(bits >> 12) * 10} ms is above most {(bits & 0xFFF) * 10} ms")
        return cls((bits >> 12) * 10, (bits & 0xFFF) * 10)

    def serialize(self) -> bytes:
        """Three bytes; what lies below 10 ms is lost. Raises: ValueError."""
        most = _within(self.most_ms // 10, 0xFFF, "playout delay in 10 ms")
        return (_within(self.least_ms // 10, most, "least playout delay in 10 ms") << 12 | most).to_bytes(3, "big")


@dataclass(frozen=True, slots=True)
class DependencyDescriptor:
    """The mandatory fields of a dependency descriptor (AV1 RTP specification, appendix A.8.1); the rest is carried."""

    start_of_frame: bool
    end_of_frame: bool
    template_id: int
    """Of 64."""
    frame_number: int
    """16 bits, wrapping."""
    rest: bytes = b""
    """Extended fields as they came."""

    @property
    def has_structure(self) -> bool:
        """Whether a template dependency structure is attached, as to every key frame."""
        return bool(self.rest) and self.rest[0] >= 0x80

    @classmethod
    def parse(cls, value: bytes) -> "DependencyDescriptor":
        """The descriptor in an element. Raises: ParseError."""
        _require(value, 3, "dependency descriptor")
        head = value[0]
        return cls(bool(head & 0x80), bool(head & 0x40), head & 0x3F, value[1] << 8 | value[2], value[3:])

    def serialize(self) -> bytes:
        """Three bytes and the rest. Raises: ValueError."""
        head = self.start_of_frame << 7 | self.end_of_frame << 6 | _within(self.template_id, 63, "template")
        return bytes([head]) + _within(self.frame_number, 0xFFFF, "frame number").to_bytes(2, "big") + self.rest
