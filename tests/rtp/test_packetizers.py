"""Frames to packets and back: real VP8 and H.264, loss, reordering, garbage, and bounds on memory."""

import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import pytest
from aiortc.codecs.h264 import H264Encoder, H264PayloadDescriptor
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from tests.rtp.encoders import FRAMES, HEIGHT, WIDTH, encoded
from visiomedia.errors import ConfigurationError, ParseError
from visiomedia.rtp import depacketizers
from visiomedia.rtp.depacketizers import Frame, H264Depacketizer, OpusDepacketizer, Vp8Depacketizer
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.packetizers import H264Packetizer, OpusPacketizer, Vp8Packetizer
from visiomedia.rtp.payload import h264, vp8
from visiomedia.rtp.payload.codec import Codec
from visiomedia.rtp.payload.description import is_key_frame, starts_frame

START = b"\0\0\0\1"


def decoded(decoder: str, frames: list[bytes]) -> list[tuple[int, int]]:
    context = av.CodecContext.create(decoder, "r")
    assert isinstance(context, av.VideoCodecContext)
    pictures = [picture for frame in frames for picture in context.decode(av.Packet(frame))]
    pictures += context.decode(None)
    return [(picture.width, picture.height) for picture in pictures]


def packets(payloads_by_frame: list[list[bytes]], first: int = 0xFFFE) -> list[RtpPacket]:
    """Their packets, from a sequence number on that wraps soon."""
    found: list[RtpPacket] = []
    for number, payloads in enumerate(payloads_by_frame):
        for place, payload in enumerate(payloads):
            sequence_number = (first + len(found)) & 0xFFFF
            marker = place == len(payloads) - 1
            found.append(RtpPacket(96, sequence_number, 3000 * number, 1, payload, marker))
    return found


def received(
    depacketizer: Vp8Depacketizer | H264Depacketizer | OpusDepacketizer, stream: list[RtpPacket]
) -> list[Frame]:
    return [frame for packet in stream for frame in depacketizer.receive(packet)]


def no_entropy(count: int) -> bytes:
    return b"\xff" * count


@pytest.mark.parametrize("max_payload", [16, 60, 1200, 60_000])
def test_real_vp8_frames_come_back_and_decode(max_payload: int) -> None:
    packetizer = Vp8Packetizer(max_payload)
    stream = packets([packetizer.packetize(frame) for frame in encoded("libvpx")])
    assert max(len(packet.payload) for packet in stream) <= max_payload
    frames = received(Vp8Depacketizer(), stream)
    assert [frame.data for frame in frames] == list(encoded("libvpx"))
    assert [frame.timestamp for frame in frames] == [3000 * number for number in range(FRAMES)]
    assert [frame.is_key_frame for frame in frames] == [number % 3 == 0 for number in range(FRAMES)]
    assert not any(frame.follows_loss for frame in frames)
    assert vp8.frame_size(frames[0].data) == (WIDTH, HEIGHT)
    assert decoded("vp8", [frame.data for frame in frames]) == [(WIDTH, HEIGHT)] * FRAMES


def annex_b(access_unit: bytes) -> bytes:
    return b"".join(START + unit for unit in h264.split_annex_b(access_unit))


@pytest.mark.parametrize("max_payload", [16, 60, 1200, 60_000])
def test_real_h264_access_units_come_back_and_decode(max_payload: int) -> None:
    packetizer = H264Packetizer(max_payload)
    stream = packets([packetizer.packetize_annex_b(unit) for unit in encoded("libx264")])
    assert max(len(packet.payload) for packet in stream) <= max_payload
    frames = received(H264Depacketizer(), stream)
    assert [frame.data for frame in frames] == [annex_b(unit) for unit in encoded("libx264")]
    assert [frame.is_key_frame for frame in frames] == [number % 3 == 0 for number in range(FRAMES)]
    assert not any(frame.follows_loss for frame in frames)
    assert decoded("h264", [frame.data for frame in frames]) == [(WIDTH, HEIGHT)] * FRAMES


def test_length_prefixed_units_make_the_same_payloads_as_start_codes() -> None:
    for unit in encoded("libx264"):
        sample = b"".join(len(nal).to_bytes(4, "big") + nal for nal in h264.split_annex_b(unit))
        assert H264Packetizer().packetize_avc(sample) == H264Packetizer().packetize_annex_b(unit)
    with pytest.raises(ParseError):
        H264Packetizer().packetize_avc(b"\0\0\0\5abcd")


