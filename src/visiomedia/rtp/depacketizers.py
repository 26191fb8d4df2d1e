"""From payloads to encoded frames, with what is lost told (RFC 7741, RFC 6184, RFC 7587).

Packets are given in order of sequence number: reordering is a jitter buffer's work, and what comes late is passed over.
"""

from dataclasses import dataclass, field

from visiomedia.errors import ParseError
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.payload import h264, vp8
from visiomedia.rtp.sequence import distance

MAX_FRAME = 8 << 20
"""Bytes of one frame; one that grows beyond is lost."""

PART_OVERHEAD = 64
"""Counted with each part, so that a frame of empty parts is bounded as well."""

MAX_MISORDER = 100
"""A packet further behind is no late one: the sequence has begun anew (RFC 3550 appendix A.1)."""

ANNEX_B_START = b"\x00\x00\x00\x01"


@dataclass(slots=True)
class Frame:
    """One encoded frame as a decoder takes it."""

    timestamp: int
    data: bytes
    is_key_frame: bool
    follows_loss: bool = False
    """Something is missing between the frame before and this one: without a key frame it may not decode right."""


@dataclass(slots=True)
class _Assembly:
    """The frame under way: its parts while it is whole, nothing where a packet of it is missing or makes no sense."""

    expected: int | None = None
    """The next packet's sequence number."""
    timestamp: int | None = None
    """None between frames."""
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    is_whole: bool = False
    has_loss: bool = False
    """Since the last frame that was whole."""
    lost_frames: int = 0

    def gap(self, packet: RtpPacket) -> int:
        """How many packets are missing before this one, negative where it comes late; its place is taken."""
        missing = 0 if self.expected is None else distance(packet.sequence_number, self.expected)
        if -MAX_MISORDER <= missing < 0:
            return missing
        self.expected = (packet.sequence_number + 1) & 0xFFFF
        if missing:
            self.has_loss = True
            if packet.timestamp == self.timestamp:
                self.spoil()
        return abs(missing)

    def begin(self, timestamp: int, is_whole: bool) -> None:
        """A frame starts, whole or in its middle."""
        self.timestamp, self.is_whole = timestamp, is_whole
        self.parts, self.size = [], 0

    def add(self, part: bytes) -> None:
        if not self.is_whole:
            return
        self.size += len(part) + PART_OVERHEAD
        self.parts.append(part)
        if self.size > MAX_FRAME:
            self.spoil()

    def spoil(self) -> None:
        """What came makes no sense."""
        self.is_whole = False
        self.parts.clear()

    def finish(self) -> bytes | None:
        """The frame's bytes; None where there is none, or it is not whole."""
        if self.timestamp is None:
            return None
        data = b"".join(self.parts) if self.is_whole else b""
        self.timestamp, self.parts, self.is_whole = None, [], False
        if data:
            return data
        self.lost_frames += 1
        self.has_loss = True
        return None

    def frame(self, timestamp: int, data: bytes, is_key_frame: bool) -> Frame:
        follows_loss, self.has_loss = self.has_loss, False
        return Frame(timestamp, data, is_key_frame, follows_loss)


class Vp8Depacketizer:
    """VP8 frames out of packets (RFC 7741)."""

    __slots__ = ("_assembly",)

    def __init__(self) -> None:
        self._assembly = _Assembly()

    @property
    def lost_frames(self) -> int:
        """Frames of which a part came, but never all."""
        return self._assembly.lost_frames

    def receive(self, packet: RtpPacket) -> list[Frame]:
        """Take in a packet; the frames that it completes: none, one, or two where a marker is missing."""
        assembly = self._assembly
        gap = assembly.gap(packet)
        if gap < 0 or not packet.payload:
            # Late, or nothing but padding.
            return []
        try:
            descriptor, part = vp8.Vp8Descriptor.parse(packet.payload)
        except ParseError:
            assembly.has_loss = True
            if packet.timestamp == assembly.timestamp:
                assembly.spoil()
            return []
        frames: list[Frame] = []
        if packet.timestamp != assembly.timestamp:
            # Without the last packet of the frame before, nothing tells whether it was whole.
            frames += self._finish(gap == 0)
            assembly.begin(packet.timestamp, descriptor.starts_frame)
        assembly.add(part)
        if packet.marker:
            frames += self._finish(True)
        return frames

    def _finish(self, has_all: bool) -> list[Frame]:
        assembly = self._assembly
        timestamp = assembly.timestamp
        if not has_all:
            assembly.spoil()
        data = assembly.finish()
        if data is None or timestamp is None:
            return []
        return [assembly.frame(timestamp, data, vp8.is_key_frame(data))]


