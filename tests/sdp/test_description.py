"""Text to model and back, with real descriptions and with hostile ones."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sdp.vectors import NAMES, minimal, parse, read
from visiomedia.errors import ParseError
from visiomedia.sdp import Direction, SessionDescription, Setup

LINES = sorted({line for name in NAMES for line in read(name).split("\r\n") if line})

DEFAULTS = {"a=rtpmap:9 G722/8000/1", "a=sendrecv"}
"""What their absence means as well: one channel, and the direction of a data channel (RFC 8866 section 6.6, 6.7)."""


def lines(text: str) -> Counter[str]:
    return Counter(line for line in text.replace("\r\n", "\n").split("\n") if line)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_serialized_parses_to_the_same_model(name: str) -> None:
    assert SessionDescription.parse(parse(name).serialize()) == parse(name)


@pytest.mark.parametrize("name", NAMES)
def test_no_line_of_a_real_description_is_lost(name: str) -> None:
    lost = lines(read(name)) - lines(parse(name).serialize())
    assert [line for line in lost if line not in DEFAULTS] == []


def test_lines_end_with_crlf_and_may_come_with_lf() -> None:
    text = read("chromium156_plain")
    assert parse("chromium156_plain").serialize().count("\n") == parse("chromium156_plain").serialize().count("\r\n")
    assert SessionDescription.parse(text.replace("\r\n", "\n")) == SessionDescription.parse(text)


def test_chromium_simulcast_is_read() -> None:
    audio, video = parse("chromium156_vp8_simulcast3").media
    assert (audio.kind, audio.mid, audio.port, audio.direction) == ("audio", "0", 53870, Direction.SENDONLY)
    assert audio.transport.ice_ufrag == "tZzO"
    assert audio.transport.setup is Setup.ACTPASS
    assert audio.candidates[1].extension("tcptype") == "active"
    assert list(audio.ssrcs) == [3191051630]
    assert audio.stream_ids == ("e24c65a5-c377-4bd2-83cd-3860ffa14383",)
    assert audio.track_id == "5a875252-e6ac-40c2-85d7-98747f5d963e"
    assert [rid.identifier for rid in video.rids] == ["q", "h", "f"]
    assert video.simulcast is not None
    assert video.simulcast.send == (("q",), ("h",), ("f",))
    assert video.rtcp_mux
    assert video.reduced_size_rtcp
    assert video.extended_reports == ["rcvr-rtt=all"]
    assert video.allows_mixed_extensions
    vp8, rtx = video.codecs[:2]
    assert (vp8.payload_type, vp8.name, vp8.clock_rate) == (96, "VP8", 90000)
    assert vp8.feedback == ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
    assert (rtx.apt, vp8.apt) == (96, None)
    assert video.codec(102).parameters["profile-level-id"] == "42001f"  # type: ignore[union-attr]


def test_sections_take_from_the_session_what_they_lack() -> None:
    offer = parse("firefox153_plain")
    for section in offer.media:
        assert section.transport.fingerprints == offer.transport.fingerprints != []
        assert section.transport.ice_options == "trickle"
        assert section.direction is Direction.SENDONLY


def test_session_level_values_reach_every_section_unless_it_has_its_own() -> None:
    session = (
        "c=IN IP4 192.0.2.9",
        "a=ice-lite",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:0123456789012345678901",
        "a=setup:passive",
        "a=extmap-allow-mixed",
        "a=recvonly",
        "a=fingerprint:sha-256 AA:BB",
    )
    text = minimal("a=setup:active", session=session).replace("c=IN IP4 0.0.0.0\r\n", "")
    description = SessionDescription.parse(text)
    (section,) = description.media
    assert description.is_lite
    assert section.direction is Direction.RECVONLY
    assert section.allows_mixed_extensions
    assert section.connection == "IN IP4 192.0.2.9"
    assert (section.transport.ice_ufrag, section.transport.setup) == ("abcd", Setup.ACTIVE)
    assert section.transport.fingerprints == ["sha-256 AA:BB"]
    assert SessionDescription.parse(description.serialize()) == description


def test_port_zero_rejects_unless_the_section_is_bundle_only() -> None:
    _, video = parse("firefox153_plain").media
    assert (video.port, video.bundle_only, video.is_rejected) == (0, True, False)
    rejected = SessionDescription.parse(minimal(media="video 0 UDP/TLS/RTP/SAVPF 96"))
    assert rejected.media[0].is_rejected


def test_what_is_not_modelled_is_kept() -> None:
    text = minimal("a=x-unheard-of:1:2 3", "a=framerate:15", session=("b=AS:500", "a=tool:some thing")).replace(
        "c=IN IP4 0.0.0.0\r\n", "i=a title\r\nc=IN IP4 0.0.0.0\r\nb=TIAS:64000\r\n"
    )
    assert lines(SessionDescription.parse(text).serialize()) == lines(text + "a=sendrecv")


def test_feedback_for_all_formats_reaches_each() -> None:
    section = SessionDescription.parse(minimal("a=rtcp-fb:96 nack", "a=rtcp-fb:* ccm fir", "a=rtcp-fb:* nack")).media[0]
    assert section.codecs[0].feedback == ("nack", "ccm fir")


def test_static_payload_types_need_no_rtpmap() -> None:
    section = SessionDescription.parse(minimal(media="audio 9 RTP/AVP 0 8 77")).media[0]
    assert [(codec.name, codec.clock_rate) for codec in section.codecs] == [("PCMU", 8000), ("PCMA", 8000), ("", 0)]


def test_data_channel_section_is_read() -> None:
    section = parse("livekit_subscriber_offer").media[0]
    assert section.is_data_channel
    assert not section.is_rtp
    assert (section.sctp_port, section.max_message_size) == (5000, 65535)
    assert section.end_of_candidates


def test_the_transport_is_that_of_the_first_in_the_group() -> None:
    offer = parse("gst_whip_offer")
    assert offer.transport_section is offer.media[0]
    offer.bundle = [["audio1", "video0"]]
    assert offer.transport_section is offer.media[1]
    offer.media[1].bundle_only = False
    assert offer.transport_section is offer.media[0]
    assert SessionDescription().transport_section is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "v=1\r\n",
        "o=- 1 1 IN IP4 127.0.0.1\r\nv=0\r\n",
        "v=0\r\nno line\r\n",
        "v=0\r\ns=a\rb\r\n",
        "v=0\r\ns=\0\r\n",
        "v=0\r\nm=video 9\r\n",
        "v=0\r\nm=video 65536 RTP/AVP 96\r\n",
        "v=0\r\nm=video 9 RTP/AVP 128\r\n",
        "v=0\r\nm=video 9 RTP/AVP ٣\r\n",
        minimal("a=rtpmap:96 VP8"),
        minimal("a=rtpmap:96 /90000"),
        minimal("a=rtpmap:9999 VP8/90000"),
        minimal("a=extmap:1"),
        minimal("a=extmap:5000 urn:x"),
        minimal("a=extmap:1/sometimes urn:x"),
        minimal("a=rid:a b send"),
        minimal("a=rid:q sendrecv"),
        minimal("a=rid:q send pt=x"),
        minimal("a=simulcast:send"),
        minimal("a=simulcast:send q send h"),
        minimal("a=simulcast:send q;;h"),
        minimal("a=candidate:1 1 udp 1 192.0.2.1 99999 typ host"),
        minimal("a=candidate:1 1 udp 1 192.0.2.1 9 host"),
        minimal("a=ssrc:4294967296 cname:x"),
        minimal("a=ssrc:1"),
        minimal("a=ssrc-group:FID"),
        minimal("a=ssrc-group:FID " + "1 " * 100),
        minimal("a=setup:maybe"),
        minimal("a=fingerprint:sha-256 no"),
        minimal("a=ice-ufrag:a b c d"),
        minimal("a=ice-pwd:short"),
        minimal("a=mid:a b"),
        minimal("a=sctp-port:65536"),
        minimal("a=max-message-size:-1"),
        minimal("a=max-message-size:" + "9" * 5000),
    ],
)
def test_what_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        SessionDescription.parse(text)


def test_size_lines_and_sections_are_bounded() -> None:
    with pytest.raises(ParseError, match="characters"):
        SessionDescription.parse("v=0\r\na=" + "x" * 262144)
    with pytest.raises(ParseError, match="lines"):
        SessionDescription.parse("v=0\n" + "a=x\n" * 20000)
    section = "m=audio 9 RTP/AVP 0\n"
    assert len(SessionDescription.parse("v=0\n" + section * 512).media) == 512
    with pytest.raises(ParseError, match="sections"):
        SessionDescription.parse("v=0\n" + section * 513)


def test_what_every_section_or_format_would_copy_is_bounded() -> None:
    prints = ["a=fingerprint:sha-256 AA"] * 16
    assert len(SessionDescription.parse(minimal(session=tuple(prints))).media[0].transport.fingerprints) == 16
    with pytest.raises(ParseError, match="fingerprint"):
        SessionDescription.parse(minimal(*prints, prints[0]))
    for head in ("96", "*"):
        with pytest.raises(ParseError, match="rtcp-fb"):
            SessionDescription.parse(minimal(*[f"a=rtcp-fb:{head} x{index}" for index in range(200)]))
    kinds = [f"a=rtcp-fb:{head} {head}{index}" for index in range(32) for head in ("96", "*")]
    check(minimal(*kinds))
    with pytest.raises(ParseError, match="rtcp-fb"):
        SessionDescription.parse(minimal(*kinds, "a=rtcp-fb:* one too many"))


@pytest.mark.parametrize("name", ["chromium156_vp8_simulcast3", "firefox153_vp8_simulcast3", "gst_whip_offer"])
def test_every_prefix_parses_or_is_refused(name: str) -> None:
    text = read(name)
    for length in range(0, len(text), 7):
        check(text[:length])


def check(text: str) -> None:
    try:
        description = SessionDescription.parse(text)
    except ParseError:
        return
    assert SessionDescription.parse(description.serialize()) == description


@given(st.text())
def test_any_text_parses_or_is_refused(text: str) -> None:
    check(text)
    check("v=0\n" + text)


REAL_LINES = st.one_of(st.sampled_from(LINES), st.text(max_size=20).map("a=".__add__))
MEDIA_LINES = st.sampled_from(["m=video 9 UDP/TLS/RTP/SAVPF 96 97 111", "m=application 9 UDP/DTLS/SCTP x"])


@given(st.lists(REAL_LINES, max_size=10), MEDIA_LINES, st.lists(REAL_LINES, max_size=40))
def test_any_mixture_of_real_lines_parses_or_is_refused(session: list[str], media: str, section: list[str]) -> None:
    check("\r\n".join(["v=0", *session, media, *section]))


@pytest.mark.parametrize("flag", ["extmap-allow-mixed", "recvonly", "rtcp-mux", "ice-lite"])
def test_an_odd_flag_of_a_data_channel_is_kept(flag: str) -> None:
    for session in ((), (f"a={flag}",)):
        check(minimal(f"a={flag}", media="application 9 UDP/DTLS/SCTP webrtc-datachannel", session=session))


@given(st.data())
def test_a_mutated_description_parses_or_is_refused(data: st.DataObject) -> None:
    text = list(read(data.draw(st.sampled_from(NAMES))))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(text) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                text[at] = data.draw(st.characters())
            case 1:
                del text[at]
            case _:
                text[at:at] = text[at : at + data.draw(st.integers(1, 200))]
    check("".join(text))
