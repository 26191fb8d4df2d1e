"""RTP packets: golden bytes, another stack's packets, round trips, garbage."""

from dataclasses import replace

import pytest
from aiortc.rtp import RtpPacket as OtherPacket
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.errors import ParseError
from visiomedia.rtp.packet import RtpPacket

# By hand, from the figures of RFC 3550 sections 5.1 and 5.3.1.
PLAIN = bytes.fromhex("8060 1234 01020304 aabbccdd") + b"payload"
FULL = bytes.fromhex("b2e0 ffff ffffffff 00000001 00000002 00000003 bede0001 10aa2000") + b"xyz" + b"\0\0\3"

GOLDEN = [
    (PLAIN, RtpPacket(96, 0x1234, 0x01020304, 0xAABBCCDD, b"payload")),
    (
        FULL,
        RtpPacket(96, 0xFFFF, 0xFFFFFFFF, 1, b"xyz", True, (2, 3), 0xBEDE, bytes.fromhex("10aa2000"), padding_length=3),
    ),
    (PLAIN[:12], RtpPacket(96, 0x1234, 0x01020304, 0xAABBCCDD)),
    # Probing: padding and nothing else.
    (b"\xa0" + PLAIN[1:12] + bytes(254) + b"\xff", RtpPacket(96, 0x1234, 0x01020304, 0xAABBCCDD, padding_length=255)),
    # An extension block without a word in it is still one.
    (
        b"\x90" + PLAIN[1:12] + b"\x10\x00\0\0" + b"p",
        RtpPacket(96, 0x1234, 0x01020304, 0xAABBCCDD, b"p", extension_profile=0x1000),
    ),
]

MALFORMED = {
    "empty": b"",
    "cut header": PLAIN[:11],
    "version 0": b"\x00" + PLAIN[1:],
    "version 3": b"\xc0" + PLAIN[1:],
    "CSRCs that are not there": b"\x8f" + PLAIN[1:],
    "no extension header": b"\x90" + PLAIN[1:12] + b"\xbe\xde\0",
    "extension longer than the packet": b"\x90" + PLAIN[1:12] + b"\xbe\xde\0\2" + bytes(7),
    "padding of nothing": b"\xa0" + PLAIN[1:12],
    "padding of no octet": b"\xa0" + PLAIN[1:12] + b"xyz\0",
    "padding longer than the payload": b"\xa0" + PLAIN[1:12] + b"xyz\5",
    "padding that reaches into the extension": b"\xb0" + PLAIN[1:12] + b"\xbe\xde\0\1\x10\1\1\1" + b"xx\4",
}

packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence_number=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=40),
    marker=st.booleans(),
    csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
    extension_profile=st.integers(0, 0xFFFF),
    extension_data=st.binary(max_size=5).map(lambda data: data * 4),
    padding_length=st.integers(0, 255),
)


@pytest.mark.parametrize(("data", "packet"), GOLDEN)
def test_golden_packets_both_ways(data: bytes, packet: RtpPacket) -> None:
    assert RtpPacket.parse(data) == packet
    assert packet.serialize() == data


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed_packet_is_refused(data: bytes) -> None:
    with pytest.raises(ParseError):
        RtpPacket.parse(data)


@given(packets)
def test_what_is_written_is_read(packet: RtpPacket) -> None:
    assert RtpPacket.parse(packet.serialize()) == packet


@given(packets)
def test_aiortc_reads_what_we_write(packet: RtpPacket) -> None:
    other = OtherPacket.parse(packet.serialize())
    assert (other.payload_type, other.sequence_number, other.timestamp, other.ssrc) == (
        packet.payload_type,
        packet.sequence_number,
        packet.timestamp,
        packet.ssrc,
    )
    assert (bool(other.marker), tuple(other.csrc), other.payload, other.padding_size) == (
        packet.marker,
        packet.csrcs,
        packet.payload,
        packet.padding_length,
    )


@given(packets)
def test_we_read_what_aiortc_writes(packet: RtpPacket) -> None:
    other = OtherPacket(
        packet.payload_type,
        int(packet.marker),
        packet.sequence_number,
        packet.timestamp,
        packet.ssrc,
        packet.payload,
    )
    other.csrc = list(packet.csrcs)
    other.padding_size = packet.padding_length
    packet = replace(packet, extension_profile=None, extension_data=b"")
    data = other.serialize()
    parsed = RtpPacket.parse(data)
    assert parsed == packet


@given(packets, st.integers(0, 400))
def test_every_prefix_is_a_packet_or_a_parse_error(packet: RtpPacket, length: int) -> None:
    data = packet.serialize()[:length]
    try:
        parsed = RtpPacket.parse(data)
    except ParseError:
        return
    assert len(data) >= 12 + 4 * len(parsed.csrcs) + len(parsed.payload)


@given(st.binary(max_size=80), st.integers(0, 63))
def test_random_bytes_are_a_packet_that_writes_itself_again_or_a_parse_error(tail: bytes, flags: int) -> None:
    data = bytes([0x80 | flags]) + tail
    try:
        packet = RtpPacket.parse(data)
    except ParseError:
        return
    end = len(data) - max(packet.padding_length, 1)
    # Padding octets may be anything: all before them, and their count, comes out as it went in.
    assert packet.serialize()[:end] == data[:end]
    assert packet.serialize()[-1] == data[-1]