def test_first_payload_of_a_frame_alone_starts_it_and_a_key_frame() -> None:
    for codec, packetize, frames in (
        (Codec.VP8, Vp8Packetizer(200).packetize, encoded("libvpx")),
        (Codec.H264, H264Packetizer(200).packetize_annex_b, encoded("libx264")),
    ):
        for number, frame in enumerate(frames):
            payloads = packetize(frame)
            assert starts_frame(codec, payloads[0])
            assert is_key_frame(codec, payloads[0]) is (number % 3 == 0)
            if codec is Codec.VP8:
                assert not any(starts_frame(codec, payload) for payload in payloads[1:])
                assert not any(is_key_frame(codec, payload) for payload in payloads[1:])


def test_vp8_parts_are_of_equal_length_but_the_last() -> None:
    lengths = [len(payload) for payload in Vp8Packetizer(100).packetize(bytes(1000))]
    assert len(lengths) == 11
    assert set(lengths[:-1]) == {lengths[0]}
    assert lengths[-1] <= lengths[0] <= 100


def test_vp8_picture_ids_count_frames_and_wrap_at_15_bits() -> None:
    packetizer = Vp8Packetizer(entropy=no_entropy)
    ids = [vp8.Vp8Descriptor.parse(packetizer.packetize(b"frame")[0])[0].picture_id for _ in range(3)]
    assert ids == [0x7FFF, 0, 1]


def test_vp8_temporal_layers_are_told_with_tl0_picture_indices() -> None:
    packetizer = Vp8Packetizer()
    told = []
    for layer, sync in ((0, False), (2, True), (1, True), (0, False), (2, False)):
        for payload in packetizer.packetize(bytes(3000), temporal_layer=layer, is_layer_sync=sync):
            descriptor, _ = vp8.Vp8Descriptor.parse(payload)
            assert (descriptor.temporal_layer, descriptor.is_layer_sync) == (layer, sync)
        told.append(descriptor.tl0_picture_index)
    assert told == [1, 1, 1, 2, 2]


def test_aiortc_reads_our_vp8_and_h264_payloads() -> None:
    frame = encoded("libvpx")[0]
    pieces = [VpxPayloadDescriptor.parse(payload) for payload in Vp8Packetizer(300).packetize(frame)]
    assert b"".join(rest for _, rest in pieces) == frame
    assert [descriptor.partition_start for descriptor, _ in pieces] == [1] + [0] * (len(pieces) - 1)
    unit = encoded("libx264")[0]
    parts = [H264PayloadDescriptor.parse(payload)[1] for payload in H264Packetizer(300).packetize_annex_b(unit)]
    assert b"".join(parts) == annex_b(unit)


def as_packet(frame: bytes, number: int) -> "av.Packet[Any]":
    packet: av.Packet[Any] = av.Packet(frame)
    packet.pts, packet.time_base = number, Fraction(1, 30)
    return packet


def test_we_read_vp8_and_h264_payloads_of_aiortc() -> None:
    pictures = [Vp8Encoder().pack(as_packet(frame, n))[0] for n, frame in enumerate(encoded("libvpx"))]
    assert [frame.data for frame in received(Vp8Depacketizer(), packets(pictures))] == list(encoded("libvpx"))
    units = [H264Encoder().pack(as_packet(unit, n))[0] for n, unit in enumerate(encoded("libx264"))]
    frames = received(H264Depacketizer(), packets(units))
    assert [frame.data for frame in frames] == [annex_b(unit) for unit in encoded("libx264")]


def test_small_units_leave_together_and_large_ones_in_fragments() -> None:
    # RFC 6184 section 5.7.1 and 5.8, by hand. SPS and PPS of NRI 3, an IDR slice of NRI 2 too large for one payload.
    sps, pps, idr = b"\x67\x01\x02", b"\x68\x03", b"\x45" + bytes(range(20))
    assert H264Packetizer(16).packetize([sps, pps, idr]) == [
        bytes.fromhex("78 0003 670102 0002 6803"),
        bytes.fromhex("5c85") + bytes(range(10)),
        bytes.fromhex("5c45") + bytes(range(10, 20)),
    ]


def test_nothing_to_send_makes_no_payloads() -> None:
    assert Vp8Packetizer().packetize(b"") == []
    assert H264Packetizer().packetize([b""]) == []
    assert H264Packetizer().packetize_annex_b(b"") == []
    assert OpusPacketizer().packetize(b"") == []


@pytest.mark.parametrize("max_payload", [8, 70_000])
def test_too_small_or_too_large_a_payload_is_refused(max_payload: int) -> None:
    for packetizer in (Vp8Packetizer, H264Packetizer):
        with pytest.raises(ConfigurationError, match="max_payload"):
            packetizer(max_payload)


