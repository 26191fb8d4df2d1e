"""Packets kept, and sent again: history and retransmission streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.errors import ParseError
from visiomedia.rtp import rtx
from visiomedia.rtp.history import PACKET_OVERHEAD, PacketHistory
from visiomedia.rtp.packet import RtpPacket


def packet(sequence_number: int, payload: bytes = b"payload") -> RtpPacket:
    return RtpPacket(96, sequence_number, 1000, 1, payload)


def test_a_kept_packet_is_found_by_number() -> None:
    history = PacketHistory()
    for number in (0xFFFF, 0, 1):
        history.add(packet(number), 0.0)
    assert history.find(0, 1.0) == packet(0)
    assert history.find(2, 1.0) is None
    assert len(history) == 3


def test_packets_leave_by_age() -> None:
    history = PacketHistory(max_age=2.0)
    history.add(packet(1), 0.0)
    history.add(packet(2), 1.5)
    assert history.find(1, 2.0) == packet(1)
    assert history.find(1, 2.1) is None
    assert history.find(2, 2.1) == packet(2)
    assert history.find(2, 10.0) is None
    assert len(history) == 0


def test_packets_leave_by_bytes_oldest_first() -> None:
    history = PacketHistory(max_bytes=3 * (1000 + PACKET_OVERHEAD))
    for number in range(5):
        history.add(packet(number, bytes(1000)), 0.0)
    assert [number for number in range(5) if history.find(number, 0.0)] == [2, 3, 4]


def test_packets_without_payload_are_bounded_as_well() -> None:
    history = PacketHistory(max_bytes=100_000)
    for number in range(2000):
        history.add(packet(number, b""), 0.0)
    assert len(history) == 100_000 // PACKET_OVERHEAD


def test_a_number_used_anew_replaces_the_old_packet() -> None:
    history = PacketHistory(max_bytes=2 * (1000 + PACKET_OVERHEAD))
    for _ in range(10):
        history.add(packet(7, bytes(1000)), 0.0)
    history.add(packet(7, b"new"), 1.0)
    history.add(packet(8, bytes(900)), 1.0)
    assert history.find(7, 1.0) == packet(7, b"new")
    assert len(history) == 2


def test_a_packet_under_way_is_not_sent_a_third_time() -> None:
    history = PacketHistory()
    history.add(packet(1), 0.0)
    assert history.retransmit(1, 0.1, round_trip=0.05) == packet(1)
    assert history.retransmit(1, 0.12, round_trip=0.05) is None
    assert history.retransmit(1, 0.16, round_trip=0.05) == packet(1)
    assert history.retransmit(2, 0.16, round_trip=0.05) is None


def test_retransmission_of_rfc_4588_section_4() -> None:
    original = RtpPacket(96, 0x1234, 5, 1, b"abc", True, (9,), 0xBEDE, b"\x10a\0\0", padding_length=4)
    again = rtx.wrap(original, payload_type=97, ssrc=2, sequence_number=77)
    assert again == RtpPacket(97, 77, 5, 2, b"\x12\x34abc", True, (9,), 0xBEDE, b"\x10a\0\0")
    assert rtx.unwrap(again, payload_type=96, ssrc=1) == RtpPacket(
        96, 0x1234, 5, 1, b"abc", True, (9,), 0xBEDE, b"\x10a\0\0"
    )


@pytest.mark.parametrize("payload", [b"", b"\0", b"\0\1"])
def test_padding_in_a_retransmission_stream_is_no_packet(payload: bytes) -> None:
    with pytest.raises(ParseError):
        rtx.unwrap(RtpPacket(97, 1, 2, 3, payload, padding_length=200), payload_type=96, ssrc=1)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(min_size=1, max_size=50), st.booleans())
def test_any_packet_survives_its_retransmission(number: int, other: int, payload: bytes, marker: bool) -> None:
    original = RtpPacket(96, number, 5, 1, payload, marker)
    again = RtpPacket.parse(rtx.wrap(original, payload_type=97, ssrc=2, sequence_number=other).serialize())
    assert rtx.unwrap(again, payload_type=96, ssrc=1) == original
