"""Header extensions: blocks of elements, and the values of those that are known."""

import pytest
from aiortc import rtp as other
from hypothesis import given
from hypothesis import strategies as st

from visiomedia.batch import EXTENSION_KINDS
from visiomedia.errors import ParseError
from visiomedia.rtp import extensions
from visiomedia.rtp.extensions import (
    KIND_BY_URI,
    ONE_BYTE_PROFILE,
    TWO_BYTE_PROFILE,
    URI_BY_KIND,
    AbsCaptureTime,
    AudioLevel,
    DependencyDescriptor,
    ExtensionKind,
    PlayoutDelay,
    VideoOrientation,
    parse_extensions,
    serialize_extensions,
)

one_byte_elements = st.lists(st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16)), max_size=8)
two_byte_elements = st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=255)), max_size=8)


def test_kinds_are_columns_of_the_packet_plane() -> None:
    assert [(kind.name, int(kind)) for kind in ExtensionKind] == [
        ("UNKNOWN", 0),
        ("MID", 1),
        ("RID", 2),
        ("REPAIRED_RID", 3),
        ("AUDIO_LEVEL", 4),
        ("TRANSPORT_WIDE_CC", 5),
        ("ABS_SEND_TIME", 6),
        ("ABS_CAPTURE_TIME", 7),
        ("VIDEO_ORIENTATION", 8),
        ("PLAYOUT_DELAY", 9),
        ("DEPENDENCY_DESCRIPTOR", 10),
    ]
    assert max(ExtensionKind) < EXTENSION_KINDS
    assert set(URI_BY_KIND) == set(ExtensionKind) - {ExtensionKind.UNKNOWN}
    assert {KIND_BY_URI[uri] for uri in URI_BY_KIND.values()} == set(URI_BY_KIND)


def test_one_byte_block_of_rfc_8285_section_4_2() -> None:
    # The figure: ID 0 L 0 data; ID 1 L 1 data data; 2 bytes padding; ID 2 L 3 data * 4 (ids shifted by one).
    data = bytes.fromhex("10aa 21bbbb 0000 33cccccccc")
    elements = [(1, b"\xaa"), (2, b"\xbb\xbb"), (3, b"\xcc" * 4)]
    assert parse_extensions(ONE_BYTE_PROFILE, data) == elements
    assert serialize_extensions(elements) == (ONE_BYTE_PROFILE, bytes.fromhex("10aa21bbbb33cccccccc0000"))


def test_two_byte_block_of_rfc_8285_section_4_3() -> None:
    data = bytes.fromhex("0100 0201aa 0000 0304bbbbbbbb")
    elements = [(1, b""), (2, b"\xaa"), (3, b"\xbb" * 4)]
    assert parse_extensions(TWO_BYTE_PROFILE, data) == elements
    # "appbits": the low four bits of the profile are the application's.
    assert parse_extensions(0x100F, data) == elements
    assert serialize_extensions(elements) == (TWO_BYTE_PROFILE, bytes.fromhex("01000201aa0304bbbbbbbb00"))


@pytest.mark.parametrize("profile", [None, 0, 0xBEDF, 0x1010, 0x0FFF, 0xFFFF])
def test_block_of_another_profile_has_no_elements(profile: int | None) -> None:
    assert parse_extensions(profile, bytes.fromhex("10aa0000")) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("10aa f0bb20cc", [(1, b"\xaa")]),  # id 15 ends it
        ("10aa 2fbbcc", [(1, b"\xaa")]),  # longer than the block
        ("10aa 01bbcc 10aa", [(1, b"\xaa")]),  # id 0 with a length ends it as well
        ("10", []),
        ("", []),
        ("00000000", []),
    ],
)
def test_receiver_keeps_what_stands_before_garbage(data: str, expected: list[tuple[int, bytes]]) -> None:
    assert parse_extensions(ONE_BYTE_PROFILE, bytes.fromhex(data)) == expected


