"""From payloads to encoded frames, in order, with what is lost told. Packets must come in order of sequence number."""

from dataclasses import dataclass, field

from visiomedia.errors import ParseError
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.payload import h264, vp8
from visiomedia.rtp.payload.vp8 import Vp8Descriptor
from visiomedia.rtp.sequence import distance

MAX_FRAME = 8 << 20
"""Bytes of one frame; what grows beyond is dropped."""

ANNEX_B_START = b"\x00\x00\x00\x01"


@dataclass(slots=True)
class Frame:
    """One encoded frame as a decoder takes it."""

    timestamp: int
    data: bytes
    is_key_frame: bool


@dataclass(slots=True)
class _Assembly:
    """The frame under way. ``is_whole`` turns false where a packet of it is missing or makes no sense."""

    timestamp: int | None = None
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    is_whole: bool = True
    expected: int | None = None
    lost_frames: int = 0

    def begin(self, packet: RtpPacket, starts_frame: bool) -> bool:
        """Take the packet's place in order; False for one that comes too late. A new timestamp ends the frame."""
        gap = 0 if self.expected is None else distance(packet.sequence_number, self.expected)
        if gap < 0:
            return False
        if packet.timestamp != self.timestamp:
            if self.parts or not self.is_whole:
                self.lost_frames += 1
            self.timestamp, self.parts, self.size = packet.timestamp, [], 0
            self.is_whole = starts_frame and (gap == 0 or starts_frame)
        elif gap > 0:
            self.is_whole = False
        self.expected = (packet.sequence_number + 1) & 0xFFFF
        return True

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > MAX_FRAME:
            self.is_whole = False
            self.parts.clear()
        else:
            self.parts.append(data)

    def finish(self) -> bytes | None:
        """The frame's bytes at its marker; None where it is not whole."""
        data = b"".join(self.parts) if self.is_whole and self.parts else None
        if data is None:
            self.lost_frames += 1
        self.parts, self.size, self.is_whole, self.timestamp = [], 0, True, None
        return data


class Vp8Depacketizer:
    """VP8 frames out of packets."""

    __slots__ = ("_assembly",)

    def __init__(self) -> None:
        self._assembly = _Assembly()

    @property
    def lost_frames(self) -> int:
        """Frames begun and never whole."""
        return self._assembly.lost_frames

    def receive(self, packet: RtpPacket) -> Frame | None:
        """Take in a packet; the frame it completes, if it does."""
        assembly = self._assembly
        try:
            descriptor, part = Vp8Descriptor.parse(packet.payload)
        except ParseError:
            assembly.is_whole = False
            return None
        if not assembly.begin(packet, descriptor.starts_frame):
            return None
        assembly.add(part)
        if not packet.marker:
            return None
        data = assembly.finish()
        return None if data is None else Frame(packet.timestamp, data, vp8.is_key_frame(data))


class H264Depacketizer:
    """H.264 access units, with start codes, out of packets of packetization-mode 0 and 1."""

    __slots__ = ("_assembly", "_fragments")

    def __init__(self) -> None:
        self._assembly = _Assembly()
        self._fragments: list[bytes] = []

    @property
    def lost_frames(self) -> int:
        """Access units begun and never whole."""
        return self._assembly.lost_frames

    def receive(self, packet: RtpPacket) -> Frame | None:
        """Take in a packet; the access unit it completes, if it does."""
        assembly = self._assembly
        payload = packet.payload
        starts = bool(payload) and (h264.nal_type(payload) != h264.NalType.FU_A or payload[1:2] >= b"\x80")
        if not assembly.begin(packet, starts):
            return None
        try:
            for unit in self._units(payload):
                assembly.add(ANNEX_B_START + unit)
        except ParseError:
            assembly.is_whole = False
        if not packet.marker:
            return None
        data = assembly.finish()
        if data is None:
            self._fragments = []
            return None
        types = {h264.nal_type(unit) for unit in h264.split_annex_b(data)}
        return Frame(packet.timestamp, data, h264.NalType.IDR in types)

    def _units(self, payload: bytes) -> list[bytes]:
        if not payload:
            raise ParseError("H.264 payload", "empty")
        kind = h264.nal_type(payload)
        if kind == h264.NalType.STAP_A:
            return h264.aggregated_units(payload)
        if kind != h264.NalType.FU_A:
            if not 1 <= kind <= 23:
                raise ParseError("H.264 payload", f"type {kind} of a mode that was not negotiated")
            return [payload]
        if len(payload) < 3:
            raise ParseError("FU-A", "cut short")
        if payload[1] & 0x80:
            self._fragments = [bytes([payload[0] & 0xE0 | payload[1] & 0x1F])]
        elif not self._fragments:
            raise ParseError("FU-A", "begins in the middle")
        self._fragments.append(payload[2:])
        if not payload[1] & 0x40:
            return []
        unit = b"".join(self._fragments)
        self._fragments = []
        return [unit]


class OpusDepacketizer:
    """Opus packets: each is a frame of its own."""

    __slots__ = ()

    def receive(self, packet: RtpPacket) -> Frame | None:
        """The packet's payload, None where it has none."""
        return Frame(packet.timestamp, packet.payload, True) if packet.payload else None
