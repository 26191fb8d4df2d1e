"""Answers to real offers."""

import pytest

from tests.sdp.vectors import (
    DEPENDENCY_DESCRIPTOR,
    HOST,
    LOCAL,
    MID,
    OFFERS,
    RID,
    STREAM,
    TRANSPORT_WIDE_CC,
    minimal,
    parse,
    plan_everything,
)
from visiomedia.errors import ConfigurationError
from visiomedia.sdp import (
    SERVER_CAPABILITIES,
    Capabilities,
    Codec,
    Direction,
    LocalTransport,
    MediaCapabilities,
    MediaDescription,
    OutgoingStream,
    SectionPlan,
    SessionDescription,
    Setup,
    create_answer,
    negotiated,
)

VP8 = Codec(0, "VP8", 90000)
H264 = Codec(0, "H264", 90000, 1, {"packetization-mode": "1", "profile-level-id": "42e01f"})


def answer_to(name: str, plan: SectionPlan | None = None) -> SessionDescription:
    offer = parse(name)
    return create_answer(offer, LOCAL, plan_everything(offer, plan))


def answer_one(*attributes: str, plan: SectionPlan | None = None, session: tuple[str, ...] = ()) -> MediaDescription:
    offer = SessionDescription.parse(minimal(*attributes, session=session))
    return create_answer(offer, LOCAL, {"0": plan or SectionPlan()}).media[0]


def video_of(description: SessionDescription) -> MediaDescription:
    return next(section for section in description.media if section.kind == "video")


def uris(section: MediaDescription) -> set[str]:
    return {extension.uri for extension in section.extensions}


@pytest.mark.parametrize("name", OFFERS)
def test_answers_parse_and_keep_the_shape_of_the_offer(name: str) -> None:
    offer = parse(name)
    plan = SectionPlan(stream=STREAM, sctp_port=5000, max_message_size=65536)
    answer = create_answer(offer, LOCAL, plan_everything(offer, plan))
    assert SessionDescription.parse(answer.serialize()) == answer
    assert [(section.kind, section.mid) for section in answer.media] == [
        (section.kind, section.mid) for section in offer.media
    ]
    assert answer.is_lite
    assert answer.bundle == offer.bundle
    for offered, section in zip(offer.media, answer.media, strict=True):
        assert not section.is_rejected
        if not section.is_rtp:
            continue
        numbers = {codec.payload_type: codec.name for codec in offered.codecs}
        assert all(numbers[codec.payload_type] == codec.name for codec in section.codecs)
        assert {(extension.identifier, extension.uri) for extension in section.extensions} <= {
            (extension.identifier, extension.uri) for extension in offered.extensions
        }
        assert section.rtcp_mux
        assert section.reduced_size_rtcp == offered.reduced_size_rtcp


@pytest.mark.parametrize(
    "name", ["chromium156_vp8_simulcast3", "chromium156_h264_simulcast3", "firefox153_vp8_simulcast3"]
)
def test_simulcast_is_received_in_the_order_offered(name: str) -> None:
    video = video_of(answer_to(name))
    assert [rid.serialize() for rid in video.rids] == ["q recv", "h recv", "f recv"]
    assert video.simulcast is not None
    assert video.simulcast.serialize() == "recv q;h;f"
    assert negotiated(video, video_of(parse(name))).rids == ("q", "h", "f")


def test_the_order_of_layers_is_the_senders() -> None:
    video = video_of(answer_to("livekit_publisher_offer"))
    offered = video_of(parse("livekit_publisher_offer"))
    assert offered.simulcast is not None
    assert video.simulcast is not None
    assert video.simulcast.receive == offered.simulcast.send
    reversed_order = answer_one("a=rid:f send", "a=rid:h send", "a=simulcast:send f;h")
    assert reversed_order.simulcast is not None
    assert reversed_order.simulcast.serialize() == "recv f;h"


def test_simulcast_can_be_declined() -> None:
    video = video_of(answer_to("chromium156_vp8_simulcast3", SectionPlan(accepts_simulcast=False)))
    assert (video.rids, video.simulcast) == ([], None)


def test_layers_without_a_rid_line_or_without_an_accepted_format_are_left_out() -> None:
    video = answer_one(
        "a=rid:q send pt=96", "a=rid:h send pt=97", "a=rid:f send max-width=640", "a=simulcast:send x,q;h;~f"
    )
    assert [rid.serialize() for rid in video.rids] == ["q recv pt=96", "f recv max-width=640"]
    assert video.simulcast is not None
    assert video.simulcast.serialize() == "recv q;f"