@pytest.mark.parametrize("lost", range(12))
def test_a_lost_packet_costs_its_frame_alone_and_is_told_with_the_next(lost: int) -> None:
    payloads = [Vp8Packetizer(100).packetize(bytes([number + 1]) * 350) for number in range(3)]
    stream = packets(payloads)
    assert len(stream) == 12
    depacketizer = Vp8Depacketizer()
    frames = received(depacketizer, stream[:lost] + stream[lost + 1 :])
    numbers = [frame.timestamp // 3000 for frame in frames]
    assert numbers == [number for number in range(3) if number != lost // 4]
    follows = [frame.timestamp // 3000 for frame in frames if frame.follows_loss]
    assert follows == ([lost // 4 + 1] if lost < 8 else [])
    assert depacketizer.lost_frames == 1 or lost == 11


@pytest.mark.parametrize("lost", range(12))
def test_a_lost_fragment_costs_its_access_unit_alone(lost: int) -> None:
    # Slices that begin with the first macroblock, so that a decoder can tell that nothing before them is missing.
    payloads = [H264Packetizer(100).packetize([b"\x65\x88" + bytes([number + 1]) * 350]) for number in range(3)]
    stream = packets(payloads)
    assert len(stream) == 12
    frames = received(H264Depacketizer(), stream[:lost] + stream[lost + 1 :])
    assert [frame.timestamp // 3000 for frame in frames] == [number for number in range(3) if number != lost // 4]


def test_a_unit_whose_beginning_may_be_missing_is_not_given_out() -> None:
    depacketizer = H264Depacketizer()
    later_slice = b"\x41\x40slice"
    assert received(depacketizer, [RtpPacket(96, 7, 0, 1, later_slice, True)]) == []
    first, _, second, third = (RtpPacket(96, 8 + n, 3000 * n, 1, later_slice, True) for n in range(4))
    frames = received(depacketizer, [first, second, third])
    assert [(frame.timestamp, frame.follows_loss) for frame in frames] == [(0, True), (9000, True)]


def test_a_missing_marker_is_made_up_for_by_the_next_timestamp() -> None:
    for depacketizer, payload in ((Vp8Depacketizer(), b"\x10\x01frame"), (H264Depacketizer(), b"\x65\x88frame")):
        stream = [RtpPacket(96, number, number, 1, payload, number == 2) for number in range(3)]
        assert [len(depacketizer.receive(packet)) for packet in stream] == [0, 1, 2]


def test_late_and_repeated_packets_are_passed_over() -> None:
    stream = packets([Vp8Packetizer(100).packetize(bytes([number]) * 350) for number in range(1, 4)])
    expected = received(Vp8Depacketizer(), stream)
    assert received(Vp8Depacketizer(), [packet for packet in stream for _ in range(2)]) == expected
    assert received(Vp8Depacketizer(), stream[:6] + stream[:5] + stream[6:]) == expected


def test_a_sequence_that_begins_anew_is_followed() -> None:
    depacketizer = Vp8Depacketizer()
    old = packets([Vp8Packetizer().packetize(b"\1old")], first=30_000)
    new = packets([Vp8Packetizer().packetize(b"\1new")], first=100)
    assert [(frame.data, frame.follows_loss) for frame in received(depacketizer, old + new)] == [
        (b"\1old", False),
        (b"\1new", True),
    ]


def test_padding_between_packets_harms_no_frame() -> None:
    for depacketizer, packetizer in (
        (Vp8Depacketizer(), Vp8Packetizer(100).packetize),
        (H264Depacketizer(), H264Packetizer(100).packetize_annex_b),
    ):
        stream: list[RtpPacket] = []
        for packet in packets([packetizer(START + b"\x65\x88" + b"x" * 300)]):
            stream.append(RtpPacket(96, 2 * len(stream) & 0xFFFF, 5, 1, packet.payload, packet.marker))
        padded: list[RtpPacket] = []
        for packet in stream:
            padded += [packet, RtpPacket(96, packet.sequence_number + 1, 5, 1, b"", padding_length=255)]
        padded = [
            RtpPacket(96, place, packet.timestamp, 1, packet.payload, packet.marker)
            for place, packet in enumerate(padded)
        ]
        assert len(received(depacketizer, padded)) == 1


def test_opus_packets_are_frames_of_their_own() -> None:
    depacketizer = OpusDepacketizer()
    stream = packets([OpusPacketizer().packetize(bytes([number])) for number in range(5)])
    frames = received(depacketizer, [stream[0], stream[1], stream[3], stream[2], stream[4]])
    assert [(frame.data, frame.follows_loss) for frame in frames] == [
        (b"\0", False),
        (b"\1", False),
        (b"\3", True),
        (b"\4", False),
    ]


def endless(payload: bytes, count: int) -> Iterator[RtpPacket]:
    for number in range(count):
        yield RtpPacket(96, number & 0xFFFF, 7, 1, payload)


@pytest.mark.parametrize(
    ("depacketizer", "first", "more"),
    [
        (Vp8Depacketizer(), b"\x10frame", b"\x00" + bytes(1000)),
        (Vp8Depacketizer(), b"\x10frame", b"\x00"),
        (H264Depacketizer(), b"\x7c\x85frame", b"\x7c\x05" + bytes(1000)),
        (H264Depacketizer(), b"\x65\x88frame", b"\x65"),
    ],
)
def test_a_frame_without_end_is_dropped(
    depacketizer: Vp8Depacketizer | H264Depacketizer, first: bytes, more: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(depacketizers, "MAX_FRAME", 50_000)
    depacketizer.receive(RtpPacket(96, 0xFFFF, 7, 1, first))
    for packet in endless(more, 2000):
        assert depacketizer.receive(packet) == []
    assert depacketizer.receive(RtpPacket(96, 2000, 7, 1, more, True)) == []
    assert depacketizer.lost_frames == 1
    assert len(depacketizer.receive(RtpPacket(96, 2001, 8, 1, first.replace(b"\x7c\x85", b"\x65"), True))) == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.binary(max_size=12), st.booleans()), max_size=20))
def test_any_packets_are_taken_without_an_exception(pieces: list[tuple[int, int, bytes, bool]]) -> None:
    every = (Vp8Depacketizer(), H264Depacketizer(), OpusDepacketizer())
    sequence_number = 0
    for step, timestamp, payload, marker in pieces:
        sequence_number = (sequence_number + step) & 0xFFFF
        for depacketizer in every:
            depacketizer.receive(RtpPacket(96, sequence_number, timestamp, 1, payload, marker))


@pytest.mark.parametrize("seed", range(8))
def test_real_frames_cut_mutated_lost_and_swapped_end_in_frames_or_nothing(seed: int) -> None:
    generator = random.Random(seed)
    for depacketizer, packetize, frames in (
        (Vp8Depacketizer(), Vp8Packetizer(500).packetize, encoded("libvpx")),
        (H264Depacketizer(), H264Packetizer(500).packetize_annex_b, encoded("libx264")),
    ):
        stream: list[RtpPacket] = []
        for packet in packets([packetize(frame) for frame in frames]):
            payload = bytearray(packet.payload)
            match generator.randrange(40):
                case 0:
                    continue
                case 1:
                    payload[generator.randrange(min(len(payload), 6))] = generator.randrange(256)
                case 2:
                    del payload[generator.randrange(len(payload)) :]
                case 3 if stream:
                    stream.insert(-1, packet)
                    continue
            stream.append(RtpPacket(96, packet.sequence_number, packet.timestamp, 1, bytes(payload), packet.marker))
        taken = received(depacketizer, stream)
        # The harm stays in the frames it was done to, and what follows is marked.
        assert len(taken) <= FRAMES
        assert all(frame.data for frame in taken)
        before = [frame.timestamp for frame in taken]
        assert before == sorted(set(before))
        (whole,) = received(depacketizer, packets([packetize(frames[0])], first=30_000))
        assert whole.is_key_frame
        assert whole.follows_loss


# A NAL unit ends in a stop bit, so never in a zero byte; and holds no start code (H.264 section 7.4.1).
nal_units = st.lists(
    st.builds(
        lambda head, body: bytes([head]) + body.replace(b"\0", b"\1") + b"\x80",
        st.builds(lambda importance, kind: importance << 5 | kind, st.integers(0, 3), st.integers(1, 23)),
        st.binary(max_size=120),
    ),
    min_size=1,
    max_size=8,
)


@given(nal_units, st.integers(16, 100))
def test_any_units_round_trip(units: list[bytes], max_payload: int) -> None:
    payloads = H264Packetizer(max_payload).packetize(units)
    assert all(len(payload) <= max_payload for payload in payloads)
    depacketizer = H264Depacketizer()
    received(depacketizer, packets([[b"\x67sps"]], first=0xFFFD))
    stream = [RtpPacket(96, p.sequence_number, 3000, 1, p.payload, p.marker) for p in packets([payloads])]
    (frame,) = received(depacketizer, stream)
    assert frame.data == b"".join(START + unit for unit in units)
    assert list(h264.split_annex_b(frame.data)) == units


@given(st.binary(min_size=1, max_size=2000), st.integers(16, 1200))
def test_any_vp8_frame_round_trips(data: bytes, max_payload: int) -> None:
    payloads = Vp8Packetizer(max_payload).packetize(data)
    assert all(len(payload) <= max_payload for payload in payloads)
    (frame,) = received(Vp8Depacketizer(), packets([payloads]))
    assert frame.data == data