def test_two_byte_garbage_ends_the_block() -> None:
    assert parse_extensions(TWO_BYTE_PROFILE, bytes.fromhex("0101aa 0205bb")) == [(1, b"\xaa")]
    assert parse_extensions(TWO_BYTE_PROFILE, bytes.fromhex("0101aa 02")) == [(1, b"\xaa")]


def test_the_two_byte_form_is_taken_only_where_it_is_needed() -> None:
    assert serialize_extensions([(14, bytes(16))])[0] == ONE_BYTE_PROFILE
    assert serialize_extensions([(14, bytes(17))])[0] == TWO_BYTE_PROFILE
    assert serialize_extensions([(15, b"x")])[0] == TWO_BYTE_PROFILE
    assert serialize_extensions([(1, b"")])[0] == TWO_BYTE_PROFILE
    assert serialize_extensions([(1, b"x")], two_byte=True) == (TWO_BYTE_PROFILE, b"\1\1x\0")


@pytest.mark.parametrize(
    ("element", "two_byte"),
    [((15, b"x"), False), ((1, b""), False), ((1, bytes(17)), False), ((0, b"x"), None), ((256, b"x"), True)],
)
def test_element_that_the_form_cannot_hold_is_our_own_error(element: tuple[int, bytes], two_byte: bool | None) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        serialize_extensions([element], two_byte=two_byte)


@given(st.one_of(one_byte_elements, two_byte_elements))
def test_blocks_round_trip(elements: list[tuple[int, bytes]]) -> None:
    profile, data = serialize_extensions(elements)
    assert len(data) % 4 == 0
    assert parse_extensions(profile, data) == elements


@given(one_byte_elements.filter(bool))
def test_aiortc_packs_and_unpacks_the_same_block(elements: list[tuple[int, bytes]]) -> None:
    assert other.pack_header_extensions(elements) == serialize_extensions(elements)
    profile, data = serialize_extensions(elements)
    assert other.unpack_header_extensions(profile, data) == elements


@given(st.sampled_from([ONE_BYTE_PROFILE, TWO_BYTE_PROFILE]), st.binary(max_size=60))
def test_any_bytes_give_elements_that_lie_in_them(profile: int, data: bytes) -> None:
    at = 0
    for identifier, value in parse_extensions(profile, data):
        assert identifier != 0
        at = data.index(value, at) + len(value)
    assert at <= len(data)


@pytest.mark.parametrize("token", ["0", "audio", "a" * 255, "a-b_c"])
def test_identifiers_round_trip(token: str) -> None:
    assert extensions.parse_mid(extensions.serialize_mid(token)) == token
    assert extensions.parse_rid(extensions.serialize_rid(token)) == token


@pytest.mark.parametrize("value", [b"", b"a b", b"a\0", b"\xc3\xa9", b"\x7f", b"a:b"])
def test_what_is_no_identifier_is_refused(value: bytes) -> None:
    with pytest.raises(ParseError):
        extensions.parse_mid(value)
    with pytest.raises(ParseError):
        extensions.parse_rid(value)
    for serialize in (extensions.serialize_mid, extensions.serialize_rid):
        with pytest.raises(ValueError, match="cannot be"):
            serialize(value.decode("utf-8"))


def test_a_mid_may_have_characters_that_a_rid_may_not() -> None:
    assert extensions.parse_mid(b"a.b~c") == "a.b~c"
    with pytest.raises(ParseError):
        extensions.parse_rid(b"a.b~c")


def test_audio_level_of_rfc_6464() -> None:
    assert AudioLevel.parse(b"\xff") == AudioLevel(127, has_voice=True)
    assert AudioLevel.parse(b"\x1e") == AudioLevel(30, has_voice=False)
    # RFC 6464 section 3: the two-byte form may carry a byte more.
    assert AudioLevel.parse(b"\x80\x00") == AudioLevel(0, has_voice=True)
    assert AudioLevel(30, has_voice=True).serialize() == b"\x9e"