def test_extmap_allow_mixed_is_repeated_at_its_level() -> None:
    assert answer_to("chromium156_vp8_simulcast3").allows_mixed_extensions
    firefox = answer_to("firefox153_plain")
    assert not firefox.allows_mixed_extensions
    assert all(section.allows_mixed_extensions for section in firefox.media)
    assert not any(section.allows_mixed_extensions for section in answer_to("gst_whip_offer").media)


def test_extensions_and_feedback_of_a_receiving_section() -> None:
    audio, video = answer_to("chromium156_vp9_L3T3_KEY").media
    assert {MID, RID, TRANSPORT_WIDE_CC, DEPENDENCY_DESCRIPTOR, "urn:3gpp:video-orientation"} <= uris(video)
    assert not {uri for uri in uris(video) if "abs-send-time" in uri or "color-space" in uri}
    assert video.codecs[0].feedback == ("transport-cc", "ccm fir", "nack", "nack pli")
    assert audio.codecs[0].feedback == ("transport-cc",)
    assert [codec.name for codec in audio.codecs] == ["opus"]
    assert video.extended_reports == ["rcvr-rtt=all"]


def test_what_we_only_send_has_no_transport_wide_numbers_and_no_rids() -> None:
    offer = SessionDescription.parse(
        minimal(
            f"a=extmap:1 {MID}",
            f"a=extmap:2 {TRANSPORT_WIDE_CC}",
            f"a=extmap:3 {RID}",
            f"a=extmap:4 {DEPENDENCY_DESCRIPTOR}",
            "a=rtcp-fb:96 transport-cc",
            "a=rtcp-fb:96 nack",
            "a=recvonly",
        )
    )
    section = create_answer(offer, LOCAL, {"0": SectionPlan(stream=STREAM)}).media[0]
    assert section.direction is Direction.SENDONLY
    assert uris(section) == {MID, DEPENDENCY_DESCRIPTOR}
    assert section.codecs[0].feedback == ("nack",)


def test_in_both_directions_what_we_only_read_is_marked() -> None:
    section = answer_one(f"a=extmap:1 {MID}", f"a=extmap:2 {TRANSPORT_WIDE_CC}", plan=SectionPlan(stream=STREAM))
    assert section.direction is Direction.SENDRECV
    assert [extension.serialize() for extension in section.extensions] == [
        f"1 {MID}",
        f"2/recvonly {TRANSPORT_WIDE_CC}",
    ]


def test_directions_of_firefox_extensions_are_turned_round() -> None:
    video = video_of(answer_to("firefox153_vp8_simulcast3"))
    assert {extension.identifier: extension.direction for extension in video.extensions} == {
        3: None,
        7: None,
        8: Direction.RECVONLY,
        9: Direction.RECVONLY,
        10: Direction.RECVONLY,
    }
    assert not any("playout-delay" in uri for uri in uris(video)), "Firefox only reads it, and we send nothing"


def test_extension_ids_that_headers_cannot_hold_are_left_out() -> None:
    lines = (f"a=extmap:15 {MID}", f"a=extmap:16 {RID}", f"a=extmap:4096 {TRANSPORT_WIDE_CC}", "a=extmap:0 urn:x")
    assert uris(answer_one(*lines)) == set()
    assert uris(answer_one(*lines, session=("a=extmap-allow-mixed",))) == {RID}


def test_numbers_mean_the_same_in_all_of_a_bundle() -> None:
    second = minimal(f"a=extmap:1 {RID}", f"a=extmap:2 {TRANSPORT_WIDE_CC}").partition("m=")[2]
    second = "m=" + second.replace("a=mid:0", "a=mid:1").replace("VP8", "VP9")
    offer = SessionDescription.parse(minimal(f"a=extmap:1 {MID}", session=("a=group:BUNDLE 0 1 2",)) + second)
    offer.media.append(SessionDescription.parse("v=0\r\n" + second.replace("VP9", "VP8")).media[0])
    offer.media[2].mid = "2"
    answer = create_answer(offer, LOCAL, plan_everything(offer))
    assert [section.is_rejected for section in answer.media] == [False, True, False]
    assert uris(answer.media[2]) == {TRANSPORT_WIDE_CC}


