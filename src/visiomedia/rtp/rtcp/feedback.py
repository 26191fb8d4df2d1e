"""Feedback messages: NACK, PLI, FIR, REMB (RFC 4585, RFC 5104, draft-alvestrand-rmcat-remb)."""

from collections.abc import Iterable
from dataclasses import dataclass

from visiomedia.errors import ParseError
from visiomedia.rtp.sequence import distance

REMB_NAME = b"REMB"


def _ssrcs(body: bytes, what: str) -> tuple[int, int, bytes]:
    if len(body) < 8:
        raise ParseError(what, f"{len(body)} bytes")
    return int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big"), body[8:]


def _head(sender_ssrc: int, media_ssrc: int) -> bytes:
    return sender_ssrc.to_bytes(4, "big") + media_ssrc.to_bytes(4, "big")


def pack_lost(sequence_numbers: Iterable[int]) -> list[tuple[int, int]]:
    """(PID, BLP) pairs for lost sequence numbers, given oldest first (RFC 4585 section 6.2.1)."""
    pairs: list[tuple[int, int]] = []
    for number in sequence_numbers:
        if pairs and 1 <= (behind := distance(number, pairs[-1][0])) <= 16:
            pid, mask = pairs[-1]
            pairs[-1] = (pid, mask | 1 << (behind - 1))
        elif not pairs or pairs[-1][0] != number:
            pairs.append((number, 0))
    return pairs


def unpack_lost(pairs: Iterable[tuple[int, int]]) -> list[int]:
    """The lost sequence numbers of (PID, BLP) pairs."""
    lost: list[int] = []
    for pid, mask in pairs:
        lost.append(pid)
        lost += [(pid + 1 + bit) & 0xFFFF for bit in range(16) if mask >> bit & 1]
    return lost


@dataclass(slots=True)
class Nack:
    """Generic NACK: packets that did not come."""

    sender_ssrc: int
    media_ssrc: int
    lost: tuple[int, ...]

    @classmethod
    def parse(cls, body: bytes) -> "Nack":
        """Raises ParseError."""
        sender, media, rest = _ssrcs(body, "NACK")
        if len(rest) % 4:
            raise ParseError("NACK", f"{len(rest)} bytes of items")
        items = [rest[at : at + 4] for at in range(0, len(rest), 4)]
        pairs = [(int.from_bytes(item[:2], "big"), int.from_bytes(item[2:], "big")) for item in items]
        return cls(sender, media, tuple(unpack_lost(pairs)))

    def body(self) -> bytes:
        """Behind the common header."""
        pairs = pack_lost(self.lost)
        return _head(self.sender_ssrc, self.media_ssrc) + b"".join(
            pid.to_bytes(2, "big") + mask.to_bytes(2, "big") for pid, mask in pairs
        )


@dataclass(slots=True)
class PictureLoss:
    """PLI: a picture could not be decoded (RFC 4585 section 6.3.1)."""

    sender_ssrc: int
    media_ssrc: int

    @classmethod
    def parse(cls, body: bytes) -> "PictureLoss":
        """Raises ParseError."""
        sender, media, _ = _ssrcs(body, "PLI")
        return cls(sender, media)

    def body(self) -> bytes:
        """Behind the common header."""
        return _head(self.sender_ssrc, self.media_ssrc)


@dataclass(slots=True)
class FullIntraRequest:
    """FIR: key frames wanted of these SSRCs, each with a sequence number of its own (RFC 5104 section 4.3.1)."""

    sender_ssrc: int
    requests: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, body: bytes) -> "FullIntraRequest":
        """Raises ParseError."""
        sender, _, rest = _ssrcs(body, "FIR")
        if len(rest) % 8:
            raise ParseError("FIR", f"{len(rest)} bytes of entries")
        entries = [rest[at : at + 8] for at in range(0, len(rest), 8)]
        return cls(sender, tuple((int.from_bytes(entry[:4], "big"), entry[4]) for entry in entries))

    def body(self) -> bytes:
        """Behind the common header. "The SSRC of media source is not used and SHALL be set to 0"."""
        return _head(self.sender_ssrc, 0) + b"".join(
            ssrc.to_bytes(4, "big") + bytes([number, 0, 0, 0]) for ssrc, number in self.requests
        )


@dataclass(slots=True)
class ReceiverEstimatedMaximumBitrate:
    """REMB: what a receiver thinks its path carries, for these SSRCs together. ``bitrate``: bit/s."""

    sender_ssrc: int
    bitrate: int
    ssrcs: tuple[int, ...]

    @classmethod
    def parse(cls, body: bytes) -> "ReceiverEstimatedMaximumBitrate":
        """Raises ParseError."""
        sender, _, rest = _ssrcs(body, "REMB")
        if len(rest) < 8 or rest[:4] != REMB_NAME or len(rest) < 8 + 4 * rest[4]:
            raise ParseError("REMB", f"{len(rest)} bytes")
        bits = int.from_bytes(rest[5:8], "big")
        ssrcs = tuple(int.from_bytes(rest[at : at + 4], "big") for at in range(8, 8 + 4 * rest[4], 4))
        return cls(sender, (bits & 0x3FFFF) << (bits >> 18), ssrcs)

    def body(self) -> bytes:
        """Behind the common header; the bitrate loses what lies below its 18 highest bits."""
        exponent = max(0, self.bitrate.bit_length() - 18)
        bits = exponent << 18 | self.bitrate >> exponent
        return (
            _head(self.sender_ssrc, 0)
            + REMB_NAME
            + bytes([len(self.ssrcs)])
            + bits.to_bytes(3, "big")
            + b"".join(ssrc.to_bytes(4, "big") for ssrc in self.ssrcs)
        )
