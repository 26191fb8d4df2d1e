"""What offer and answer together settle."""

import pytest

from tests.sdp.vectors import LOCAL, MID, STREAM, TRANSPORT_WIDE_CC, minimal, parse, plan_everything
from visiomedia.errors import NegotiationError
from visiomedia.sdp import (
    Direction,
    MediaDescription,
    NegotiatedSection,
    SectionPlan,
    SessionDescription,
    Setup,
    check_answer,
    create_answer,
    negotiated,
    offered_setup,
)


def settle(name: str, plan: SectionPlan | None = None) -> list[NegotiatedSection]:
    offer = parse(name)
    answer = create_answer(offer, LOCAL, plan_everything(offer, plan))
    return [negotiated(ours, theirs) for ours, theirs in zip(answer.media, offer.media, strict=True)]


def section_of(*attributes: str) -> MediaDescription:
    return SessionDescription.parse(minimal(*attributes)).media[0]


def test_chromium_video_is_settled() -> None:
    _, video = settle("chromium156_plain")
    assert (video.mid, video.kind, video.is_accepted, video.direction) == ("1", "video", True, Direction.RECVONLY)
    assert video.codec is not None
    assert video.rtx is not None
    assert (video.codec.payload_type, video.rtx.payload_type) == (96, 97)
    assert video.rtx_payload_types[97] == 96
    assert video.rtx_payload_types[109] == 108
    assert video.extensions[3] == TRANSPORT_WIDE_CC
    assert video.receive_extensions[4] == MID
    assert video.send_extensions == {}
    assert video.ssrcs == {428897408: None, 1729525870: 428897408}
    assert video.cname == "8AH0KFNf2hphL77Y"
    assert video.track_id == "f89a0cab-ed7a-4a6a-b291-bb5db9735e3d"
    assert video.reduced_size_rtcp
    assert video.allows_mixed_extensions
    assert video.extended_reports == ("rcvr-rtt=all",)
    assert "nack pli" in video.feedback


def test_firefox_declares_ssrcs_and_repairs_of_every_layer() -> None:
    _, video = settle("firefox153_vp8_simulcast3")
    assert video.rids == ("q", "h", "f")
    assert [ssrc for ssrc, repaired in video.ssrcs.items() if repaired is None] == [882002289, 683146602, 2065164575]
    assert video.ssrcs[501165107] == 2065164575


def test_ffmpeg_announces_a_repair_stream_by_its_group_only() -> None:
    _, video = settle("ffmpeg_whip_offer")
    assert video.ssrcs == {3485816753: None, 3485816754: 3485816753}


def test_extensions_are_settled_for_each_direction() -> None:
    remote = section_of(f"a=extmap:1 {MID}", f"a=extmap:2 {TRANSPORT_WIDE_CC}")
    offer = SessionDescription(media=[remote])
    local = create_answer(offer, LOCAL, {"0": SectionPlan(stream=STREAM)}).media[0]
    section = negotiated(local, remote)
    assert section.direction is Direction.SENDRECV
    assert section.receive_extensions == {1: MID, 2: TRANSPORT_WIDE_CC}
    assert section.send_extensions == {MID: 1}
    assert section.extensions == {1: MID, 2: TRANSPORT_WIDE_CC}


def test_payload_types_may_differ_by_direction() -> None:
    local = section_of("a=rtpmap:96 VP8/90000")
    remote = SessionDescription.parse(
        minimal(
            "a=rtpmap:100 VP8/90000",
            "a=rtpmap:101 rtx/90000",
            "a=fmtp:101 apt=100",
            media="video 9 UDP/TLS/RTP/SAVPF 100 101",
        )
    ).media[0]
    section = negotiated(local, remote, is_answer=False)
    assert [codec.payload_type for codec in section.receive_codecs] == [96]
    assert [codec.payload_type for codec in section.send_codecs] == [100, 101]
    assert section.codec is not None
    assert section.codec.payload_type == 100


def test_rejected_sections_settle_nothing() -> None:
    offer = parse("chromium156_plain")
    answer = create_answer(offer, LOCAL, {})
    section = negotiated(answer.media[1], offer.media[1])
    assert section == NegotiatedSection(mid="1", kind="video")
    assert not section.is_accepted


def test_data_channel_limits() -> None:
    data = settle("livekit_subscriber_offer", SectionPlan(sctp_port=5000))[0]
    assert (data.is_accepted, data.sctp_port, data.max_message_size) == (True, 5000, 65535)
    offer = parse("livekit_subscriber_offer")
    offer.media[0].max_message_size = None
    answer = create_answer(offer, LOCAL, plan_everything(offer, SectionPlan(sctp_port=5000)))
    assert negotiated(answer.media[0], offer.media[0]).max_message_size == 65536


def test_sections_that_do_not_fit_are_refused() -> None:
    offer = parse("chromium156_plain")
    with pytest.raises(NegotiationError):
        negotiated(offer.media[0], offer.media[1])
    with pytest.raises(NegotiationError, match="format"):
        negotiated(section_of(), section_of("a=rtpmap:96 H264/90000"))


def test_the_offered_dtls_role() -> None:
    assert offered_setup(parse("chromium156_plain")) is Setup.ACTPASS
    assert offered_setup(parse("ffmpeg_whip_offer")) is Setup.PASSIVE
    assert offered_setup(SessionDescription()) is Setup.ACTPASS


@pytest.mark.parametrize("who", ["publisher", "subscriber"])
def test_answers_of_others_fit_their_offers(who: str) -> None:
    settled = check_answer(parse(f"livekit_{who}_offer"), parse(f"livekit_{who}_answer"))
    assert [section.is_accepted for section in settled.values()] == [True] * len(settled)
    video = next(section for section in settled.values() if section.kind == "video")
    assert video.direction is Direction.SENDONLY
    assert video.codec is not None
    assert video.codec.name == "VP8"