def test_directions_are_what_both_want() -> None:
    plan = SectionPlan(stream=STREAM)
    for offered, expected in [
        ("sendrecv", "sendrecv"),
        ("sendonly", "recvonly"),
        ("recvonly", "sendonly"),
        ("inactive", "inactive"),
    ]:
        assert answer_one(f"a={offered}", plan=plan).direction.value == expected
    assert answer_one("a=sendrecv", plan=SectionPlan(receives=False)).direction is Direction.INACTIVE
    assert answer_one("a=sendrecv", plan=SectionPlan()).direction is Direction.RECVONLY


def test_what_we_send_is_declared() -> None:
    section = answer_one("a=recvonly", plan=SectionPlan(stream=STREAM))
    assert section.msids == ["stream track"]
    assert list(section.ssrcs) == [111]
    assert section.ssrc_groups == []
    with_rtx = parse("livekit_subscriber_offer")
    video = video_of(create_answer(with_rtx, LOCAL, plan_everything(with_rtx, SectionPlan(stream=STREAM))))
    assert video.ssrcs == {
        111: {"cname": "theirs", "msid": "stream track"},
        222: {"cname": "theirs", "msid": "stream track"},
    }
    assert [group.serialize() for group in video.ssrc_groups] == ["FID 111 222"]


def test_nothing_is_declared_where_nothing_is_sent() -> None:
    section = answer_one("a=sendonly", plan=SectionPlan(stream=STREAM))
    assert (section.msids, section.ssrcs, section.ssrc_groups) == ([], {}, [])


def test_a_stream_cannot_smuggle_lines_in() -> None:
    with pytest.raises(ConfigurationError):
        OutgoingStream(ssrc=1, rtx_ssrc=0, cname="a\r\na=ice-lite", stream_id="s", track_id="t")


@pytest.mark.parametrize(
    ("plan", "first", "length"),
    [
        (SectionPlan(codec=VP8), 96, 2),
        (SectionPlan(codec=H264), 108, 2),
        (SectionPlan(preferred="AV1"), 45, 18),
        (SectionPlan(preferred=100), 100, 18),
        (SectionPlan(preferred=H264), 108, 18),
        (SectionPlan(preferred="unheard"), 98, 18),
        (SectionPlan(), 98, 18),
    ],
)
def test_formats_can_be_restricted_and_preferred(plan: SectionPlan, first: int, length: int) -> None:
    video = video_of(answer_to("chromium156_vp9_L3T3_KEY", plan))
    assert video.codecs[0].payload_type == first
    assert video.codecs[1].apt == first
    assert len(video.codecs) == length


def test_limits_of_the_offerers_receiver_are_not_repeated() -> None:
    audio, video = answer_to("firefox153_plain").media
    assert audio.codecs[0].fmtp == "stereo=1;useinbandfec=1"
    assert video.codecs[0].fmtp == ""
    assert answer_to("gst_whip_offer").media[1].codecs[0].fmtp == ""


def test_a_stream_of_another_codec_than_those_offered_is_refused() -> None:
    assert answer_one("a=recvonly", plan=SectionPlan(stream=STREAM, codec=H264)).is_rejected


def test_capabilities_decide_what_is_taken() -> None:
    offer = parse("chromium156_plain")
    only_audio = Capabilities(audio=MediaCapabilities(codecs=(Codec(0, "PCMU", 8000),)))
    answer = create_answer(offer, LOCAL, plan_everything(offer), only_audio)
    assert [codec.name for codec in answer.media[0].codecs] == ["PCMU"]
    assert answer.media[0].extensions == []
    assert answer.media[1].is_rejected
    own_order = Capabilities(audio=SERVER_CAPABILITIES.audio, video=SERVER_CAPABILITIES.video, prefers_own_order=True)
    offer = parse("chromium156_av1_L3T3_KEY")
    assert video_of(create_answer(offer, LOCAL, plan_everything(offer), own_order)).codecs[0].name == "VP8"


def test_rejected_sections_have_port_zero_and_leave_the_group() -> None:
    offer = parse("chromium156_plain")
    answer = create_answer(offer, LOCAL, {"1": SectionPlan()})
    audio, video = answer.media
    assert (audio.port, audio.direction, audio.codecs[0].payload_type) == (0, Direction.INACTIVE, 111)
    assert audio.transport.ice_ufrag is None
    assert answer.bundle == [["1"]]
    assert video.candidates == LOCAL.candidates
    assert SessionDescription.parse(answer.serialize()) == answer
    assert create_answer(offer, LOCAL, {}).bundle == [[]]
    assert "a=group:BUNDLE\r\n" in create_answer(offer, LOCAL, {}).serialize()


