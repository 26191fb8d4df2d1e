"""From encoded frames to payloads (RFC 7741, RFC 6184, RFC 7587), none longer than the MTU leaves room for."""

import os
from collections.abc import Callable, Iterable

from visiomedia.rtp.payload import h264
from visiomedia.rtp.payload.vp8 import Vp8Descriptor

MAX_PAYLOAD = 1200
"""Bytes: fits a 1280-byte path with IP, UDP, RTP, extensions and a tag."""


class Vp8Packetizer:
    """VP8 frames to payloads with 15-bit picture ids."""

    __slots__ = ("_max_payload", "picture_id")

    def __init__(self, max_payload: int = MAX_PAYLOAD, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._max_payload = max_payload
        # RFC 7741 section 4.2: "The PictureID SHOULD start on a random number".
        self.picture_id = int.from_bytes(entropy(2), "big") & 0x7FFF

    def packetize(self, frame: bytes) -> list[bytes]:
        """The payloads of one frame; the last one's packet carries the marker."""
        payloads = []
        room = self._max_payload - 4
        # Parts of equal size, so that they leave as one message of equal segments.
        count = max(1, -(-len(frame) // room))
        size = -(-len(frame) // count)
        for at in range(0, max(len(frame), 1), max(size, 1)):
            descriptor = Vp8Descriptor(starts_partition=at == 0, picture_id=self.picture_id)
            payloads.append(descriptor.serialize() + frame[at : at + size])
        self.picture_id = (self.picture_id + 1) & 0x7FFF
        return payloads


class H264Packetizer:
    """H.264 access units to payloads in non-interleaved mode (packetization-mode 1)."""

    __slots__ = ("_max_payload",)

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        self._max_payload = max_payload

    def packetize_annex_b(self, access_unit: bytes) -> list[bytes]:
        """The payloads of an access unit with start codes."""
        return self.packetize(h264.split_annex_b(access_unit))

    def packetize(self, units: Iterable[bytes]) -> list[bytes]:
        """The payloads of NAL units: small ones together, large ones in fragments."""
        payloads: list[bytes] = []
        together: list[bytes] = []
        for unit in units:
            if together and 1 + sum(2 + len(kept) for kept in together) + 2 + len(unit) > self._max_payload:
                payloads.append(self._aggregate(together))
                together = []
            if len(unit) > self._max_payload:
                payloads += self._fragment(unit)
            else:
                together.append(unit)
        if together:
            payloads.append(self._aggregate(together))
        return payloads

    @staticmethod
    def _aggregate(units: list[bytes]) -> bytes:
        if len(units) == 1:
            return units[0]
        # RFC 6184 section 5.7: NRI is the highest of the aggregated units'.
        head = max(unit[0] & 0x60 for unit in units) | h264.NalType.STAP_A
        return bytes([head]) + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)

    def _fragment(self, unit: bytes) -> list[bytes]:
        indicator = unit[0] & 0xE0 | h264.NalType.FU_A
        kind, body = unit[0] & 0x1F, unit[1:]
        count = -(-len(body) // (self._max_payload - 2))
        size = -(-len(body) // count)
        fragments = []
        for at in range(0, len(body), size):
            flags = (at == 0) << 7 | (at + size >= len(body)) << 6
            fragments.append(bytes([indicator, flags | kind]) + body[at : at + size])
        return fragments


class OpusPacketizer:
    """Opus: one packet is one payload (RFC 7587 section 4.2)."""

    __slots__ = ()

    def packetize(self, packet: bytes) -> list[bytes]:
        """The one payload."""
        return [packet]
