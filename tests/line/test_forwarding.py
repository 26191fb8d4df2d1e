"""One publisher's packets on their way to receivers: what is rewritten, what is repaired, what goes no further."""

import itertools

import pytest

from visiomedia.batch import Drop
from visiomedia.routing.router import Subscription
from visiomedia.routing.tables import SHIFTS
from visiomedia.rtp.extensions import ExtensionKind
from visiomedia.rtp.packet import RtpPacket
from visiomedia.rtp.rtcp import FullIntraRequest, Nack, PictureLoss
from visiomedia.simulation.line import (
    AUDIO,
    IDS,
    RTX,
    VIDEO,
    Endpoint,
    Stream,
    VirtualLine,
    sequence_numbers,
)

MID, RID, LEVEL = ExtensionKind.MID, ExtensionKind.RID, ExtensionKind.AUDIO_LEVEL


def call(*, repaired: bool = True) -> tuple[VirtualLine, Endpoint, Stream, Endpoint, Subscription]:
    """A camera and one who watches it."""
    line = VirtualLine()
    publisher, receiver = line.endpoint(), line.endpoint()
    (camera,) = publisher.publish()
    subscription = receiver.subscribe(camera, repaired=repaired)
    line.turn()
    return line, publisher, camera, receiver, subscription


# --- rewriting --------------------------------------------------------------------------------------------------------


def test_each_receiver_gets_numbers_of_its_own_and_the_same_payload() -> None:
    line = VirtualLine()
    publisher, receivers = line.endpoint(), [line.endpoint(), line.endpoint()]
    (camera,) = publisher.publish()
    subscriptions = [
        receiver.subscribe(camera, payload_type=payload_type)
        for receiver, payload_type in zip(receivers, (100, 101), strict=True)
    ]
    camera.sequence_number = 65_000
    sent: list[RtpPacket] = []
    for number in range(1000):  # across the publisher's rollover
        sent.append(RtpPacket.parse(camera.send(b"\x10" + number.to_bytes(2, "big"), marker=number % 3 == 2)))
        if number == 0:
            line.turn()
        line.pass_time(0.01)
    for receiver, subscription, payload_type in zip(receivers, subscriptions, (100, 101), strict=True):
        got = receiver.media(subscription)
        assert [(packet.payload, packet.marker) for packet in got] == [(each.payload, each.marker) for each in sent]
        assert {packet.payload_type for packet in got} == {payload_type}
        for field in ("sequence_number", "timestamp"):
            modulus = 1 << (16 if field == "sequence_number" else 32)
            assert len({(getattr(a, field) - getattr(b, field)) % modulus for a, b in zip(got, sent, strict=True)}) == 1
            assert getattr(got[0], field) != getattr(sent[0], field)
    assert len({camera.ssrc, *(subscription.ssrc for subscription in subscriptions)}) == 3


def test_extensions_take_the_receivers_ids_and_its_mid_and_the_hops_own_stay_behind() -> None:
    line = VirtualLine()
    publisher = line.endpoint()
    same, other, none = (
        line.endpoint(),
        line.endpoint({MID: 9, LEVEL: 14}),
        line.endpoint({}),
    )
    (microphone,) = publisher.publish(is_audio=True)
    subscriptions = {receiver: receiver.subscribe(microphone, mid="away") for receiver in (same, other, none)}
    line.turn()
    elements = [(IDS[MID], b"here"), (IDS[LEVEL], b"\x85"), (IDS[ExtensionKind.TRANSPORT_WIDE_CC], b"\0\1"), (12, b"?")]
    microphone.send(b"voice", elements=elements)
    line.turn()
    got = {receiver: receiver.media(subscription) for receiver, subscription in subscriptions.items()}
    assert same.elements(got[same][0]) == {IDS[MID]: b"away", IDS[LEVEL]: b"\x85"}
    assert other.elements(got[other][0]) == {9: b"away", 14: b"\x85"}
    assert got[none][0].extension_profile is None
    assert {packets[0].payload for packets in got.values()} == {b"voice"}


