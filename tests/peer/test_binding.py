"""Which section an SSRC is bound to, and how many a section may have."""

from visiomedia.peer.binding import MAX_SSRCS, MediaBinding, ReceivingSection, StreamBinder
from visiomedia.rtp.packet import RtpPacket


def packet(ssrc: int, payload_type: int = 96) -> bytes:
    return RtpPacket(payload_type=payload_type, sequence_number=1, timestamp=1, ssrc=ssrc, payload=b"x").serialize()


def binder() -> StreamBinder:
    made = StreamBinder()
    section = ReceivingSection(mid="0", payload_types=frozenset({96}), repair_payload_types=frozenset({97}), rids=())
    made.update({"0": section}, {})
    return made


def test_packets_of_one_ssrc_that_are_on_their_way_do_not_use_up_what_a_section_may_bind() -> None:
    streams = binder()
    for _ in range(3 * MAX_SSRCS):
        assert streams.bind(packet(1)) == MediaBinding("0", 1, 0)
    assert streams.bind(packet(2)) == MediaBinding("0", 2, 0)


def test_section_binds_no_more_ssrcs_than_it_may() -> None:
    streams = binder()
    for ssrc in range(MAX_SSRCS):
        binding = streams.bind(packet(ssrc))
        assert binding is not None
        streams.note_bound(binding)
    assert streams.bind(packet(5000)) is None
