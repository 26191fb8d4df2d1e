"""Whom an SSRC belongs to: said by MID and RID at its start, remembered for good."""

from visiomedia.peer.binding import MAX_SSRCS, MediaBinding, ReceivingSection, RepairBinding, StreamBinder
from visiomedia.rtp.extensions import ExtensionKind, serialize_extensions
from visiomedia.rtp.packet import RtpPacket

VIDEO, RTX = 96, 97
KINDS = {4: ExtensionKind.MID, 10: ExtensionKind.RID, 11: ExtensionKind.REPAIRED_RID}


def packet(ssrc: int, payload_type: int, elements: dict[int, bytes] | None = None) -> bytes:
    profile, data = serialize_extensions(list(elements.items())) if elements else (None, b"")
    return RtpPacket(payload_type, 1, 2, ssrc, b"x", extension_profile=profile, extension_data=data).serialize()


def binder(*mids: str, rids: tuple[str, ...] = ("q", "h", "f")) -> StreamBinder:
    made = StreamBinder()
    sections = {mid: ReceivingSection(mid, frozenset({VIDEO}), frozenset({RTX}), rids) for mid in mids}
    made.update(sections, KINDS)
    return made


def test_mid_and_rid_bind_an_ssrc_once_and_it_stays_bound_when_they_stop() -> None:
    two = binder("0", "1")
    media = packet(7, VIDEO, {4: b"1", 10: b"h"})
    repair = packet(8, RTX, {4: b"1", 11: b"h"})
    assert two.bind(packet(7, VIDEO)) is None
    assert two.bind(packet(7, VIDEO, {4: b"1"})) is None
    assert two.bind(media) == MediaBinding("1", 7, 1)
    assert two.bind(repair) == RepairBinding("1", 8, 1)
    # A browser stops saying it after the first receiver report: also where the plane asks again, after a goodbye.
    assert two.bind(packet(7, VIDEO)) == MediaBinding("1", 7, 1)
    assert two.bind(packet(8, RTX)) == RepairBinding("1", 8, 1)
    # A renegotiation that keeps the section keeps what it bound; one that takes it away does not.
    sections = {mid: ReceivingSection(mid, frozenset({VIDEO}), frozenset({RTX}), ("q", "h", "f")) for mid in "01"}
    two.update(sections, KINDS)
    assert two.bind(packet(7, VIDEO)) == MediaBinding("1", 7, 1)
    two.update({"0": sections["0"]}, KINDS)
    assert two.bind(packet(7, VIDEO)) is None


def test_a_mid_that_is_said_counts_for_more_than_what_was_bound() -> None:
    two = binder("0", "1", rids=())
    assert two.bind(packet(7, VIDEO, {4: b"0"})) == MediaBinding("0", 7, 0)
    assert two.bind(packet(7, VIDEO, {4: b"1"})) == MediaBinding("1", 7, 0)
    assert two.bind(packet(7, VIDEO)) == MediaBinding("1", 7, 0)


def test_a_section_binds_so_many_ssrcs_however_many_packets_each_shows() -> None:
    one = binder("0", rids=())
    for _ in range(10 * MAX_SSRCS):
        assert one.bind(packet(1, VIDEO, {4: b"0"})) is not None
    for ssrc in range(2, MAX_SSRCS + 1):
        assert one.bind(packet(ssrc, VIDEO, {4: b"0"})) is not None
    assert one.bind(packet(5000, VIDEO, {4: b"0"})) is None
    assert one.bind(packet(1, VIDEO)) is not None