class H264Depacketizer:
    """H.264 access units, with start codes, out of packets of packetization-mode 0 and 1 (RFC 6184)."""

    __slots__ = ("_assembly", "_has_idr", "_is_in_unit")

    def __init__(self) -> None:
        self._assembly = _Assembly()
        self._has_idr = False
        self._is_in_unit = False

    @property
    def lost_frames(self) -> int:
        """Access units of which a part came, but never all."""
        return self._assembly.lost_frames

    def receive(self, packet: RtpPacket) -> list[Frame]:
        """Take in a packet; the access units that it completes: none, one, or two where a marker is missing."""
        assembly = self._assembly
        is_first = assembly.expected is None
        gap = assembly.gap(packet)
        if gap < 0 or not packet.payload:
            # Late, or nothing but padding.
            return []
        frames: list[Frame] = []
        if packet.timestamp != assembly.timestamp:
            # RFC 6184 section 5.1: a decoder "MUST NOT rely on" the marker; the next timestamp ends a unit as well.
            frames += self._finish(gap == 0)
            follows_on = gap == 0 and not is_first
            assembly.begin(packet.timestamp, follows_on or h264.begins_picture(packet.payload))
            self._has_idr = self._is_in_unit = False
        try:
            self._take(packet.payload)
        except ParseError:
            assembly.spoil()
        if packet.marker:
            frames += self._finish(True)
        return frames

    def _take(self, payload: bytes) -> None:
        kind = h264.nal_type(payload)
        if kind == h264.NalType.FU_A:
            self._take_fragment(payload)
            return
        if self._is_in_unit:
            raise ParseError("FU-A", "ends in the middle")
        units = h264.aggregated_units(payload) if kind == h264.NalType.STAP_A else [payload]
        for unit in units:
            unit_type = h264.nal_type(unit)
            if not 1 <= unit_type <= h264.MAX_UNIT_TYPE:
                raise ParseError("H.264 payload", f"type {unit_type} of a mode that was not negotiated")
            self._has_idr |= unit_type == h264.NalType.IDR
            self._assembly.add(ANNEX_B_START + unit)

    def _take_fragment(self, payload: bytes) -> None:
        if len(payload) < 3:
            raise ParseError("FU-A", "cut short")
        flags = payload[1]
        if bool(flags & 0x80) is self._is_in_unit:
            raise ParseError("FU-A", "begins in the middle")
        if flags & 0x80:
            self._has_idr |= flags & 0x1F == h264.NalType.IDR
            self._assembly.add(ANNEX_B_START + bytes([payload[0] & 0xE0 | flags & 0x1F]))
        self._assembly.add(payload[2:])
        self._is_in_unit = not flags & 0x40

    def _finish(self, has_all: bool) -> list[Frame]:
        assembly = self._assembly
        timestamp = assembly.timestamp
        if not has_all or self._is_in_unit:
            assembly.spoil()
        self._is_in_unit = False
        data = assembly.finish()
        if data is None or timestamp is None:
            return []
        return [assembly.frame(timestamp, data, self._has_idr)]


class OpusDepacketizer:
    """Opus packets: each is a frame of its own (RFC 7587)."""

    __slots__ = ("_assembly",)

    def __init__(self) -> None:
        self._assembly = _Assembly()

    def receive(self, packet: RtpPacket) -> list[Frame]:
        """Take in a packet: its one frame, or none where it is late or nothing but padding."""
        if self._assembly.gap(packet) < 0 or not packet.payload:
            return []
        return [self._assembly.frame(packet.timestamp, packet.payload, True)]
