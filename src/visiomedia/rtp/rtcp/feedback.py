"""Feedback messages: NACK, PLI, FIR, REMB (RFC 4585, RFC 5104, draft-alvestrand-rmcat-remb-03)."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from visiomedia.errors import ParseError
from visiomedia.rtp.rtcp.header import PacketType, PayloadSpecificFormat, TransportLayerFormat, pack_packet
from visiomedia.rtp.sequence import distance

HEAD = struct.Struct("!II")
REMB_NAME = b"REMB"
MANTISSA_BITS = 18
MAX_EXPONENT = 63


def _parse_head(content: bytes, what: str) -> tuple[int, int]:
    """SSRC of the packet's sender and of the media source (RFC 4585 section 6.1)."""
    if len(content) < HEAD.size:
        raise ParseError(what, f"{len(content)} bytes, wants at least {HEAD.size}")
    sender, media = HEAD.unpack_from(content)
    return sender, media


def _pack_head(sender_ssrc: int, media_ssrc: int) -> bytes:
    return sender_ssrc.to_bytes(4, "big") + media_ssrc.to_bytes(4, "big")


def pack_lost(sequence_numbers: Iterable[int]) -> list[tuple[int, int]]:
    """(PID, BLP) pairs for lost sequence numbers, 16-bit or unbounded, oldest first (RFC 4585 section 6.2.1)."""
    pairs: list[tuple[int, int]] = []
    for number in sequence_numbers:
        behind = distance(number, pairs[-1][0]) if pairs else -1
        if 1 <= behind <= 16:
            pid, mask = pairs[-1]
            pairs[-1] = (pid, mask | 1 << (behind - 1))
        elif behind != 0:
            pairs.append((number & 0xFFFF, 0))
    return pairs


def unpack_lost(pairs: Iterable[tuple[int, int]]) -> list[int]:
    """The lost 16-bit sequence numbers of (PID, BLP) pairs."""
    lost: list[int] = []
    for pid, mask in pairs:
        lost.append(pid)
        if mask:
            lost += [(pid + 1 + bit) & 0xFFFF for bit in range(16) if mask >> bit & 1]
    return lost


@dataclass(frozen=True, slots=True)
class Nack:
    """Generic NACK: packets that did not come (RFC 4585 section 6.2.1). ``lost``: 16-bit sequence numbers."""

    sender_ssrc: int
    media_ssrc: int
    lost: tuple[int, ...]

    @classmethod
    def parse(cls, content: bytes) -> "Nack":
        """``content``: behind the common header. Raises: ParseError."""
        sender, media = _parse_head(content, "NACK")
        if len(content) % 4:
            raise ParseError("NACK", f"{len(content) - HEAD.size} bytes of items")
        words = struct.unpack_from(f"!{(len(content) - HEAD.size) // 2}H", content, HEAD.size)
        return cls(sender, media, tuple(unpack_lost(zip(words[::2], words[1::2], strict=True))))

    def serialize(self) -> bytes:
        """One packet; ``lost`` packs well when it is oldest first. Raises: ValueError."""
        items = b"".join(pid.to_bytes(2, "big") + mask.to_bytes(2, "big") for pid, mask in pack_lost(self.lost))
        content = _pack_head(self.sender_ssrc, self.media_ssrc) + items
        return pack_packet(PacketType.TRANSPORT_LAYER_FEEDBACK, TransportLayerFormat.NACK, content)


@dataclass(frozen=True, slots=True)
class PictureLoss:
    """PLI: a picture could not be decoded (RFC 4585 section 6.3.1)."""

    sender_ssrc: int
    media_ssrc: int

    @classmethod
    def parse(cls, content: bytes) -> "PictureLoss":
        """``content``: behind the common header. Raises: ParseError."""
        return cls(*_parse_head(content, "PLI"))

    def serialize(self) -> bytes:
        """One packet."""
        content = _pack_head(self.sender_ssrc, self.media_ssrc)
        return pack_packet(PacketType.PAYLOAD_SPECIFIC_FEEDBACK, PayloadSpecificFormat.PICTURE_LOSS, content)


@dataclass(frozen=True, slots=True)
class FullIntraRequest:
    """FIR: key frames wanted of SSRCs (RFC 5104 section 4.3.1). ``requests``: (SSRC, 8-bit command number) pairs."""

    sender_ssrc: int
    requests: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, content: bytes) -> "FullIntraRequest":
        """``content``: behind the common header. Raises: ParseError."""
        sender, _ = _parse_head(content, "FIR")
        if len(content) % 8:
            raise ParseError("FIR", f"{len(content) - HEAD.size} bytes of entries")
        entries = struct.iter_unpack("!IB3x", content[HEAD.size :])
        return cls(sender, tuple((ssrc, number) for ssrc, number in entries))

    def serialize(self) -> bytes:
        """One packet. Raises: ValueError."""
        # "SSRC of media source ... is not used and SHALL be set to 0."
        content = _pack_head(self.sender_ssrc, 0) + b"".join(
            ssrc.to_bytes(4, "big") + bytes([number & 0xFF, 0, 0, 0]) for ssrc, number in self.requests
        )
        return pack_packet(PacketType.PAYLOAD_SPECIFIC_FEEDBACK, PayloadSpecificFormat.FULL_INTRA_REQUEST, content)


@dataclass(frozen=True, slots=True)
class ReceiverEstimatedMaximumBitrate:
    """REMB: what a receiver thinks its path carries, for these SSRCs together. ``bitrate``: bit/s."""

    sender_ssrc: int
    bitrate: int
    ssrcs: tuple[int, ...]

    @classmethod
    def parse(cls, content: bytes) -> "ReceiverEstimatedMaximumBitrate":
        """``content``: behind the common header. Raises: ParseError."""
        sender, _ = _parse_head(content, "REMB")
        if len(content) < 16 or content[8:12] != REMB_NAME or len(content) < 16 + 4 * content[12]:
            raise ParseError("REMB", f"{len(content)} bytes")
        bits = int.from_bytes(content[13:16], "big")
        mantissa, exponent = bits & (1 << MANTISSA_BITS) - 1, bits >> MANTISSA_BITS
        return cls(sender, mantissa << exponent, struct.unpack_from(f"!{content[12]}I", content, 16))

    def serialize(self) -> bytes:
        """One packet; the bitrate loses what lies below its 18 highest bits. Raises: ValueError."""
        exponent = max(0, self.bitrate.bit_length() - MANTISSA_BITS)
        if self.bitrate < 0 or exponent > MAX_EXPONENT or len(self.ssrcs) > 255:
            raise ValueError(f"REMB of {self.bitrate} bit/s for {len(self.ssrcs)} SSRCs does not fit")
        bits = exponent << MANTISSA_BITS | self.bitrate >> exponent
        content = _pack_head(self.sender_ssrc, 0) + REMB_NAME + bytes([len(self.ssrcs)]) + bits.to_bytes(3, "big")
        content += b"".join(ssrc.to_bytes(4, "big") for ssrc in self.ssrcs)
        return pack_packet(PacketType.PAYLOAD_SPECIFIC_FEEDBACK, PayloadSpecificFormat.APPLICATION_LAYER, content)
