"""aiortc reads what we write."""

import pytest
from aiortc import sdp as aiortc_sdp

from tests.sdp.vectors import LOCAL, OFFERS, STREAM, parse, plan_everything
from visiomedia.sdp import OfferedSection, SectionPlan, SessionDescription, create_answer, create_offer

pytestmark = pytest.mark.interop


def compare(ours: SessionDescription) -> None:
    theirs = aiortc_sdp.SessionDescription.parse(ours.serialize())
    assert [group.items for group in theirs.group] == ours.bundle
    assert len(theirs.media) == len(ours.media)
    for their, our in zip(theirs.media, ours.media, strict=True):
        assert (their.kind, their.port, their.rtp.muxId) == (our.kind, our.port, our.mid)
        if our.is_rejected:
            continue
        assert their.ice is not None
        assert their.dtls is not None
        assert their.ice.usernameFragment == our.transport.ice_ufrag
        assert their.ice.iceLite == ours.is_lite
        assert their.dtls.fingerprints[0].value == LOCAL.fingerprint.split()[1]
        assert [candidate.port for candidate in their.ice_candidates] == [
            candidate.port for candidate in our.candidates
        ]
        if not our.is_rtp:
            continue
        assert their.direction == our.direction.value
        assert {codec.payloadType: codec.name for codec in their.rtp.codecs} == {
            codec.payload_type: codec.name for codec in our.codecs
        }
        assert [(extension.id, extension.uri) for extension in their.rtp.headerExtensions] == [
            (extension.identifier, extension.uri) for extension in our.extensions
        ]
        assert [description.ssrc for description in their.ssrc] == list(our.ssrcs)
        assert [group.items for group in their.ssrc_group] == [list(group.ssrcs) for group in our.ssrc_groups]


@pytest.mark.parametrize("name", OFFERS)
def test_aiortc_reads_our_answers(name: str) -> None:
    offer = parse(name)
    plan = SectionPlan(stream=STREAM, sctp_port=5000, max_message_size=65536)
    compare(create_answer(offer, LOCAL, plan_everything(offer, plan)))
    compare(create_answer(offer, LOCAL, {offer.media[-1].mid: plan}))


def test_aiortc_reads_our_offers() -> None:
    sections = [
        OfferedSection(kind="video", mid="v", receives=True, stream=STREAM),
        OfferedSection(kind="audio", mid="a", receives=True),
        OfferedSection(kind="application", mid="d", max_message_size=65536),
    ]
    compare(create_offer(LOCAL, sections))
