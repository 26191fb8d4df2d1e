"""RTP header extensions (RFC 8285), and the values of those that a media server reads or passes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from visiomedia.errors import ParseError

ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000
TWO_BYTE_MASK = 0xFFF0


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


def parse_extensions(profile: int | None, data: bytes) -> list[Element]:
    """The (id, value) elements of an extension block; of an unknown profile none.

    As a receiver must, it stops at what does not fit and keeps what it has read.
    """
    elements: list[Element] = []
    at = 0
    if profile is None or (profile != ONE_BYTE_PROFILE and profile & TWO_BYTE_MASK != TWO_BYTE_PROFILE):
        return elements
    two_byte = profile != ONE_BYTE_PROFILE
    while at < len(data):
        head = data[at]
        if head == 0:
            at += 1
            continue
        if two_byte:
            if at + 2 > len(data):
                break
            identifier, length = head, data[at + 1]
            at += 2
        else:
            identifier, length = head >> 4, (head & 0x0F) + 1
            at += 1
            # RFC 8285 section 4.2: "If the ID value 15 is used, ... processing of the entire extension MUST
            # terminate".
            if identifier == 15:
                break
        if at + length > len(data):
            break
        if identifier != 0:
            elements.append((identifier, data[at : at + length]))
        at += length
    return elements


def serialize_extensions(elements: Sequence[Element], *, two_byte: bool | None = None) -> tuple[int, bytes]:
    """Profile and padded bytes of a block; the two-byte form only where an element needs it, or as told.

    Raises ValueError for an element that the form cannot hold.
    """
    if two_byte is None:
        two_byte = any(identifier > 14 or not 1 <= len(value) <= 16 for identifier, value in elements)
    block = bytearray()
    for identifier, value in elements:
        longest, highest, shortest = (255, 255, 0) if two_byte else (16, 14, 1)
        if not 1 <= identifier <= highest or not shortest <= len(value) <= longest:
            raise ValueError(f"element {identifier} of {len(value)} bytes does not fit")
        block += bytes([identifier, len(value)]) if two_byte else bytes([identifier << 4 | len(value) - 1])
        block += value
    block += bytes(-len(block) % 4)
    return (TWO_BYTE_PROFILE if two_byte else ONE_BYTE_PROFILE), bytes(block)


def _exactly(value: bytes, length: int, what: str) -> bytes:
    if len(value) < length:
        raise ParseError(what, f"{len(value)} bytes, wants {length}")
    return value


def parse_token(value: bytes) -> str:
    """A MID, RID or repaired RID (RFC 8843, RFC 8852): 1 to 16 visible ASCII characters. Raises ParseError."""
    if not 1 <= len(value) <= 16 or not all(0x21 <= byte <= 0x7E for byte in value):
        raise ParseError("stream identifier", f"{value!r}")
    return value.decode("ascii")


@dataclass(frozen=True, slots=True)
class AudioLevel:
    """Loudness of a packet (RFC 6464). ``level``: 0 (loudest) to 127, in -dBov."""

    level: int
    has_voice: bool = False

    @classmethod
    def parse(cls, value: bytes) -> "AudioLevel":
        """Raises ParseError."""
        byte = _exactly(value, 1, "audio level")[0]
        return cls(byte & 0x7F, bool(byte & 0x80))

    def serialize(self) -> bytes:
        """One byte."""
        return bytes([self.level | self.has_voice << 7])


def parse_transport_sequence_number(value: bytes) -> int:
    """The 16-bit transport-wide sequence number. Raises ParseError."""
    return int.from_bytes(_exactly(value, 2, "transport-wide sequence number")[:2], "big")


def parse_abs_send_time(value: bytes) -> float:
    """Seconds modulo 64, of 24 bits in 6.18 fixed point. Raises ParseError."""
    return int.from_bytes(_exactly(value, 3, "absolute send time")[:3], "big") / (1 << 18)


def serialize_abs_send_time(seconds: float) -> bytes:
    """Three bytes."""
    return (int(seconds * (1 << 18)) & 0xFFFFFF).to_bytes(3, "big")


@dataclass(frozen=True, slots=True)
class AbsCaptureTime:
    """When a frame was captured. ``timestamp``: 64-bit NTP; ``clock_offset``: 32.32 signed, of the capturer's clock."""

    timestamp: int
    clock_offset: int | None = None

    @classmethod
    def parse(cls, value: bytes) -> "AbsCaptureTime":
        """Raises ParseError."""
        timestamp = int.from_bytes(_exactly(value, 8, "absolute capture time")[:8], "big")
        return cls(timestamp, int.from_bytes(value[8:16], "big", signed=True) if len(value) >= 16 else None)

    def serialize(self) -> bytes:
        """8 or 16 bytes."""
        data = self.timestamp.to_bytes(8, "big")
        return data if self.clock_offset is None else data + self.clock_offset.to_bytes(8, "big", signed=True)


@dataclass(frozen=True, slots=True)
class VideoOrientation:
    """How a picture must be turned (3GPP TS 26.114 section 7.4.5). ``rotation``: degrees clockwise, of 0 90 180 270."""

    rotation: int
    is_flipped: bool = False
    is_back_camera: bool = False

    @classmethod
    def parse(cls, value: bytes) -> "VideoOrientation":
        """Raises ParseError."""
        byte = _exactly(value, 1, "video orientation")[0]
        return cls((byte & 0x03) * 90, bool(byte & 0x04), bool(byte & 0x08))

    def serialize(self) -> bytes:
        """One byte."""
        return bytes([self.rotation // 90 % 4 | self.is_flipped << 2 | self.is_back_camera << 3])


@dataclass(frozen=True, slots=True)
class PlayoutDelay:
    """Bounds of a receiver's playout delay, in ms, multiples of 10 up to 40950."""

    least_ms: int
    most_ms: int

    @classmethod
    def parse(cls, value: bytes) -> "PlayoutDelay":
        """Raises ParseError."""
        bits = int.from_bytes(_exactly(value, 3, "playout delay")[:3], "big")
        return cls((bits >> 12) * 10, (bits & 0xFFF) * 10)

    def serialize(self) -> bytes:
        """Three bytes."""
        return (self.least_ms // 10 << 12 | self.most_ms // 10).to_bytes(3, "big")


@dataclass(frozen=True, slots=True)
class DependencyDescriptor:
    """The mandatory fields of a dependency descriptor (AV1 RTP appendix A); the rest is carried as it is."""

    starts_frame: bool
    ends_frame: bool
    template_id: int
    frame_number: int
    rest: bytes = b""

    @property
    def has_structure(self) -> bool:
        """Whether a template structure is attached, as to every key frame."""
        return bool(self.rest) and bool(self.rest[0] & 0x80)

    @classmethod
    def parse(cls, value: bytes) -> "DependencyDescriptor":
        """Raises ParseError."""
        data = _exactly(value, 3, "dependency descriptor")
        frame_number = int.from_bytes(data[1:3], "big")
        return cls(bool(data[0] & 0x80), bool(data[0] & 0x40), data[0] & 0x3F, frame_number, data[3:])

    def serialize(self) -> bytes:
        """Three bytes and the rest."""
        head = self.starts_frame << 7 | self.ends_frame << 6 | self.template_id
        return bytes([head]) + self.frame_number.to_bytes(2, "big") + self.rest
