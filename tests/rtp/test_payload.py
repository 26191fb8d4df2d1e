"""Payload formats: descriptors both ways, what starts a frame and a key frame, garbage."""

from collections.abc import Callable
from typing import Any

import av
import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.errors import ParseError
from visiomedia.rtp.payload import av1, h264, opus, vp8
from visiomedia.rtp.payload.codec import Codec, codec_from_name
from visiomedia.rtp.payload.description import is_key_frame, starts_frame
from visiomedia.rtp.payload.vp8 import Vp8Descriptor
from visiomedia.rtp.payload.vp9 import PictureGroupEntry, ScalabilityStructure, Vp9Descriptor


def test_codecs_are_numbers_of_the_packet_plane_with_names_of_sdp() -> None:
    assert [(int(codec), codec.encoding_name, codec.clock_rate) for codec in Codec] == [
        (0, "", 0),
        (1, "opus", 48_000),
        (2, "VP8", 90_000),
        (3, "VP9", 90_000),
        (4, "H264", 90_000),
        (5, "AV1", 90_000),
        (6, "H265", 90_000),
        (7, "red", 48_000),
        (8, "PCMU", 8_000),
        (9, "PCMA", 8_000),
        (10, "rtx", 90_000),
    ]
    assert all(codec_from_name(codec.encoding_name) is codec for codec in Codec)
    assert codec_from_name("vp8") is Codec.VP8
    assert codec_from_name("telephone-event") is Codec.UNKNOWN
    assert [codec.is_audio for codec in (Codec.OPUS, Codec.RED, Codec.VP8, Codec.RTX)] == [True, True, False, False]


# By hand from the figures of RFC 7741 section 4.2.
VP8 = {
    "10": Vp8Descriptor(True),
    "05": Vp8Descriptor(False, 5),
    "30": Vp8Descriptor(True, is_reference=False),
    "908011": Vp8Descriptor(True, picture_id=17, long_picture_id=False),
    "9080 9234": Vp8Descriptor(True, picture_id=0x1234),
    "9040 ff": Vp8Descriptor(True, tl0_picture_index=255),
    "9020 a0": Vp8Descriptor(True, temporal_layer=2, is_layer_sync=True),
    "9010 1f": Vp8Descriptor(True, key_index=31),
    "90f0 ffff 07 4d": Vp8Descriptor(True, 0, True, 0x7FFF, True, 7, 1, False, 13),
}

# From the figures of RFC 9628 section 4.2.
VP9 = {
    "00": Vp9Descriptor(),
    "0c": Vp9Descriptor(starts_frame=True, ends_frame=True),
    "8c11": Vp9Descriptor(17, False, starts_frame=True, ends_frame=True),
    "cd 9234": Vp9Descriptor(
        0x1234, is_inter_picture=True, starts_frame=True, ends_frame=True, is_not_reference_for_upper=True
    ),
    "28 53 07": Vp9Descriptor(
        starts_frame=True,
        temporal_layer=2,
        is_switching_point=True,
        spatial_layer=1,
        depends_on_lower=True,
        tl0_picture_index=7,
    ),
    "78 00 03 04": Vp9Descriptor(
        is_inter_picture=True, is_flexible=True, starts_frame=True, temporal_layer=0, references=(1, 2)
    ),
    "0a 38 0140 00b4 0280 0168 02 04 01 38 02 04": Vp9Descriptor(
        starts_frame=True,
        structure=ScalabilityStructure(
            2,
            ((320, 180), (640, 360)),
            (PictureGroupEntry(0, False, (1,)), PictureGroupEntry(1, True, (2, 4))),
        ),
    ),
    "0a 40": Vp9Descriptor(starts_frame=True, structure=ScalabilityStructure(3)),
}

DESCRIPTORS: list[tuple[Any, str, Any]] = [
    *((Vp8Descriptor, data, descriptor) for data, descriptor in VP8.items()),
    *((Vp9Descriptor, data, descriptor) for data, descriptor in VP9.items()),
]


@pytest.mark.parametrize(("kind", "data", "descriptor"), DESCRIPTORS)
def test_descriptors_both_ways(kind: Any, data: str, descriptor: Any) -> None:
    whole = bytes.fromhex(data)
    assert kind.parse(whole + b"rest") == (descriptor, b"rest")
    assert descriptor.serialize() == whole
    for length in range(len(whole)):
        with pytest.raises(ParseError):
            kind.parse(whole[:length])


def test_vp8_reserved_bits_are_ignored() -> None:
    assert Vp8Descriptor.parse(bytes.fromhex("58ff")) == (Vp8Descriptor(True), b"\xff")


def test_vp9_with_a_fourth_reference_is_refused() -> None:
    with pytest.raises(ParseError):
        Vp9Descriptor.parse(bytes.fromhex("58 03 05 07 08"))


