"""Transport-wide feedback to publishers, told from the kernel's arrival times."""

import itertools

from visiomedia.rtp.extensions import ExtensionKind
from visiomedia.rtp.rtcp import ReceiverReport, TransportFeedback
from visiomedia.rtp.rtcp.transport_feedback import TICK_NS
from visiomedia.simulation.line import IDS, MS, Endpoint, Stream, VirtualLine

NUMBER = IDS[ExtensionKind.TRANSPORT_WIDE_CC]


def numbered(stream: Stream, number: int) -> bytes:
    return stream.make(b"\x10\x00", elements=[(NUMBER, (number & 0xFFFF).to_bytes(2, "big"))])


def told(publisher: Endpoint) -> dict[int, int]:
    """What was told received: ns by number; of one told twice the last word."""
    received: dict[int, int] = {}
    for feedback in publisher.feedback(TransportFeedback):
        received |= {number: ticks * TICK_NS for number, ticks in feedback.packet.received}
    return received


def test_feedback_comes_every_50_to_100_ms_with_the_arrival_times_of_all_that_came() -> None:
    line = VirtualLine()
    publisher, receiver = line.endpoint(), line.endpoint()
    (camera,), (microphone,) = publisher.publish(), publisher.publish(is_audio=True)
    receiver.subscribe(camera)
    line.turn()
    number, arrivals = 65_400, dict[int, int]()
    lost: set[int] = set()

    def send() -> None:
        nonlocal number
        for stream in (camera, microphone, camera):
            number += 1
            packet = numbered(stream, number)
            if line.random.random() < 0.1:
                lost.add(number & 0xFFFF)
                continue
            # A datagram waits in the socket for up to a turn: the kernel's time is when it came.
            arrival = line.now - line.random.randrange(10 * MS)
            publisher.arrive(publisher.session.protect(packet), at=arrival)
            arrivals[number & 0xFFFF] = arrival

    line.pass_time(3, send)
    line.pass_time(0.1)
    feedback = publisher.feedback(TransportFeedback)
    gaps = [after.at - before.at for before, after in itertools.pairwise(feedback)]
    assert 30 <= len(feedback) <= 60
    assert all(50 * MS <= gap <= 100 * MS for gap in gaps)
    assert [each.packet.feedback_count for each in feedback] == list(range(len(feedback)))
    received = told(publisher)
    assert received.keys() == arrivals.keys()
    first = min(arrivals, key=lambda each: arrivals[each])
    for each, arrival in arrivals.items():
        assert abs((received[each] - received[first]) - (arrival - arrivals[first])) <= TICK_NS
    # All numbers from the first to the last are told, as received or as lost.
    lost_told = {each for report in feedback for each in report.packet.lost}
    assert lost_told >= {each for each in lost if each != 65_401}
    assert not lost_told & {each for each in arrivals if each not in received}


def test_a_packet_that_comes_after_it_was_told_lost_is_told_as_received() -> None:
    line = VirtualLine()
    publisher = line.endpoint()
    (camera,) = publisher.publish()
    line.turn()
    sealed = [publisher.session.protect(numbered(camera, number)) for number in range(10)]
    for number in (0, 1, 3, 4):
        publisher.arrive(sealed[number])
    line.turn()
    line.pass_time(0.1)
    assert publisher.feedback(TransportFeedback)[0].packet.lost == [2]
    publisher.arrive(sealed[2])
    line.turn()
    late = line.now
    line.pass_time(0.1)
    received = told(publisher)
    assert sorted(received) == [0, 1, 2, 3, 4]
    assert abs((received[2] - received[0]) - (late - (late - 100 * MS))) <= TICK_NS


def test_who_sends_without_numbers_gets_none_and_silence_ends_it() -> None:
    line = VirtualLine()
    publisher = line.endpoint()
    (camera,) = publisher.publish()
    line.turn()
    camera.send(b"\x10\x00")
    line.pass_time(1)
    assert publisher.feedback(TransportFeedback) == []
    publisher.send(numbered(camera, 1))
    line.pass_time(1)
    assert len(publisher.feedback(TransportFeedback)) == 1


def test_receiver_reports_tell_loss_once_a_second_and_stop_with_the_stream() -> None:
    line = VirtualLine()
    publisher = line.endpoint()
    (camera,) = publisher.publish()
    line.turn()

    def send() -> None:
        packet = camera.make(b"\x10\x00")
        if camera.packets % 4:
            publisher.send(packet)

    line.pass_time(4, send)
    reports = [each.packet.blocks[0] for each in publisher.feedback(ReceiverReport)]
    assert len(reports) in (3, 4)
    assert {block.ssrc for block in reports} == {camera.ssrc}
    assert all(abs(block.fraction_lost - 64) <= 2 for block in reports[1:])
    assert abs(reports[-1].cumulative_lost - 75) <= 25
    line.pass_time(10)
    assert len(publisher.feedback(ReceiverReport)) <= 8


def test_audio_levels_are_summed_for_whoever_asks_who_speaks() -> None:
    line = VirtualLine()
    publisher = line.endpoint()
    (microphone,) = publisher.publish(is_audio=True)
    line.turn()
    for level in (10, 20, 30):
        microphone.send(b"voice", elements=[(IDS[ExtensionKind.AUDIO_LEVEL], bytes([0x80 | level]))])
        line.turn()
    microphone.send(b"without a level")
    line.turn()
    assert microphone.track is not None
    source = microphone.track.sources[0]
    assert line.router.audio_level_sums(source) == (60, 3)
    line.router.remove_source(microphone.track, source)
    assert line.router.audio_level_sums(source) == (0, 0)
