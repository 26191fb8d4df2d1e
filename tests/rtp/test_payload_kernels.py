"""The kernel that describes payloads says what the plain functions say, of real payloads and of their ruins."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rtp.encoders import KEY_FRAME_EVERY, encoded
from visiomedia.batch import ROW
from visiomedia.rtp.packetizers import H264Packetizer, Vp8Packetizer
from visiomedia.rtp.payload import av1
from visiomedia.rtp.payload.codec import Codec
from visiomedia.rtp.payload.description import is_key_frame, starts_frame
from visiomedia.rtp.payload.h264 import split_annex_b
from visiomedia.rtp.payload.vp9 import Vp9Descriptor
from visiomedia.rtp.payload_kernels import describe_payload

MAX_PAYLOAD = 1000
BEFORE = 3
ENCODERS = {
    Codec.VP8: "libvpx",
    Codec.VP9: "libvpx-vp9",
    Codec.H264: "libx264",
    Codec.H265: "libx265",
    Codec.AV1: "libsvtav1",
}


def described(codec: Codec, payload: bytes) -> tuple[bool, bool]:
    """What the kernel says, with bytes around the payload that would mislead it."""
    arena = np.frombuffer(b"\xff" * BEFORE + payload + b"\x10\x65\x00\x08" * 4, np.uint8).copy()
    rows = np.zeros(1, ROW)
    rows[0].codec, rows[0].payload_offset, rows[0].payload_length = codec, BEFORE, len(payload)
    rows[0].is_key_frame = rows[0].starts_frame = 1
    describe_payload(rows, 0, arena)
    return bool(rows[0].starts_frame), bool(rows[0].is_key_frame)


def told(codec: Codec, payload: bytes) -> tuple[bool, bool]:
    return starts_frame(codec, payload), is_key_frame(codec, payload)


def parts(data: bytes) -> list[bytes]:
    return [data[at : at + MAX_PAYLOAD] for at in range(0, len(data), MAX_PAYLOAD)]


def vp9_payloads(frame: bytes, number: int) -> Iterator[bytes]:
    """As browsers send one layer: not in flexible mode, with a long picture id."""
    pieces = parts(frame)
    for place, piece in enumerate(pieces):
        descriptor = Vp9Descriptor(
            picture_id=number,
            is_inter_picture=number % KEY_FRAME_EVERY != 0,
            starts_frame=place == 0,
            ends_frame=place == len(pieces) - 1,
            temporal_layer=0,
            tl0_picture_index=number,
        )
        yield descriptor.serialize() + piece


def h265_payloads(access_unit: bytes) -> Iterator[bytes]:
    """RFC 7798 section 4.4: small units together (48), large ones in fragments (49)."""
    units = list(split_annex_b(access_unit))
    small = [unit for unit in units if len(unit) <= MAX_PAYLOAD // 4]
    if small:
        yield bytes([48 << 1, 1]) + b"".join(len(unit).to_bytes(2, "big") + unit for unit in small)
    for unit in units:
        if len(unit) <= MAX_PAYLOAD // 4:
            continue
        pieces = parts(unit[2:])
        for place, piece in enumerate(pieces):
            flags = (place == 0) << 7 | (place == len(pieces) - 1) << 6
            yield bytes([unit[0] & 0x81 | 49 << 1, unit[1], flags | unit[0] >> 1 & 0x3F]) + piece


def av1_units(temporal_unit: bytes) -> Iterator[bytes]:
    """Its OBUs without their lengths, and without delimiters, which AV1 RTP section 5 says to leave out."""
    at = 0
    while at < len(temporal_unit):
        head, size, place = temporal_unit[at], 0, 0
        assert head & 0x06 == 0x02, "one byte of header, then a length"
        at += 1
        while True:
            byte = temporal_unit[at]
            at += 1
            size |= (byte & 0x7F) << place
            place += 7
            if byte < 0x80:
                break
        if head >> 3 & 0x0F != av1.ObuType.TEMPORAL_DELIMITER:
            yield bytes([head & ~0x02]) + temporal_unit[at : at + size]
        at += size


def av1_payloads(temporal_unit: bytes, is_key: bool) -> Iterator[bytes]:
    *first, last = av1_units(temporal_unit)
    pieces = parts(last)
    for place, piece in enumerate(pieces):
        yield av1.serialize_elements(
            [*first, piece] if place == 0 else [piece],
            continues_previous=place > 0,
            continues_in_next=place < len(pieces) - 1,
            starts_coded_video_sequence=is_key and place == 0,
        )


@cache
def payloads(codec: Codec) -> list[list[bytes]]:
    """Of each frame that a real encoder made."""
    frames = encoded(ENCODERS[codec])
    match codec:
        case Codec.VP8:
            vp8_packetizer = Vp8Packetizer(MAX_PAYLOAD, entropy=bytes)
            return [vp8_packetizer.packetize(frame, temporal_layer=0) for frame in frames]
        case Codec.VP9:
            return [list(vp9_payloads(frame, number)) for number, frame in enumerate(frames)]
        case Codec.H264:
            return [H264Packetizer(MAX_PAYLOAD).packetize_annex_b(frame) for frame in frames]
        case Codec.H265:
            return [list(h265_payloads(frame)) for frame in frames]
        case _:
            return [list(av1_payloads(frame, n % KEY_FRAME_EVERY == 0)) for n, frame in enumerate(frames)]


@pytest.mark.parametrize("codec", ENCODERS)
def test_real_frames_are_told_apart_by_both(codec: Codec) -> None:
    for number, frame in enumerate(payloads(codec)):
        assert len(frame) > 2
        for payload in frame:
            assert described(codec, payload) == told(codec, payload)
        assert told(codec, frame[0]) == (True, number % KEY_FRAME_EVERY == 0)
        # Whatever belongs to a frame after its first units is a later part.
        assert told(codec, frame[-1]) == (False, False)


def test_an_av1_key_frame_is_known_by_its_sequence_header_where_no_bit_says_so() -> None:
    first = payloads(Codec.AV1)[0][0]
    assert first[0] & 0x08
    silent = bytes([first[0] & ~0x08]) + first[1:]
    assert described(Codec.AV1, silent) == told(Codec.AV1, silent) == (True, True)


@pytest.mark.parametrize("codec", ENCODERS)
def test_every_prefix_of_real_payloads_is_told_the_same_by_both(codec: Codec) -> None:
    for frame in payloads(codec):
        for payload in frame[:2]:
            for length in range(40):
                assert described(codec, payload[:length]) == told(codec, payload[:length])


@pytest.mark.parametrize("codec", ENCODERS)
def test_mutated_payloads_are_told_the_same_by_both(codec: Codec) -> None:
    generator = np.random.default_rng(7)
    for frame in payloads(codec):
        for payload in frame[:2]:
            for _ in range(60):
                changed = bytearray(payload[:64])
                for at in generator.integers(0, 12, 3):
                    changed[min(int(at), len(changed) - 1)] = int(generator.integers(0, 256))
                assert described(codec, bytes(changed)) == told(codec, bytes(changed))


@given(st.sampled_from(Codec), st.binary(max_size=40))
def test_any_bytes_are_told_the_same_by_both(codec: Codec, payload: bytes) -> None:
    assert described(codec, payload) == told(codec, payload)


aggregates = st.lists(
    st.tuples(st.integers(0, 12), st.binary(max_size=8)).map(lambda part: part[0].to_bytes(2, "big") + part[1]),
    max_size=5,
).map(b"".join)


@given(st.sampled_from([(Codec.H264, b"\x78"), (Codec.H265, b"\x60\x01")]), aggregates)
def test_aggregates_with_lengths_that_lie_are_told_the_same_by_both(kind: tuple[Codec, bytes], units: bytes) -> None:
    codec, head = kind
    assert described(codec, head + units) == told(codec, head + units)
