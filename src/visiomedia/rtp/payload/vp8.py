"""VP8 payloads (RFC 7741): the descriptor before each packet, and what a frame's header says."""

from dataclasses import dataclass

from visiomedia.errors import ParseError

START_CODE = b"\x9d\x01\x2a"


@dataclass(slots=True)
class Vp8Descriptor:
    """The payload descriptor (section 4.2)."""

    starts_partition: bool
    partition: int = 0
    is_reference: bool = True
    """False: no other frame depends on this one (bit N)."""
    picture_id: int | None = None
    long_picture_id: bool = True
    """15 bits; else 7."""
    tl0_picture_index: int | None = None
    temporal_layer: int | None = None
    is_layer_sync: bool = False
    key_index: int | None = None

    @property
    def starts_frame(self) -> bool:
        """Whether a frame begins here."""
        return self.starts_partition and self.partition == 0

    @classmethod
    def parse(cls, data: bytes) -> "tuple[Vp8Descriptor, bytes]":
        """The descriptor and what follows it. Raises: ParseError."""
        try:
            descriptor, at = cls._read(data)
        except IndexError:
            raise ParseError("VP8 descriptor", "cut short") from None
        if at > len(data):
            raise ParseError("VP8 descriptor", "cut short")
        return descriptor, data[at:]

    @classmethod
    def _read(cls, data: bytes) -> "tuple[Vp8Descriptor, int]":
        first = data[0]
        descriptor = cls(bool(first & 0x10), first & 0x07, not first & 0x20)
        at = 1
        if not first & 0x80:
            return descriptor, at
        extended = data[at]
        at += 1
        if extended & 0x80:
            number = data[at]
            descriptor.long_picture_id = number >= 0x80
            descriptor.picture_id = (number & 0x7F) << 8 | data[at + 1] if number >= 0x80 else number
            at += 2 if number >= 0x80 else 1
        if extended & 0x40:
            descriptor.tl0_picture_index = data[at]
            at += 1
        if extended & 0x30:
            # One byte for both, of which those bits count whose flag is set.
            layers = data[at]
            at += 1
            if extended & 0x20:
                descriptor.temporal_layer, descriptor.is_layer_sync = layers >> 6, bool(layers & 0x20)
            if extended & 0x10:
                descriptor.key_index = layers & 0x1F
        return descriptor, at

    def serialize(self) -> bytes:
        """The descriptor's bytes; numbers wrap at their width. ``is_layer_sync`` is told only with a temporal layer."""
        flags = (
            (self.picture_id is not None) << 7
            | (self.tl0_picture_index is not None) << 6
            | (self.temporal_layer is not None) << 5
            | (self.key_index is not None) << 4
        )
        head = (not self.is_reference) << 5 | self.starts_partition << 4 | self.partition & 0x07
        data = bytearray([bool(flags) << 7 | head])
        if flags:
            data.append(flags)
        if self.picture_id is not None:
            if self.long_picture_id:
                data += (0x8000 | self.picture_id & 0x7FFF).to_bytes(2, "big")
            else:
                data.append(self.picture_id & 0x7F)
        if self.tl0_picture_index is not None:
            data.append(self.tl0_picture_index & 0xFF)
        layers = 0
        if self.temporal_layer is not None:
            layers = (self.temporal_layer & 0x03) << 6 | self.is_layer_sync << 5
        if self.temporal_layer is not None or self.key_index is not None:
            data.append(layers | (self.key_index or 0) & 0x1F)
        return bytes(data)


def is_key_frame(frame: bytes) -> bool:
    """Whether a frame's first bytes are those of a key frame (RFC 6386 section 9.1: the P bit is 0)."""
    return bool(frame) and not frame[0] & 0x01


def frame_size(frame: bytes) -> tuple[int, int] | None:
    """Width and height of a key frame, in pixels; None of another."""
    if len(frame) < 10 or not is_key_frame(frame) or frame[3:6] != START_CODE:
        return None
    return int.from_bytes(frame[6:8], "little") & 0x3FFF, int.from_bytes(frame[8:10], "little") & 0x3FFF
