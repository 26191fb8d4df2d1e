"""Packets of SSRCs that nothing has bound yet: shown, held for a second, and forwarded once they are bound."""

from visiomedia.batch import Drop
from visiomedia.rtp.extensions import ExtensionKind
from visiomedia.rtp.packet import RtpPacket
from visiomedia.simulation.line import IDS, MS, VIDEO, Endpoint, Stream, VirtualLine
from visiomedia.transport.tables import HELD_NS, HELD_PER_TRANSPORT


def unbound() -> tuple[VirtualLine, Endpoint, Stream, Endpoint]:
    """A track somebody watches, and a stream that will be bound to it."""
    line = VirtualLine()
    publisher, receiver = line.endpoint(), line.endpoint()
    (camera,) = publisher.publish()
    receiver.subscribe(camera)
    line.turn()
    return line, publisher, publisher.stream(track=camera.track), receiver


def bind(line: VirtualLine, stream: Stream) -> None:
    assert stream.track is not None
    line.router.add_source(stream.track, stream.ssrc, 0)


def test_packets_of_an_unbound_ssrc_are_shown_and_forwarded_in_order_once_it_is_bound() -> None:
    line, publisher, stream, receiver = unbound()
    for number in range(20):
        stream.send_frame(b"%d" % number, key=number == 0)
        line.pass_time(0.01)
    assert [RtpPacket.parse(packet).ssrc for packet in publisher.unknown] == [stream.ssrc] * 40
    assert receiver.rtp == []
    bind(line, stream)
    stream.send_frame(b"20")
    line.turn()
    payloads = [received.packet.payload for received in receiver.rtp]
    assert payloads[:40] == [RtpPacket.parse(packet).payload for packet in publisher.unknown]
    assert len(payloads) == 42
    assert line.drops(Drop.NONE) == 42


def test_what_nothing_binds_within_a_second_is_dropped_and_counted() -> None:
    line, _, stream, receiver = unbound()
    for number in range(10):
        stream.send_frame(b"%d" % number, key=number == 0, packets=1)
    line.turn()
    line.pass_time(HELD_NS / 1e9)
    assert line.drops(Drop.HELD) == 0
    line.pass_time(0.02)
    assert line.drops(Drop.HELD) == 10
    bind(line, stream)
    stream.send_frame(b"late", key=True, packets=1)
    line.turn()
    assert len(receiver.rtp) == 1


def test_a_transport_holds_a_hundred_packets_and_another_still_has_its_own_hundred() -> None:
    line, publisher, stream, receiver = unbound()
    other = line.endpoint()
    line.turn()
    for number in range(HELD_PER_TRANSPORT + 50):
        stream.send_frame(b"%d" % number, key=number == 0, packets=1)
    line.turn()
    assert line.drops(Drop.PENDING_OVERFLOW) == 50
    for data in other.stream().frame(b"x", packets=100):
        other.arrive(data)
    line.turn()
    assert line.drops(Drop.PENDING_OVERFLOW) == 50
    bind(line, stream)
    line.turn()
    line.turn()  # a batch is smaller than that
    assert len(receiver.rtp) == HELD_PER_TRANSPORT
    # A transport that goes takes what it holds with it.
    line.remove(other)
    line.turn()
    assert line.drops(Drop.HELD) == 100
    assert line.tables.transport.held_state[0] == 0
    assert publisher.unknown[0] != other.unknown[0]


def test_what_does_not_authenticate_is_neither_shown_nor_held() -> None:
    line, publisher, _, _ = unbound()
    forged = RtpPacket(VIDEO, 1, 2, 3, bytes(100)).serialize()
    publisher.arrive(forged)
    line.turn()
    assert publisher.unknown == []
    assert line.drops(Drop.AUTHENTICATION) == 1
    assert line.tables.transport.held_state[0] == 0


def test_held_packets_keep_their_arrival_times() -> None:
    line, publisher, stream, _ = unbound()
    elements = [(IDS[ExtensionKind.TRANSPORT_WIDE_CC], (500).to_bytes(2, "big"))]
    stream.send(b"\x10\x00", elements=elements)
    line.turn()
    line.pass_time(0.5)
    bind(line, stream)
    line.turn()
    (arrival,) = {int(row) for row in line.tables.rtp.arrivals[publisher.handle.row].arrival if row}
    assert arrival == line.now - 500 * MS