def test_contributors_and_padding_stay_behind_and_padding_only_packets_leave_no_gap() -> None:
    line, _, camera, receiver, subscription = call()
    camera.send(b"\x10\x00first", csrcs=(1, 2, 3), padding=200)
    for _ in range(10):
        camera.send(b"", padding=255)
        line.turn()
    camera.send(b"\x10\x01second", padding=1)
    line.turn()
    first, second = receiver.media(subscription)
    assert (first.payload, second.payload) == (b"\x10\x00first", b"\x10\x01second")
    assert (first.csrcs, first.padding_length, second.padding_length) == ((), 0, 0)
    assert (second.sequence_number - first.sequence_number) & 0xFFFF == 1
    assert line.drops(Drop.PADDING_ONLY) == 10


def test_gaps_that_add_up_cost_no_receiver_its_rollover_counter() -> None:
    line, _, camera, receiver, subscription = call()
    camera.send(b"\x10\x00first")
    line.turn()
    for _ in range(3):
        camera.sequence_number = (camera.sequence_number + 20_000) & 0xFFFF
        camera.payload_type = 99  # of no format that was negotiated: it goes no further
        camera.send(b"not forwarded")
        line.turn()
    camera.payload_type = VIDEO
    for name in (b"second", b"third"):
        camera.send(b"\x10\x01" + name)
        line.turn()
    first, second, third = receiver.media(subscription)
    assert [(packet.sequence_number - first.sequence_number) & 0xFFFF for packet in (second, third)] == [2, 3]
    assert third.payload == b"\x10\x01third"


def test_a_packet_from_before_much_padding_never_takes_anothers_number() -> None:
    line, publisher, camera, receiver, subscription = call()
    camera.send_frame(b"a", key=True)
    *_, late = (publisher.session.protect(camera.make(b"\x00\x01" + name)) for name in (b"1", b"2", b"3"))
    for _ in range(20):
        camera.send(b"", padding=255)
    camera.send_frame(b"b")
    line.turn()
    publisher.arrive(late)
    line.turn()
    got = receiver.media(subscription)
    offsets = {packet.payload: (packet.sequence_number - got[0].sequence_number) & 0xFFFF for packet in got}
    assert sorted(offsets.values()) == [0, 1, 5, 6]
    assert line.drops(Drop.TOO_OLD) == 1
    # With few enough of them it is known where a late packet belongs.
    (late,) = camera.frame(b"c", packets=1)
    for _ in range(SHIFTS - 1):
        camera.send(b"", padding=255)
    camera.send_frame(b"d", packets=1)
    line.turn()
    publisher.arrive(late)
    line.turn()
    numbers = [(packet.sequence_number - got[0].sequence_number) & 0xFFFF for packet in receiver.media(subscription)]
    assert numbers[-2:] == [8, 7]


def test_a_payload_type_that_was_not_negotiated_goes_no_further() -> None:
    line, publisher, camera, receiver, subscription = call()
    camera.send_frame(b"a", key=True)
    publisher.send(RtpPacket(55, camera.sequence_number, 0, camera.ssrc, b"\x10\x00").serialize())
    line.turn()
    assert {packet.payload_type for packet in receiver.media(subscription)} == {VIDEO}
    assert line.drops(Drop.UNKNOWN_PAYLOAD_TYPE) == 1


# --- what does not belong ---------------------------------------------------------------------------------------------


def test_duplicates_replays_and_forgeries_are_dropped_and_counted() -> None:
    line, publisher, camera, receiver, subscription = call()
    sealed = camera.frame(b"a", key=True, packets=3)
    for data in (*sealed, *sealed, sealed[0][:-1] + bytes([sealed[0][-1] ^ 1])):
        publisher.arrive(data)
    line.turn()
    publisher.arrive(sealed[1])
    stranger = line.endpoint()
    stranger.arrive(camera.frame(b"b")[0])  # sealed with the publisher's keys, from another's address
    line.turn()
    assert len(receiver.media(subscription)) == 3
    assert line.drops(Drop.REPLAYED) == 5  # the forgery claims an index that was seen
    assert line.drops(Drop.UNKNOWN_SSRC) == 0
    assert line.drops(Drop.AUTHENTICATION) == 1