def test_a_section_rejected_in_the_offer_stays_so_and_one_for_the_bundle_does_not() -> None:
    offer = parse("firefox153_plain")
    assert not any(section.is_rejected for section in answer_to("firefox153_plain").media)
    offer.media[1].bundle_only = False
    answer = create_answer(offer, LOCAL, plan_everything(offer))
    assert answer.media[1].is_rejected


def test_transport_stands_in_every_section_and_candidates_in_the_first() -> None:
    first, second = answer_to("chromium156_plain").media
    for section in (first, second):
        assert (section.port, section.connection) == (7882, "IN IP4 192.0.2.1")
        assert section.transport.fingerprints == [LOCAL.fingerprint]
        assert section.transport.setup is Setup.PASSIVE
    assert first.candidates == LOCAL.candidates
    assert first.end_of_candidates
    assert second.candidates == []


def test_candidates_may_trickle() -> None:
    local = LocalTransport(ufrag="abcd", password="x" * 22, fingerprint="sha-256 AA", candidates=[], trickles=True)
    offer = parse("chromium156_plain")
    section = create_answer(offer, local, plan_everything(offer)).media[0]
    assert (section.port, section.connection, section.end_of_candidates) == (9, "IN IP4 0.0.0.0", False)
    assert section.transport.ice_options == "trickle"


def test_the_default_destination_is_an_address() -> None:
    name, tcp = (HOST.parse(text) for text in ("1 1 udp 9 a.local 7 typ host", "1 1 tcp 9 192.0.2.7 7 typ host"))
    ipv6 = HOST.parse("1 1 udp 8 2001:db8::7 8 typ host")
    local = LocalTransport(ufrag="abcd", password="x" * 22, fingerprint="sha-256 AA", candidates=[name, tcp, ipv6])
    offer = parse("chromium156_plain")
    section = create_answer(offer, local, plan_everything(offer)).media[0]
    assert (section.port, section.connection) == (8, "IN IP6 2001:db8::7")


def test_our_dtls_role() -> None:
    assert answer_to("chromium156_plain").media[0].transport.setup is Setup.PASSIVE
    assert answer_to("ffmpeg_whip_offer").media[0].transport.setup is Setup.ACTIVE
    kept = LocalTransport(ufrag="abcd", password="x" * 22, fingerprint="sha-256 AA", candidates=[], setup=Setup.ACTIVE)
    offer = parse("chromium156_plain")
    answer = create_answer(offer, kept, plan_everything(offer))
    assert {section.transport.setup for section in answer.media} == {Setup.ACTIVE}


def test_data_channel_is_accepted_with_a_port_only() -> None:
    offer = parse("livekit_subscriber_offer")
    plan = SectionPlan(sctp_port=5000, max_message_size=262144)
    section = create_answer(offer, LOCAL, plan_everything(offer, plan)).media[0]
    assert (section.formats, section.sctp_port, section.max_message_size) == (["webrtc-datachannel"], 5000, 262144)
    assert create_answer(offer, LOCAL, plan_everything(offer)).media[0].is_rejected


def test_rtcp_on_a_port_of_its_own_is_refused() -> None:
    offer = SessionDescription.parse(minimal().replace("a=rtcp-mux\r\n", ""))
    assert create_answer(offer, LOCAL, {"0": SectionPlan()}).media[0].is_rejected


def test_without_a_group_one_section_is_accepted() -> None:
    offer = parse("chromium156_plain")
    offer.bundle = []
    answer = create_answer(offer, LOCAL, plan_everything(offer))
    assert [section.is_rejected for section in answer.media] == [False, True]
    assert answer.bundle == []


def test_a_section_outside_of_the_group_is_rejected() -> None:
    offer = parse("chromium156_plain")
    offer.bundle = [["1"], ["0"]]
    answer = create_answer(offer, LOCAL, plan_everything(offer))
    assert [section.is_rejected for section in answer.media] == [True, False]
    assert answer.bundle == [["1"]]


def test_of_two_sections_with_one_mid_the_second_is_rejected() -> None:
    offer = parse("chromium156_plain")
    offer.media[1].mid = "0"
    answer = create_answer(offer, LOCAL, plan_everything(offer))
    assert [section.is_rejected for section in answer.media] == [False, True]


def test_origin_and_version_are_ours() -> None:
    assert answer_to("chromium156_plain").origin == "- 4711 3 IN IP4 127.0.0.1"