def test_vp9_that_contradicts_itself_is_our_own_error() -> None:
    for descriptor in (
        Vp9Descriptor(references=(1,)),
        Vp9Descriptor(is_flexible=True, is_inter_picture=True),
        Vp9Descriptor(temporal_layer=0),
        Vp9Descriptor(structure=ScalabilityStructure(2, ((1, 1),))),
        Vp9Descriptor(structure=ScalabilityStructure(9)),
    ):
        with pytest.raises(ValueError, match=r"belong|structure"):
            descriptor.serialize()


@given(
    st.builds(
        Vp8Descriptor,
        st.booleans(),
        st.integers(0, 7),
        st.booleans(),
        st.integers(0, 0x7FFF),
        st.just(True),
        st.none() | st.integers(0, 255),
        st.just(None),
        st.just(False),
        st.none() | st.integers(0, 31),
    ),
    st.none() | st.tuples(st.integers(0, 3), st.booleans()),
    st.binary(max_size=9),
)
def test_vp8_round_trips_and_aiortc_reads_the_same(
    descriptor: Vp8Descriptor, layer: tuple[int, bool] | None, rest: bytes
) -> None:
    if layer is not None:
        descriptor.temporal_layer, descriptor.is_layer_sync = layer
    data = descriptor.serialize() + rest
    assert Vp8Descriptor.parse(data) == (descriptor, rest)
    theirs, their_rest = VpxPayloadDescriptor.parse(data)
    assert their_rest == rest
    assert (theirs.partition_start, theirs.partition_id) == (descriptor.starts_partition, descriptor.partition)
    assert (theirs.picture_id, theirs.tl0picidx) == (descriptor.picture_id, descriptor.tl0_picture_index)
    assert (theirs.tid, theirs.keyidx) == (layer, descriptor.key_index)
    if descriptor.is_reference:
        assert bytes(theirs) + rest == data


def test_size_of_a_vp8_key_frame() -> None:
    # RFC 6386 section 9.1: three bytes of tag, the start code, then width and height with two bits of scale each.
    frame = bytes.fromhex("100200 9d012a 8002 e041 00")
    assert vp8.frame_size(frame) == (640, 0x1E0)
    assert vp8.frame_size(frame[:9]) is None
    assert vp8.frame_size(b"\x11" + frame[1:]) is None
    assert vp8.frame_size(frame.replace(b"\x9d", b"\x9e")) is None


SPS, IDR, SLICE = "67", "65", "41"

# Payload; whether a frame starts in it, and a key frame.
STARTS: dict[Codec, list[tuple[str, bool, bool]]] = {
    Codec.VP8: [
        ("10 00", True, True),
        ("10 01", True, False),
        ("00 00", False, False),
        ("11 00", False, False),
        ("10", False, False),
        ("9080 8001 00", True, True),
        ("9080 8001", False, False),
        ("90e0 8001 05 20 01", True, False),
    ],
    Codec.VP9: [
        ("08 00", True, True),
        ("48 00", True, False),
        ("00 00", False, False),
        ("28 00 00 00", True, True),
        # The upper layer of a key picture.
        ("28 03 00 00", True, False),
        ("a8 05 00 00 00", True, True),
        ("a8 8005 02 00 00", True, False),
        ("28", False, False),
        ("88", False, False),
    ],
    Codec.H264: [
        (SPS + "00", True, True),
        (IDR + "00", True, True),
        (SLICE + "00", True, False),
        ("0680", True, False),
        (f"78 0002 {SPS}00 0002 6800", True, True),
        (f"78 0002 0600 0002 {IDR}00", True, True),
        (f"78 0002 0600 0002 {SLICE}00", True, False),
        ("78", True, False),
        ("78 0000 65", True, False),
        ("7c85 00", True, True),
        ("7c05 00", False, False),
        ("7c45 00", False, False),
        ("7c81 00", True, False),
        ("7c", False, False),
    ],
    Codec.H265: [
        ("2601 00", True, True),
        ("0201 00", True, False),
        ("4001 00", True, True),
        ("4201 00", True, True),
        ("4401 00", True, False),
        ("6001 0003 4001 0c", True, True),
        ("6001 0003 0201 0c 0003 2601 00", True, True),
        ("6001 0003 0201 0c", True, False),
        ("6201 93 00", True, True),
        ("6201 13 00", False, False),
        ("6201 81 00", True, False),
        ("6201", False, False),
    ],
    Codec.AV1: [
        # N.
        ("18 30", True, True),
        ("10 30", True, False),
        ("90 30", False, False),
        # Z contradicts N.
        ("98 30", False, False),
        # A temporal unit that begins with a sequence header, in each way of telling lengths.
        ("20 02 0a00 30", True, True),
        ("00 02 0a00 01 30", True, True),
        ("10 0a00", True, True),
        ("20 01 30 0a", True, True),
        ("00 05 0a", True, False),
    ],
    Codec.OPUS: [("78", True, False)],
    Codec.PCMU: [("ff", True, False)],
}