def test_transport_sequence_number_is_16_bits_and_may_ask_for_feedback_behind_them() -> None:
    assert extensions.parse_transport_sequence_number(b"\xff\xfe") == 65534
    assert extensions.parse_transport_sequence_number(b"\0\1\x80\x05") == 1


def test_abs_send_time_is_6_18_fixed_point_seconds() -> None:
    assert extensions.parse_abs_send_time(b"\x04\x00\x00") == 1.0
    assert extensions.parse_abs_send_time(b"\xff\xff\xff") == 64 - 2**-18
    assert extensions.serialize_abs_send_time(1.5) == b"\x06\x00\x00"
    assert extensions.serialize_abs_send_time(64.0 + 0.25) == b"\x01\x00\x00"


def test_abs_capture_time_with_and_without_clock_offset() -> None:
    assert AbsCaptureTime.parse(bytes(range(1, 9))) == AbsCaptureTime(0x0102030405060708)
    assert AbsCaptureTime.parse(bytes(8) + b"\xff" * 8) == AbsCaptureTime(0, -1)
    assert AbsCaptureTime(1, -(1 << 63)).serialize() == b"\0" * 7 + b"\1\x80" + bytes(7)


def test_video_orientation_turns_clockwise() -> None:
    # 3GPP TS 26.114 section 7.4.5: 0000CFR1R0.
    assert VideoOrientation.parse(b"\x00") == VideoOrientation(0)
    assert VideoOrientation.parse(b"\x0f") == VideoOrientation(270, is_flipped=True, is_back_camera=True)
    assert VideoOrientation(90, is_back_camera=True).serialize() == b"\x09"


def test_playout_delay_is_two_times_12_bits_of_10_ms() -> None:
    assert PlayoutDelay.parse(b"\x00\xa0\x14") == PlayoutDelay(100, 200)
    assert PlayoutDelay(0, 40950).serialize() == b"\x00\x0f\xff"
    with pytest.raises(ParseError):
        PlayoutDelay.parse(b"\x01\x40\x0a")


def test_dependency_descriptor_has_mandatory_fields_and_a_rest() -> None:
    short = DependencyDescriptor.parse(b"\xc3\x01\x02")
    assert short == DependencyDescriptor(True, True, 3, 0x0102)
    assert not short.has_structure
    key = DependencyDescriptor.parse(b"\x80\x00\x01\x80\x11")
    assert (key.start_of_frame, key.end_of_frame, key.rest, key.has_structure) == (True, False, b"\x80\x11", True)
    assert not DependencyDescriptor.parse(b"\x80\x00\x01\x40").has_structure
    assert key.serialize() == b"\x80\x00\x01\x80\x11"


PARSERS = {
    AudioLevel.parse: 1,
    extensions.parse_transport_sequence_number: 2,
    extensions.parse_abs_send_time: 3,
    AbsCaptureTime.parse: 8,
    VideoOrientation.parse: 1,
    PlayoutDelay.parse: 3,
    DependencyDescriptor.parse: 3,
}


def test_shorter_values_are_refused_and_longer_ones_read() -> None:
    for parse, length in PARSERS.items():
        for short in range(length):
            with pytest.raises(ParseError):
                parse(bytes(short))
        for longer in range(length, 20):
            parse(bytes(longer))


@given(st.binary(min_size=3, max_size=16))
def test_values_write_themselves_again(value: bytes) -> None:
    assert AudioLevel.parse(value).serialize() == value[:1]
    assert DependencyDescriptor.parse(value).serialize() == value
    assert VideoOrientation.parse(value).serialize() == bytes([value[0] & 0x0F])
    assert extensions.serialize_abs_send_time(extensions.parse_abs_send_time(value)) == value[:3]
    if len(value) in (8, 16):
        assert AbsCaptureTime.parse(value).serialize() == value
