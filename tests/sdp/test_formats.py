"""Which formats are the same, and which of an offer is taken."""

import pytest

from tests.sdp.vectors import parse
from visiomedia.sdp import SERVER_CAPABILITIES, Codec, can_carry, choose_format, is_same_format
from visiomedia.sdp.formats import common_formats, h264_profile, is_usable_payload_type


def video(name: str, fmtp: str = "", payload_type: int = 96) -> Codec:
    parameters = dict(part.split("=") for part in fmtp.split(";") if part)
    return Codec(payload_type, name, 90000, 1, parameters)


def h264(profile: str, mode: str = "1") -> Codec:
    return video("H264", f"profile-level-id={profile};packetization-mode={mode}")


# RFC 6184 table 5.
@pytest.mark.parametrize(
    ("profile_level_id", "profile"),
    [
        ("42e01f", "constrained baseline"),
        ("42C00A", "constrained baseline"),
        ("4d801f", "constrained baseline"),
        ("58c01f", "constrained baseline"),
        ("42001f", "baseline"),
        ("58401f", "baseline"),
        ("4d001f", "main"),
        ("4d401f", "main"),
        ("58001f", "extended"),
        ("64001f", "high"),
        ("640c1f", "constrained high"),
        ("f4001f", "f400"),
        ("42e0", "unknown"),
        ("zzzzzz", "unknown"),
        ("٤٢٠٠١f", "unknown"),
    ],
)
def test_h264_profiles(profile_level_id: str, profile: str) -> None:
    assert h264_profile(h264(profile_level_id)) == profile


def test_h264_without_a_profile_is_baseline() -> None:
    assert h264_profile(video("H264")) == "baseline"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (video("VP8"), video("vp8", "max-fs=12288", 120), True),
        (video("VP8"), video("VP9"), False),
        (video("VP9"), video("VP9", "profile-id=0"), True),
        (video("VP9", "profile-id=2"), video("VP9", "profile-id=0"), False),
        (video("AV1", "profile=0;level-idx=5"), video("AV1"), True),
        (video("AV1", "profile=1"), video("AV1"), False),
        (h264("42e01f"), h264("42e034"), True),
        (h264("42e01f"), h264("42001f"), False),
        (h264("42e01f"), h264("42e01f", "0"), False),
        (h264("42e01f", "0"), video("H264", "profile-level-id=42e01f"), True),
        (Codec(111, "opus", 48000, 2), Codec(109, "OPUS", 48000, 2, {"stereo": "1"}), True),
        (Codec(111, "opus", 48000, 2), Codec(111, "opus", 48000, 1), False),
        (Codec(96, "", 0), Codec(96, "", 0), False),
    ],
)
def test_same_formats(one: Codec, other: Codec, same: bool) -> None:
    assert is_same_format(one, other) is same
    assert is_same_format(other, one) is same


def test_a_stream_fits_wider_profiles_and_not_narrower_ones() -> None:
    assert can_carry(h264("42e01f"), h264("42001f"))
    assert can_carry(h264("42e01f"), h264("64001f"))
    assert can_carry(h264("4d001f"), h264("64001f"))
    assert not can_carry(h264("4d001f"), h264("42e01f"))
    assert not can_carry(h264("64001f"), h264("4d001f"))
    assert not can_carry(video("VP9", "profile-id=2"), video("VP9"))


def test_single_nal_units_fit_either_packetization_mode() -> None:
    assert can_carry(h264("42e01f", "0"), h264("42e01f", "1"))
    assert not can_carry(h264("42e01f", "1"), h264("42e01f", "0"))


@pytest.mark.parametrize(
    ("name", "payload_type", "rtx"),
    [
        ("chromium156_plain", 96, 97),
        ("chromium156_vp8_simulcast3", 96, 97),
        ("chromium156_vp9_L3T3_KEY", 98, 99),
        ("chromium156_av1_L3T3_KEY", 45, 46),
        ("firefox153_plain", 120, 124),
        ("ffmpeg_whip_offer", 106, 105),
        ("gst_whip_offer", 96, None),
        # Of the H.264 profiles the one that most receivers know, though it is not the first.
        ("chromium156_h264", 108, 109),
        ("chromium156_h264_simulcast3", 108, 109),
    ],
)
def test_the_codec_is_the_offerers_choice(name: str, payload_type: int, rtx: int | None) -> None:
    (offered,) = [section for section in parse(name).media if section.kind == "video"]
    chosen = choose_format(offered, SERVER_CAPABILITIES)
    assert chosen is not None
    assert chosen[0].payload_type == payload_type
    assert (chosen[1].payload_type if chosen[1] else None) == rtx


def test_our_own_order_decides_where_asked() -> None:
    offered = [video("AV1", "", 45), video("VP9", "", 98), video("VP8", "", 96)]
    own = SERVER_CAPABILITIES.video.codecs
    assert [codec.name for codec in common_formats(offered, own)] == ["AV1", "VP9", "VP8"]
    assert [codec.name for codec in common_formats(offered, own, prefers_own_order=True)] == ["VP8", "VP9", "AV1"]


def test_payload_types_that_look_like_rtcp_are_not_used() -> None:
    assert [number for number in range(128) if not is_usable_payload_type(number)] == list(range(64, 96))
    own = SERVER_CAPABILITIES.video.codecs
    assert common_formats([video("VP8", "", 72)], own) == []