@pytest.mark.parametrize(
    ("codec", "data", "starts", "starts_key"),
    [(codec, *case) for codec, cases in STARTS.items() for case in cases],
)
def test_what_starts_a_frame_and_a_key_frame(codec: Codec, data: str, starts: bool, starts_key: bool) -> None:
    payload = bytes.fromhex(data)
    assert (starts_frame(codec, payload), is_key_frame(codec, payload)) == (starts, starts_key)


@pytest.mark.parametrize("codec", Codec)
def test_an_empty_payload_starts_nothing(codec: Codec) -> None:
    assert not starts_frame(codec, b"")
    assert not is_key_frame(codec, b"")


@given(st.sampled_from(Codec), st.binary(max_size=40))
def test_any_payload_is_described_without_an_exception(codec: Codec, payload: bytes) -> None:
    starts, starts_key = starts_frame(codec, payload), is_key_frame(codec, payload)
    assert starts or not starts_key


@given(st.binary(max_size=40))
def test_whole_vp9_descriptors_say_the_same_as_a_glance(payload: bytes) -> None:
    try:
        descriptor, _ = Vp9Descriptor.parse(payload)
    except ParseError:
        return
    assert starts_frame(Codec.VP9, payload) is descriptor.starts_frame
    assert is_key_frame(Codec.VP9, payload) is descriptor.starts_key_frame


PARSERS: list[Callable[[bytes], object]] = [
    Vp8Descriptor.parse,
    Vp9Descriptor.parse,
    opus.OpusPacket.parse,
    av1.AggregationHeader.parse,
    av1.elements,
    h264.aggregated_units,
    lambda data: list(h264.split_avc(data)),
    lambda data: list(h264.split_annex_b(data)),
    vp8.frame_size,
]


@given(st.sampled_from(PARSERS), st.binary(max_size=64))
def test_garbage_is_a_parse_error_at_most(parser: Callable[[bytes], object], data: bytes) -> None:
    try:
        parser(data)
    except ParseError:
        return


def test_h264_units_of_a_stap_a() -> None:
    assert h264.aggregated_units(bytes.fromhex("78 0001 67 0002 6801")) == [b"\x67", b"\x68\x01"]
    for data in ("78", "78 00", "78 0000", "78 0002 67", "78 0001 67 00"):
        with pytest.raises(ParseError):
            h264.aggregated_units(bytes.fromhex(data))


def test_h264_units_between_start_codes() -> None:
    stream = bytes.fromhex("00 00000001 6701 000001 6802 00000001 6503 0000")
    assert list(h264.split_annex_b(stream)) == [b"\x67\x01", b"\x68\x02", b"\x65\x03"]
    assert list(h264.split_annex_b(b"\x67\x01")) == []


def test_h264_units_behind_their_lengths() -> None:
    assert list(h264.split_avc(bytes.fromhex("00000002 6701 00000000 00000001 68"))) == [b"\x67\x01", b"\x68"]
    assert list(h264.split_avc(bytes.fromhex("02 6701 01 68"), length_size=1)) == [b"\x67\x01", b"\x68"]
    for data in ("00000003 6701", "000000", "00000001 67 0000"):
        with pytest.raises(ParseError):
            list(h264.split_avc(bytes.fromhex(data)))
    with pytest.raises(ValueError, match="1 to 4"):
        list(h264.split_avc(b"", length_size=0))


def test_av1_elements_with_and_without_lengths() -> None:
    assert av1.elements(bytes.fromhex("10 3001")) == [b"\x30\x01"]
    assert av1.elements(bytes.fromhex("20 01 0a 3001")) == [b"\x0a", b"\x30\x01"]
    assert av1.elements(bytes.fromhex("00 01 0a 02 3001")) == [b"\x0a", b"\x30\x01"]
    assert av1.elements(bytes.fromhex("00 8100") + b"\x0a") == [b"\x0a"]
    for data in ("", "00 02 0a", "00 80", "00 ffffffffffffffffff"):
        with pytest.raises(ParseError):
            av1.elements(bytes.fromhex(data))


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=6), st.booleans(), st.booleans())
def test_av1_elements_round_trip(parts: list[bytes], goes_on: bool, follows_on: bool) -> None:
    payload = av1.serialize_elements(parts, continues_previous=follows_on, continues_in_next=goes_on)
    assert av1.elements(payload) == parts
    header = av1.AggregationHeader.parse(payload)
    assert (header.continues_previous, header.continues_in_next) == (follows_on, goes_on)
    assert header.element_count == (len(parts) if len(parts) <= 3 else 0)