def test_a_retransmission_of_what_came_already_is_a_duplicate() -> None:
    line, publisher, camera, receiver, subscription = call()
    repair = publisher.stream()
    assert camera.track is not None
    line.router.add_repair_source(camera.track, repair.ssrc, camera.track.sources[0])
    line.turn()
    packet = RtpPacket.parse(camera.send(b"\x10\x00all"))
    for number in range(3):
        publisher.send(retransmission(packet, repair, number))
    line.turn()
    assert [got.payload for got in receiver.media(subscription)] == [b"\x10\x00all"]
    assert line.drops(Drop.DUPLICATE) == 3


def retransmission(packet: RtpPacket, repair: Stream, sequence_number: int) -> bytes:
    """A packet once more as its publisher repeats it (RFC 4588 section 4)."""
    payload = packet.sequence_number.to_bytes(2, "big") + packet.payload
    return RtpPacket(RTX, sequence_number, packet.timestamp, repair.ssrc, payload, packet.marker).serialize()


# --- repair -----------------------------------------------------------------------------------------------------------


def test_a_receivers_nack_is_answered_from_history_with_the_same_payload() -> None:
    line, _, camera, receiver, subscription = call()
    for number in range(40):
        camera.send_frame(b"%d" % number, key=number == 0)
        line.pass_time(0.03)
    media = receiver.media(subscription)
    lost = [packet for number, packet in enumerate(media) if number in (3, 4, 20, 21, 79)]
    receiver.send_rtcp(Nack(1, subscription.ssrc, tuple(sequence_numbers(lost))))
    line.turn()
    repaired = [each.packet for each in receiver.rtp if each.packet.ssrc == subscription.rtx_ssrc]
    assert {packet.payload_type for packet in repaired} == {RTX}
    assert [(packet.payload, packet.timestamp, packet.marker) for packet in repaired] == [
        (packet.sequence_number.to_bytes(2, "big") + packet.payload, packet.timestamp, packet.marker) for packet in lost
    ]
    # Asked again within a round trip they are not sent again; later they are, under numbers of their own.
    receiver.send_rtcp(Nack(1, subscription.ssrc, tuple(sequence_numbers(lost))))
    line.turn()
    assert len(receiver.rtp) == len(media) + 5
    line.pass_time(0.02)
    receiver.send_rtcp(Nack(1, subscription.ssrc, tuple(sequence_numbers(lost))))
    line.turn()
    repaired = [each.packet for each in receiver.rtp if each.packet.ssrc == subscription.rtx_ssrc]
    first = repaired[0].sequence_number
    assert sequence_numbers(repaired) == [(first + number) & 0xFFFF for number in range(10)]


def test_a_nack_is_not_answered_without_rtx_nor_for_what_was_never_sent_nor_for_anothers_stream() -> None:
    line, _, camera, receiver, subscription = call(repaired=False)
    stranger, repaired = line.endpoint(), line.endpoint()
    other = repaired.subscribe(camera)
    line.turn()
    for number in range(10):
        camera.send_frame(b"%d" % number, key=number == 0)
        line.turn()
    numbers = tuple(sequence_numbers(receiver.media(subscription)))
    beyond = tuple((number + 1000) & 0xFFFF for number in sequence_numbers(repaired.media(other)))
    receiver.send_rtcp(Nack(1, subscription.ssrc, numbers))
    repaired.send_rtcp(Nack(1, other.ssrc, beyond))
    stranger.send_rtcp(Nack(1, other.ssrc, tuple(sequence_numbers(repaired.media(other)))))
    line.turn()
    assert (len(receiver.rtp), len(repaired.rtp), len(stranger.rtp)) == (20, 20, 0)


