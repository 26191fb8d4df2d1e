"""Offers of ours, and the answers that fit them and do not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.sdp.vectors import LOCAL, MID, STREAM, TRANSPORT_WIDE_CC, parse, plan_everything
from visiomedia.errors import CapacityError, InvalidStateError, NegotiationError
from visiomedia.sdp import (
    SERVER_CAPABILITIES,
    Capabilities,
    Codec,
    Direction,
    HeaderExtension,
    LocalTransport,
    MediaCapabilities,
    OfferedSection,
    OutgoingStream,
    SectionPlan,
    SessionDescription,
    Setup,
    check_answer,
    create_answer,
    create_offer,
)

AUDIO = OfferedSection(
    kind="audio", mid="a", stream=OutgoingStream(ssrc=1, rtx_ssrc=0, cname="c", stream_id="s", track_id="a")
)
VIDEO = OfferedSection(kind="video", mid="v", stream=STREAM)
CAMERA = OfferedSection(kind="video", mid="c", receives=True, rids=("q", "h", "f"))
DATA = OfferedSection(kind="application", mid="d", max_message_size=65536)
BOTH = OfferedSection(kind="video", mid="b", receives=True, stream=STREAM)
H264 = Codec(0, "H264", 90000, 1, {"packetization-mode": "1", "profile-level-id": "42e01f"})

REMOTE = LocalTransport(
    ufrag="remote", password="r" * 24, fingerprint="sha-256 CC", candidates=[], is_lite=False, setup=Setup.ACTIVE
)


def answer_to(offer: SessionDescription) -> SessionDescription:
    plan = SectionPlan(stream=STREAM, sctp_port=5000, max_message_size=1000)
    return create_answer(offer, REMOTE, plan_everything(offer, plan))


def test_an_offer_describes_what_we_send_and_take() -> None:
    offer = create_offer(LOCAL, [AUDIO, VIDEO, CAMERA, DATA])
    assert SessionDescription.parse(offer.serialize()) == offer
    audio, video, camera, data = offer.media
    assert offer.bundle == [["a", "v", "c", "d"]]
    assert offer.is_lite
    assert offer.allows_mixed_extensions
    assert {section.transport.setup for section in offer.media} == {Setup.ACTPASS}
    assert [len(section.candidates) for section in offer.media] == [2, 0, 0, 0]
    assert [section.direction.value for section in offer.media] == ["sendonly", "sendonly", "recvonly", "sendrecv"]
    assert (audio.ssrc_groups, video.ssrc_groups[0].ssrcs) == ([], (111, 222))
    assert camera.simulcast is not None
    assert camera.simulcast.serialize() == "recv q;h;f"
    assert (data.protocol, data.sctp_port, data.max_message_size) == ("UDP/DTLS/SCTP", 5000, 65536)
    assert TRANSPORT_WIDE_CC not in {extension.uri for extension in video.extensions}
    assert TRANSPORT_WIDE_CC in {extension.uri for extension in camera.extensions}
    assert "transport-cc" not in video.codecs[0].feedback
    assert "transport-cc" in camera.codecs[0].feedback


def test_numbers_do_not_collide_and_are_the_same_in_all_sections() -> None:
    offer = create_offer(LOCAL, [AUDIO, VIDEO, CAMERA, BOTH])
    formats: dict[int, Codec] = {}
    extensions: dict[int, str] = {}
    for section in offer.media:
        assert len({codec.payload_type for codec in section.codecs}) == len(section.codecs)
        for codec in section.codecs:
            known = formats.setdefault(codec.payload_type, codec)
            assert (known.name, known.parameters) == (codec.name, codec.parameters)
            assert codec.payload_type in {*range(96, 128), *range(35, 64)}
        for extension in section.extensions:
            assert extensions.setdefault(extension.identifier, extension.uri) == extension.uri
            assert 1 <= extension.identifier <= 14


def test_payload_types_overflow_below_64_and_end_there() -> None:
    def capabilities(count: int) -> Capabilities:
        codecs = tuple(Codec(0, f"x{index}", 90000) for index in range(count))
        return Capabilities(video=MediaCapabilities(codecs=codecs))

    section = OfferedSection(kind="video", mid="v", receives=True)
    numbers = [codec.payload_type for codec in create_offer(LOCAL, [section], capabilities(61)).media[0].codecs]
    assert numbers == [*range(96, 128), *range(35, 64)]
    with pytest.raises(CapacityError):
        create_offer(LOCAL, [section], capabilities(62))


def test_later_offers_keep_places_and_numbers_and_recycle_nothing() -> None:
    first = create_offer(LOCAL, [AUDIO, VIDEO, CAMERA])
    second = create_offer(LOCAL, [BOTH, CAMERA, AUDIO], previous=first)
    assert [section.mid for section in second.media] == ["a", "v", "c", "b"]
    assert [section.is_rejected for section in second.media] == [False, True, False, False]
    assert second.bundle == [["a", "c", "b"]]
    for before, after in zip(first.media, second.media, strict=False):
        assert after.is_rejected or after.codecs == before.codecs
        assert after.is_rejected or after.extensions == before.extensions
    third = create_offer(LOCAL, [CAMERA], previous=second)
    assert [section.is_rejected for section in third.media] == [True, True, False, True]
    assert SessionDescription.parse(third.serialize()) == third
    assert third.media[2].candidates == LOCAL.candidates
    with pytest.raises(InvalidStateError, match="ended"):
        create_offer(LOCAL, [VIDEO], previous=third)
    with pytest.raises(InvalidStateError, match="kind"):
        create_offer(LOCAL, [OfferedSection(kind="audio", mid="c")], previous=third)


def test_an_offer_after_an_answer_uses_the_peers_numbers() -> None:
    browser = parse("firefox153_plain")
    answer = create_answer(browser, LOCAL, plan_everything(browser))
    sections = [
        OfferedSection(kind="audio", mid="0", receives=True),
        OfferedSection(kind="video", mid="1", receives=True),
        VIDEO,
    ]
    offer = create_offer(LOCAL, sections, previous=answer)
    assert [(codec.payload_type, codec.name) for codec in offer.media[1].codecs[:4]] == [
        (120, "VP8"),
        (124, "rtx"),
        (121, "VP9"),
        (125, "rtx"),
    ]
    numbers = [codec.payload_type for codec in offer.media[2].codecs]
    assert len(set(numbers)) == len(numbers)
    assert 109 not in numbers, "it is Opus there"
    identifiers = {extension.uri: extension.identifier for extension in offer.media[2].extensions}
    assert identifiers[MID] == 3
    used = {extension.identifier: extension.uri for section in answer.media for extension in section.extensions}
    assert all(used.get(identifier, uri) == uri for uri, identifier in identifiers.items())


def test_one_format_can_be_offered_and_whatever_carries_it() -> None:
    sent = OfferedSection(kind="video", mid="v", stream=STREAM, codec=H264)
    profiles = [
        (codec.parameters["profile-level-id"], codec.parameters["packetization-mode"])
        for codec in create_offer(LOCAL, [sent]).media[0].codecs
        if not codec.is_rtx
    ]
    assert profiles == [("42e01f", "1"), ("42001f", "1"), ("4d001f", "1"), ("64001f", "1")]
    both = OfferedSection(kind="video", mid="v", stream=STREAM, receives=True, codec=H264)
    assert len(create_offer(LOCAL, [both]).media[0].codecs) == 2
    unheard = Codec(0, "H265", 90000)
    with pytest.raises(InvalidStateError):
        create_offer(LOCAL, [OfferedSection(kind="video", mid="v", stream=STREAM, codec=unheard)])


def test_mids_are_unique() -> None:
    for sections in ([VIDEO, VIDEO], [OfferedSection(kind="video", mid="")]):
        with pytest.raises(InvalidStateError):
            create_offer(LOCAL, sections)


def test_an_offer_that_lists_nothing_is_empty() -> None:
    assert create_offer(LOCAL, []).media == []


def test_our_own_answer_fits() -> None:
    offer = create_offer(LOCAL, [AUDIO, VIDEO, CAMERA, DATA, BOTH])
    answer = answer_to(offer)
    assert answer.media[0].transport.setup is Setup.ACTIVE
    settled = check_answer(offer, answer)
    assert list(settled) == ["a", "v", "c", "d", "b"]
    assert [section.direction for section in settled.values()] == [
        Direction.SENDONLY,
        Direction.SENDONLY,
        Direction.RECVONLY,
        Direction.INACTIVE,
        Direction.SENDRECV,
    ]
    assert settled["d"].max_message_size == 1000
    assert settled["v"].codec is not None
    assert settled["v"].codec.name == "VP8"


def test_what_we_only_read_is_offered_so_and_the_peer_may_write_it() -> None:
    offer = create_offer(LOCAL, [BOTH])
    (offered,) = [extension for extension in offer.media[0].extensions if extension.uri == TRANSPORT_WIDE_CC]
    assert offered.direction is Direction.RECVONLY
    own = SERVER_CAPABILITIES.video
    writes = Capabilities(video=replace(own, send_extensions=own.receive_extensions))
    answer = create_answer(offer, REMOTE, plan_everything(offer, SectionPlan(stream=STREAM)), writes)
    section = check_answer(offer, answer)["b"]
    assert section.direction is Direction.SENDRECV
    assert section.receive_extensions[offered.identifier] == TRANSPORT_WIDE_CC
    assert TRANSPORT_WIDE_CC not in section.send_extensions


def test_an_answer_may_reject_sections() -> None:
    offer = create_offer(LOCAL, [AUDIO, VIDEO])
    answer = create_answer(offer, REMOTE, {"v": SectionPlan()}, SERVER_CAPABILITIES)
    settled = check_answer(offer, answer)
    assert [section.is_accepted for section in settled.values()] == [False, True]


def test_the_answers_order_of_codecs_decides() -> None:
    offer = create_offer(LOCAL, [VIDEO])
    answer = create_answer(offer, REMOTE, {"v": SectionPlan(preferred="AV1")})
    codec = check_answer(offer, answer)["v"].codec
    assert codec is not None
    assert codec.name == "AV1"


def spoil_mid(answer: SessionDescription) -> None:
    answer.media[1].mid = "other"


def spoil_kind(answer: SessionDescription) -> None:
    answer.media[1].kind = "audio"


def spoil_count(answer: SessionDescription) -> None:
    answer.media.pop()


def spoil_direction(answer: SessionDescription) -> None:
    answer.media[1].direction = Direction.SENDRECV


def spoil_codecs(answer: SessionDescription) -> None:
    answer.media[1].codecs = [Codec(96, "H265", 90000)]
    answer.media[1].direction = Direction.RECVONLY


def spoil_extension(answer: SessionDescription) -> None:
    answer.media[1].extensions.append(HeaderExtension(9, "urn:never-offered"))


def spoil_extension_number(answer: SessionDescription) -> None:
    answer.media[1].extensions[0] = HeaderExtension(13, answer.media[1].extensions[0].uri)


def spoil_mux(answer: SessionDescription) -> None:
    answer.media[1].rtcp_mux = False


def spoil_bundle(answer: SessionDescription) -> None:
    answer.bundle = [["a", "v"]]


def spoil_credentials(answer: SessionDescription) -> None:
    answer.media[0].transport.ice_password = None


def spoil_fingerprint(answer: SessionDescription) -> None:
    answer.media[0].transport.fingerprints = []


def spoil_setup(answer: SessionDescription) -> None:
    answer.media[0].transport.setup = Setup.ACTPASS


def spoil_data_channel(answer: SessionDescription) -> None:
    answer.media[2].formats = ["other"]


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_mid,
        spoil_kind,
        spoil_count,
        spoil_direction,
        spoil_codecs,
        spoil_extension,
        spoil_extension_number,
        spoil_mux,
        spoil_bundle,
        spoil_credentials,
        spoil_fingerprint,
        spoil_setup,
        spoil_data_channel,
    ],
)
def test_an_answer_that_does_not_fit_is_refused(spoil: Callable[[SessionDescription], None]) -> None:
    offer = create_offer(LOCAL, [AUDIO, VIDEO, DATA])
    answer = answer_to(offer)
    check_answer(offer, answer)
    spoil(answer)
    with pytest.raises(NegotiationError):
        check_answer(offer, answer)


def test_an_answer_cannot_revive_what_has_ended() -> None:
    first = create_offer(LOCAL, [AUDIO, VIDEO])
    second = create_offer(LOCAL, [AUDIO], previous=first)
    answer = answer_to(second)
    answer.media[1].port = 9
    with pytest.raises(NegotiationError, match="ended"):
        check_answer(second, answer)