def test_av1_elements_by_hand() -> None:
    assert av1.serialize_elements([b"\x0a\x00", b"\x30"], starts_coded_video_sequence=True).hex() == "28020a0030"
    assert av1.serialize_elements([bytes(200)])[:2].hex() == "1000"
    assert av1.serialize_elements([bytes(200), b"\x30"])[:3].hex() == "20c801"
    with pytest.raises(ValueError, match="at least one"):
        av1.serialize_elements([])
    with pytest.raises(ValueError, match="middle"):
        av1.serialize_elements([b"\x30"], continues_previous=True, starts_coded_video_sequence=True)


@given(st.builds(av1.AggregationHeader, st.booleans(), st.booleans(), st.integers(0, 3), st.booleans()))
def test_av1_aggregation_headers_round_trip(header: av1.AggregationHeader) -> None:
    assert av1.AggregationHeader.parse(header.serialize()) == header


# RFC 6716 section 3.1, table 2, and section 3.2: configuration, mode, ms of a frame.
@pytest.mark.parametrize(
    ("data", "mode", "frame_ms", "count", "is_stereo"),
    [
        ("00", opus.OpusMode.SILK, 10, 1, False),
        ("5c", opus.OpusMode.SILK, 60, 1, True),
        ("60", opus.OpusMode.HYBRID, 10, 1, False),
        ("78", opus.OpusMode.HYBRID, 20, 1, False),
        ("80", opus.OpusMode.CELT, 2.5, 1, False),
        ("fc", opus.OpusMode.CELT, 20, 1, True),
        ("f9", opus.OpusMode.CELT, 20, 2, False),
        ("fa", opus.OpusMode.CELT, 20, 2, False),
        ("fb 03", opus.OpusMode.CELT, 20, 3, False),
        ("83 30", opus.OpusMode.CELT, 2.5, 48, False),
    ],
)
def test_opus_table_of_contents(data: str, mode: opus.OpusMode, frame_ms: float, count: int, is_stereo: bool) -> None:
    packet = opus.OpusPacket.parse(bytes.fromhex(data))
    assert (packet.mode, packet.frame_samples, packet.frame_count) == (mode, int(frame_ms * 48), count)
    assert (packet.samples, packet.is_stereo) == (int(frame_ms * 48) * count, is_stereo)


def test_opus_bandwidths_of_rfc_6716_table_2() -> None:
    told = [opus.OpusPacket.parse(bytes([configuration << 3])).bandwidth.value for configuration in range(32)]
    assert told == [
        *[4_000] * 4,
        *[6_000] * 4,
        *[8_000] * 4,
        *[12_000] * 2,
        *[20_000] * 2,
        *[4_000] * 4,
        *[8_000] * 4,
        *[12_000] * 4,
        *[20_000] * 4,
    ]
    assert [opus.OpusPacket.parse(data).channels for data in (b"\x78", b"\x7c")] == [1, 2]


@pytest.mark.parametrize("data", ["", "fb", "fb 00", "fb 07", "83 31", "1b 03"])
def test_opus_packets_of_no_or_too_long_duration_are_refused(data: str) -> None:
    with pytest.raises(ParseError):
        opus.OpusPacket.parse(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("application", "layout", "frame_ms", "bitrate", "mode"),
    [
        ("voip", "mono", 60, 12_000, opus.OpusMode.SILK),
        ("audio", "stereo", 20, 128_000, opus.OpusMode.CELT),
        ("lowdelay", "stereo", 5, 128_000, opus.OpusMode.CELT),
    ],
)
def test_opus_packets_of_a_real_encoder(
    application: str, layout: str, frame_ms: int, bitrate: int, mode: opus.OpusMode
) -> None:
    context = av.CodecContext.create("libopus", "w")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.format, context.layout, context.bit_rate = 48_000, "s16", layout, bitrate
    context.options = {"application": application, "frame_duration": str(frame_ms)}
    context.open()
    samples, channels = 48 * frame_ms, 1 if layout == "mono" else 2
    for number in range(5):
        frame = av.AudioFrame("s16", layout, samples)
        frame.planes[0].update(bytes((place * place >> 7) % 251 for place in range(frame.planes[0].buffer_size)))
        frame.sample_rate, frame.pts = 48_000, number * samples
        for data in context.encode(frame):
            packet = opus.OpusPacket.parse(bytes(data))
            assert (packet.samples, packet.channels) == (samples, channels)
            assert packet.mode is mode


def test_opus_silence() -> None:
    assert opus.is_silence(b"\x78")
    assert not opus.is_silence(b"\x78\x01\x02")