def test_what_a_publisher_lost_is_asked_for_until_it_comes_and_then_forwarded() -> None:
    line, publisher, camera, receiver, subscription = call()
    repair = publisher.stream()
    assert camera.track is not None
    line.router.add_repair_source(camera.track, repair.ssrc, camera.track.sources[0])
    camera.send_frame(b"a", key=True)
    line.turn()
    lost = camera.make(b"\x10\x01lost")
    camera.send(b"\x00\x01b")
    line.turn()
    assert publisher.feedback(Nack) == [], "it may only be late"
    line.pass_time(0.2)
    asked = publisher.feedback(Nack)
    wanted = RtpPacket.parse(lost).sequence_number
    assert [request.packet.lost for request in asked] == [(wanted,)] * 5
    assert {request.packet.media_ssrc for request in asked} == {camera.ssrc}
    assert [b.at - a.at for a, b in itertools.pairwise(asked)] == [40_000_000] * 4
    publisher.send(retransmission(RtpPacket.parse(lost), repair, 500))
    line.turn()
    line.pass_time(0.2)
    assert len(publisher.feedback(Nack)) == 5
    got = receiver.media(subscription)
    first = got[0].sequence_number
    assert [(packet.sequence_number - first) & 0xFFFF for packet in got] == [0, 1, 3, 2]
    assert got[-1].payload == b"\x10\x01lost"


def test_asking_a_publisher_ends_after_ten_times() -> None:
    line, publisher, camera, _, _ = call()
    camera.send_frame(b"a", key=True)
    camera.make(b"\x10\x01lost")
    camera.send_frame(b"b")
    line.pass_time(3)
    assert len(publisher.feedback(Nack)) == 10


@pytest.mark.parametrize("request_", ["PLI", "FIR"])
def test_a_key_frame_request_reaches_the_publisher_and_a_flood_of_them_does_not(request_: str) -> None:
    line, publisher, camera, receiver, subscription = call()
    camera.send_frame(b"a", key=True)
    line.turn()
    granted = 0

    def ask() -> None:
        nonlocal granted
        ssrc = subscription.ssrc
        receiver.send_rtcp(PictureLoss(1, ssrc) if request_ == "PLI" else FullIntraRequest(1, ((ssrc, 1),)))
        if len(publisher.feedback(PictureLoss)) > granted:
            granted += 1
            camera.send_frame(b"k", key=True)

    line.pass_time(10, ask)
    asked = publisher.feedback(PictureLoss)
    assert {request.packet.media_ssrc for request in asked} == {camera.ssrc}
    # Five times at 200 ms or more, then every 2 s.
    assert 8 <= len(asked) <= 10


def test_a_key_frame_is_asked_for_until_it_comes_and_no_longer() -> None:
    line, publisher, camera, receiver, subscription = call()
    camera.send_frame(b"a", key=True)
    line.turn()
    line.pass_time(0.3)
    receiver.send_rtcp(PictureLoss(1, subscription.ssrc))
    line.pass_time(1)
    asked = len(publisher.feedback(PictureLoss))
    assert 4 <= asked <= 5
    camera.send_frame(b"k", key=True)
    line.pass_time(1)
    assert len(publisher.feedback(PictureLoss)) == asked


def test_a_peer_without_reduced_size_gets_feedback_in_compounds() -> None:
    line = VirtualLine()
    publisher, receiver = line.endpoint(takes_reduced_size=False), line.endpoint()
    (camera,) = publisher.publish()
    receiver.subscribe(camera)
    line.turn()
    camera.send_frame(b"a")
    line.pass_time(0.1)
    kinds = [type(received.packet).__name__ for received in publisher.rtcp]
    assert kinds[:2] == ["ReceiverReport", "PictureLoss"]


def test_audio_goes_first_and_under_its_own_payload_type() -> None:
    line = VirtualLine()
    publisher, receiver = line.endpoint(), line.endpoint()
    (camera,), (microphone,) = publisher.publish(), publisher.publish(is_audio=True)
    receiver.subscribe(camera)
    voice = receiver.subscribe(microphone)
    line.turn()
    camera.send_frame(b"a", key=True, packets=30)
    microphone.send(b"voice")
    line.turn()
    assert (receiver.rtp[0].packet.ssrc, receiver.rtp[0].packet.payload_type) == (voice.ssrc, AUDIO)
    assert len(receiver.rtp) == 31
