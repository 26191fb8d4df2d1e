"""From encoded frames to payloads (RFC 7741, RFC 6184, RFC 7587), none longer than was set."""

import os
from collections.abc import Callable, Iterable

from visiomedia.errors import ConfigurationError
from visiomedia.rtp.payload import h264
from visiomedia.rtp.payload.vp8 import Vp8Descriptor

MAX_PAYLOAD = 1200
"""Bytes: fits a 1280-byte path with IP, UDP, RTP, extensions and a tag."""

LEAST_PAYLOAD, MOST_PAYLOAD = 16, 65_000
FU_HEADER_BYTES = 2


def _require_room(max_payload: int) -> int:
    if not LEAST_PAYLOAD <= max_payload <= MOST_PAYLOAD:
        raise ConfigurationError("max_payload", max_payload, f"{LEAST_PAYLOAD} to {MOST_PAYLOAD} bytes")
    return max_payload


def _equal_parts(data: bytes, room: int) -> list[bytes]:
    """As few parts as there can be, of equal size but the last: such leave as one message of segments."""
    size = -(-len(data) // -(-len(data) // room))
    return [data[at : at + size] for at in range(0, len(data), size)]


class Vp8Packetizer:
    """VP8 frames to payloads with 15-bit picture ids, and temporal layers where they are told."""

    __slots__ = ("_max_payload", "picture_id", "tl0_picture_index")

    def __init__(self, max_payload: int = MAX_PAYLOAD, entropy: Callable[[int], bytes] = os.urandom) -> None:
        """Raises: ConfigurationError where ``max_payload`` bytes are too few or too many."""
        self._max_payload = _require_room(max_payload)
        # RFC 7741 section 4.2: "The PictureID SHOULD start on a random number".
        self.picture_id = int.from_bytes(entropy(2), "big") & 0x7FFF
        """Of the next frame."""
        self.tl0_picture_index = 0
        """Of the last frame of temporal layer 0."""

    def packetize(self, frame: bytes, *, temporal_layer: int | None = None, is_layer_sync: bool = False) -> list[bytes]:
        """The payloads of one frame, none of an empty one; the last one's packet carries the marker."""
        if not frame:
            return []
        if temporal_layer == 0:
            self.tl0_picture_index = (self.tl0_picture_index + 1) & 0xFF
        descriptor = Vp8Descriptor(
            starts_partition=True,
            picture_id=self.picture_id,
            tl0_picture_index=None if temporal_layer is None else self.tl0_picture_index,
            temporal_layer=temporal_layer,
            is_layer_sync=is_layer_sync,
        )
        first = descriptor.serialize()
        descriptor.starts_partition = False
        others = descriptor.serialize()
        self.picture_id = (self.picture_id + 1) & 0x7FFF
        parts = _equal_parts(frame, self._max_payload - len(first))
        return [(others if place else first) + part for place, part in enumerate(parts)]


class H264Packetizer:
    """H.264 access units to payloads in non-interleaved mode (packetization-mode 1)."""

    __slots__ = ("_max_payload",)

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        """Raises: ConfigurationError where ``max_payload`` bytes are too few or too many."""
        self._max_payload = _require_room(max_payload)

    def packetize_annex_b(self, access_unit: bytes) -> list[bytes]:
        """The payloads of an access unit with start codes; the last one's packet carries the marker."""
        return self.packetize(h264.split_annex_b(access_unit))

    def packetize_avc(self, access_unit: bytes, length_size: int = 4) -> list[bytes]:
        """The payloads of an access unit whose NAL units have their length before them. Raises: ParseError."""
        return self.packetize(h264.split_avc(access_unit, length_size))

    def packetize(self, units: Iterable[bytes]) -> list[bytes]:
        """The payloads of NAL units, in order: small neighbours together (STAP-A), large ones in fragments (FU-A)."""
        payloads: list[bytes] = []
        together: list[bytes] = []
        size = 1
        for unit in units:
            if not unit:
                continue
            if together and size + 2 + len(unit) > self._max_payload:
                payloads.append(self._aggregate(together))
                together, size = [], 1
            if len(unit) > self._max_payload:
                payloads += self._fragment(unit)
            else:
                together.append(unit)
                size += 2 + len(unit)
        if together:
            payloads.append(self._aggregate(together))
        return payloads

    @staticmethod
    def _aggregate(units: list[bytes]) -> bytes:
        if len(units) == 1:
            return units[0]
        # RFC 6184 section 5.7: F is set where a unit's is, and NRI "MUST be the maximum of all the NAL units".
        forbidden = max(unit[0] & 0x80 for unit in units)
        importance = max(unit[0] & 0x60 for unit in units)
        head = bytes([forbidden | importance | h264.NalType.STAP_A])
        return head + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)

    def _fragment(self, unit: bytes) -> list[bytes]:
        indicator, kind = unit[0] & 0xE0 | h264.NalType.FU_A, unit[0] & 0x1F
        parts = _equal_parts(unit[1:], self._max_payload - FU_HEADER_BYTES)
        last = len(parts) - 1
        return [
            bytes([indicator, (place == 0) << 7 | (place == last) << 6 | kind]) + part
            for place, part in enumerate(parts)
        ]


class OpusPacketizer:
    """Opus: one packet is one payload (RFC 7587 section 4.2)."""

    __slots__ = ()

    def packetize(self, packet: bytes) -> list[bytes]:
        """The one payload, none of an empty packet."""
        return [packet] if packet else []
