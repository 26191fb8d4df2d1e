"""Media that tell what they are: each packet names its stream and its number, so that who receives one can judge it."""

import struct
from dataclasses import dataclass, field

from benchmarks.clients import ScriptedClient

AUDIO_TYPE, VIDEO_TYPE = 111, 96
AUDIO_CLOCK, VIDEO_CLOCK = 48_000, 90_000
FIRST_SSRC = 0x5000

HEADER = struct.Struct("!BBHIIHH")
"""RFC 3550 section 5.1, and RFC 8285 section 4.2's profile and length of one-byte extensions."""
ONE_BYTE_HEADERS = 0xBEDE
AUDIO_LEVEL = bytes([0x10, 0x94])
"""Extension 1, one byte: voice at -20 dBov (RFC 6464)."""
SEQUENCE = 0x31
"""Extension 3, two bytes: the transport's sequence number."""

VP8_FIRST, VP8_NEXT = b"\x10", b"\x00"
"""RFC 7741 section 4.2: the payload descriptor of a frame's first packet, and of the others."""
VP8_KEY_FRAME = b"\x10\x00\x00\x9d\x01\x2a\x00\x05\xd0\x02"
"""RFC 6386 section 9.1: frame tag of a key frame, start code, 1280 by 720."""
VP8_INTER_FRAME = b"\x11"

MARK = struct.Struct("!II")
FILLING = b"\x5a"
VARYING = 20
"""Bytes of a payload's beginning that a server may rewrite, and bytes by which it may grow."""


@dataclass
class Stream:
    """One published stream; ``sizes`` of payloads and ``timestamps``: of the packets it has sealed, by number."""

    client: ScriptedClient
    number: int
    audio: bool
    sizes: list[int] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)

    @property
    def ssrc(self) -> int:
        """What its packets carry."""
        return FIRST_SSRC + self.number

    def seal(self, size: int, timestamp: int, *, is_first: bool, is_last: bool, is_key_frame: bool) -> bytes:
        """Its next packet, ``size`` bytes before sealing."""
        number = len(self.sizes)
        elements = bytes([SEQUENCE]) + (number & 0xFFFF).to_bytes(2, "big")
        if self.audio:
            elements += AUDIO_LEVEL
            descriptor = b""
        elif is_first:
            descriptor = VP8_FIRST + (VP8_KEY_FRAME if is_key_frame else VP8_INTER_FRAME)
        else:
            descriptor = VP8_NEXT
        elements += bytes(-len(elements) % 4)
        payload_type = AUDIO_TYPE if self.audio else VIDEO_TYPE
        head = HEADER.pack(
            0x90,
            payload_type | (0x80 if is_last else 0),
            number & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            self.ssrc,
            ONE_BYTE_HEADERS,
            len(elements) // 4,
        )
        mark = MARK.pack(self.number, number)
        start = head + elements + descriptor
        # The shortest packets of a trace are still long enough for their mark.
        packet = start + FILLING * max(0, size - len(start) - len(mark)) + mark
        self.sizes.append(len(packet) - len(head) - len(elements))
        self.timestamps.append(timestamp & 0xFFFFFFFF)
        return self.client.seal(packet)


def judge(payload: bytes, streams: list[Stream]) -> tuple[int, int] | None:
    """(stream, number) that a payload says it is, or None where it is not what was sent under that name."""
    if len(payload) < MARK.size:
        return None
    number, packet = MARK.unpack(payload[-MARK.size :])
    if number >= len(streams) or packet >= len(streams[number].sizes):
        return None
    size = streams[number].sizes[packet]
    filling = payload[VARYING : -MARK.size]
    is_right = abs(len(payload) - size) < VARYING and filling == FILLING * len(filling)
    return (number, packet) if is_right else None
