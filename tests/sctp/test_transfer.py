"""Messages over good and bad links: order, loss, fragmentation, wraparound, flow control."""

import random
from itertools import pairwise

import pytest

from tests.sctp.link import A_ADDRESS, Link, chunk_kinds, entropy_with_tsn, established, pair
from visiomedia.errors import CapacityError, ConfigurationError, InvalidStateError
from visiomedia.sctp import AssociationClosed, AssociationState, BufferedAmountLow, MessageReceived, SctpSettings
from visiomedia.sctp.chunks import ChunkType, Data, Sack
from visiomedia.sctp.packet import Packet


def make_lossy(link: Link, loss: float = 0.1) -> None:
    link.loss, link.duplication, link.jitter = loss, 0.05, 0.03


def data_chunks(data: bytes) -> list[Data]:
    return [chunk for chunk in Packet.parse(data).chunks if isinstance(chunk, Data)]


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("ordered", [True, False])
def test_thousands_of_small_messages_arrive_once(loss: float, ordered: bool) -> None:
    link = established()
    channel = link.a.open_channel("small", link.now, ordered=ordered)
    link.run(1)
    make_lossy(link, loss)
    sent = [b"%d" % number * (number % 7 + 1) for number in range(5000)]
    for message in sent:
        link.a.send(channel, message, link.now)
    link.run_until(lambda: len(link.messages()) == len(sent), 600)
    assert link.messages() == sent or not ordered
    assert sorted(link.messages()) == sorted(sent)
    link.run(30)
    assert len(link.messages()) == len(sent)


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("ordered", [True, False])
def test_the_largest_messages_arrive_both_ways(loss: float, ordered: bool) -> None:
    link = established()
    to_b = link.a.open_channel("a", link.now, ordered=ordered)
    to_a = link.b.open_channel("b", link.now, ordered=ordered)
    link.run(1)
    make_lossy(link, loss)
    rng = random.Random(3)
    large = [rng.randbytes(262_144) for _ in range(3)]
    for message in large:
        link.a.send(to_b, message, link.now)
        link.b.send(to_a, message[::-1], link.now)
    link.run_until(lambda: len(link.messages()) == len(link.messages(of_b=False)) == 3, 600)
    assert sorted(link.messages()) == sorted(large)
    assert sorted(link.messages(of_b=False)) == sorted(message[::-1] for message in large)
    assert link.messages() == large or not ordered


@pytest.mark.parametrize("seed", range(8))
def test_many_channels_of_both_sides_keep_their_own_order(seed: int) -> None:
    link = established(seed=seed)
    make_lossy(link)
    rng = random.Random(seed)
    sent: dict[tuple[bool, int], list[bytes]] = {}
    channels = [(True, link.a.open_channel(str(n), link.now)) for n in range(10)]
    channels += [(False, link.b.open_channel(str(n), link.now)) for n in range(10)]
    for _ in range(400):
        key = rng.choice(channels)
        message = rng.randbytes(rng.choice([1, 20, 900, 3000]))
        (link.a if key[0] else link.b).send(key[1], message, link.now)
        sent.setdefault(key, []).append(message)
        if rng.random() < 0.2:
            link.run(0.05)
    link.run(120)
    for (is_a, channel), messages in sent.items():
        events = link.b_events if is_a else link.a_events
        assert [e.data for e in events if isinstance(e, MessageReceived) and e.channel_id == channel] == messages


@pytest.mark.parametrize("tsn", [0, 1, 0xFFFFFFFF, 0xFFFFFFF0, 0x7FFFFFF0, 0x80000000])
def test_tsns_wrap(tsn: int) -> None:
    a, b = pair(a_entropy=entropy_with_tsn(tsn), b_entropy=entropy_with_tsn(tsn, 2))
    link = Link(a, b)
    link.start()
    make_lossy(link)
    channel = a.open_channel("x", link.now)
    sent = [bytes([number]) * 3000 for number in range(200)]
    for message in sent:
        a.send(channel, message, link.now)
    link.run_until(lambda: len(link.messages()) == len(sent), 300)
    assert link.messages() == sent
    a.close_channel(channel, link.now)
    link.run(30)
    assert a.channel_state(channel) is b.channel_state(channel) is None


def test_stream_sequence_numbers_wrap() -> None:
    link = established(delay=0.001)
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    link.loss = 0.01
    count = 0
    for _ in range(22):
        for _ in range(3000):
            link.a.send(channel, b"%d" % count, link.now)
            count += 1
        link.run_until(lambda wanted=count: len(link.messages()) == wanted, 600)  # type: ignore[misc]  # bound early
    assert count > 65_536
    assert link.messages() == [b"%d" % number for number in range(count)]


def test_small_messages_share_packets() -> None:
    link = established()
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    before = link.packets
    for _ in range(100):
        link.a.send(channel, b"0123456789", link.now)
    link.run(1)
    assert len(link.messages()) == 100
    assert link.packets - before <= 8


def test_packets_are_never_larger_than_set() -> None:
    settings = SctpSettings(maximum_packet=512)
    link = established(settings)
    sizes: list[int] = []
    link.passes = lambda data: not sizes.append(len(data))  # type: ignore[func-returns-value]  # notes, then passes
    channel = link.a.open_channel("x", link.now)
    for size in (1, 483, 484, 485, 900, 10_000):
        link.a.send(channel, bytes(size), link.now)
    link.run(5)
    assert [len(message) for message in link.messages()] == [1, 483, 484, 485, 900, 10_000]
    assert max(sizes) == 512


def test_every_second_packet_is_acknowledged_at_once_and_a_lone_one_later() -> None:
    link = established(delay=0.0)
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    link.a.send(channel, b"lone", link.now)
    [datagram] = link.a.datagrams_to_send()
    link.b.receive_datagram(datagram.data, A_ADDRESS, link.now)
    assert link.b.datagrams_to_send() == []
    assert link.b.next_timeout() == pytest.approx(link.now + 0.2)
    link.a.send(channel, b"second", link.now)
    [datagram] = link.a.datagrams_to_send()
    link.b.receive_datagram(datagram.data, A_ADDRESS, link.now)
    [answer] = link.b.datagrams_to_send()
    assert chunk_kinds(answer.data) == [ChunkType.SACK]


def test_a_lost_chunk_is_retransmitted_fast() -> None:
    link = established()
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    lost: list[int] = []

    def passes(data: bytes) -> bool:
        for chunk in data_chunks(data):
            if not lost:
                lost.append(chunk.tsn)
                return False
        return True

    link.passes = passes
    start = link.now
    for _ in range(5):
        link.a.send(channel, bytes(1000), link.now)
        link.run(0.005)
    link.run_until(lambda: len(link.messages()) == 5)
    assert link.now - start < 0.2
    assert link.a.counters["fast_recoveries"] == 1
    assert link.a.counters["data_timeouts"] == 0
    assert link.a.counters["retransmitted_chunks"] == 1


def test_the_last_chunk_lost_is_retransmitted_by_timer_with_back_off() -> None:
    link = established()
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    moments: list[float] = []

    def passes(data: bytes) -> bool:
        if data_chunks(data):
            moments.append(link.now)
            return len(moments) > 3
        return True

    link.passes = passes
    link.a.send(channel, b"x", link.now)
    link.run_until(lambda: bool(link.messages()))
    assert [round(later - earlier, 2) for earlier, later in pairwise(moments)] == [0.4, 0.8, 1.6]


def test_a_peer_that_stops_answering_is_given_up() -> None:
    link = established()
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    link.loss = 1.0
    link.a.send(channel, b"x", link.now)
    link.run(120)
    assert link.a_events[-1] == AssociationClosed("the peer does not answer")
    assert link.a.counters["data_timeouts"] == 10


def test_a_link_that_comes_back_goes_on() -> None:
    link = established()
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    for number in range(500):
        link.a.send(channel, bytes([number % 256]) * 1000, link.now)
    link.run(0.1)
    link.loss = 1.0
    link.run(15)
    link.loss = 0.0
    link.run_until(lambda: len(link.messages()) == 500, 30)
    assert link.messages() == [bytes([number % 256]) * 1000 for number in range(500)]


@pytest.mark.parametrize("loss", [0.0, 0.1])
def test_a_slow_reader_stops_the_sender_and_loses_nothing(loss: float) -> None:
    settings = SctpSettings(receive_window_bytes=600_000)
    link = established(settings)
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    make_lossy(link, loss)
    link.reads_b = False
    sent = [random.Random(number).randbytes(10_000) for number in range(180)]
    for message in sent:
        link.a.send(channel, message, link.now)
    link.run(100)
    # It has stopped in front of the window, and probes.
    waiting = link.a.buffered_amount(channel)
    assert waiting > 1_000_000
    link.run(100)
    assert link.a.state is AssociationState.ESTABLISHED
    assert link.a.buffered_amount(channel) >= waiting - 5000
    unread = link.b.events()
    held = sum(len(event.data) for event in unread if isinstance(event, MessageReceived))
    assert held <= settings.receive_window_bytes
    link.b_events += unread
    link.reads_b = True
    link.run_until(lambda: len(link.messages()) == len(sent), 200)
    assert link.messages() == sent
    # Only probes of the shut window were refused: the sender knows what the receiver has room for.
    assert loss or link.b.counters["beyond_window"] <= 60


def test_an_opened_window_is_told_without_waiting() -> None:
    link = established(SctpSettings(receive_window_bytes=600_000))
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    link.reads_b = False
    for _ in range(100):
        link.a.send(channel, bytes(10_000), link.now)
    link.run(20)
    start, link.reads_b = link.now, True
    link.run_until(lambda: len(link.messages()) == 100)
    # RTO.min for the probe that was refused, and slow start; the timer had backed off to ten seconds.
    assert link.now - start < 2.5


def test_a_peer_that_ignores_the_window_is_cut_off_by_it() -> None:
    settings = SctpSettings(receive_window_bytes=524_288)
    link = established(settings)
    link.reads_b = False
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    tag, tsn = a_data_header(link, channel)
    for number in range(2000):
        chunk = Data(7, (tsn + 2 * number) & 0xFFFFFFFF, channel, 0, 53, bytes(1000))
        link.b.receive_datagram(Packet(5000, 5000, tag, [chunk]).serialize(), A_ADDRESS, link.now)
    held = [event for event in link.b.events() if isinstance(event, MessageReceived)]
    assert 400_000 < sum(len(event.data) for event in held) <= settings.receive_window_bytes
    assert link.b.counters["beyond_window"] > 1000


def a_data_header(link: Link, channel: int) -> tuple[int, int]:
    """Tag of packets to ``b``, and the TSN after next that ``a`` would use."""
    link.a.send(channel, b"header", link.now)
    [datagram] = link.a.datagrams_to_send()
    [chunk] = data_chunks(datagram.data)
    link.b.receive_datagram(datagram.data, A_ADDRESS, link.now)
    return Packet.parse(datagram.data).verification_tag, (chunk.tsn + 2) & 0xFFFFFFFF


def test_a_message_that_is_too_large_coming_in_aborts() -> None:
    big = SctpSettings(maximum_message=400_000, send_buffer_bytes=2 << 20)
    a, b = pair(big)[0], pair()[1]
    link = Link(a, b)
    link.start()
    channel = a.open_channel("x", link.now)
    link.run(1)
    a.send(channel, bytes(300_000), link.now)
    link.run(10)
    assert link.b_events[-1] == AssociationClosed("the peer sent a message that is too large")
    assert link.a_events[-1] == AssociationClosed("aborted by the peer: out of resource")


def test_sending_what_cannot_be_sent_raises() -> None:
    link = established()
    with pytest.raises(InvalidStateError):
        link.a.send(0, b"x", link.now)
    channel = link.a.open_channel("x", link.now)
    with pytest.raises(ConfigurationError) as too_large:
        link.a.send(channel, bytes(262_145), link.now)
    assert str(too_large.value) == "length of message: got 262145, wants at most 262144 bytes"
    for _ in range(7):
        link.a.send(channel, bytes(262_144), link.now)
    with pytest.raises(CapacityError) as full:
        link.a.send(channel, bytes(262_144), link.now)
    assert str(full.value) == "send buffer is full: 2097152 bytes"
    link.run(30)
    assert len(link.messages()) == 7
    link.a.send(channel, bytes(262_144), link.now)


def test_buffered_amount_and_its_event() -> None:
    link = established()
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    link.a.set_buffered_amount_low_threshold(channel, 50_000)
    assert link.a.buffered_amount(channel) == 0
    for _ in range(20):
        link.a.send(channel, bytes(10_000), link.now)
    assert link.a.buffered_amount(channel) == 200_000
    link.run_until(lambda: BufferedAmountLow(channel) in link.a_events)
    assert link.a.buffered_amount(channel) <= 50_000
    link.run(10)
    assert link.a_events.count(BufferedAmountLow(channel)) == 1
    assert link.a.buffered_amount(channel) == 0
    with pytest.raises(InvalidStateError):
        link.a.set_buffered_amount_low_threshold(77, 1)


@pytest.mark.parametrize("message", ["", b"", "text", b"bytes", "é" * 2000, b"\0"])
def test_text_bytes_and_emptiness_arrive_as_sent(message: str | bytes) -> None:
    link = established()
    channel = link.a.open_channel("x", link.now)
    link.a.send(channel, message, link.now)
    link.run(1)
    expected = message.encode() if isinstance(message, str) else message
    assert link.b_events[-1] == MessageReceived(channel, expected, isinstance(message, str))


def test_acknowledgements_of_what_was_never_sent_are_dropped() -> None:
    link = established()
    channel = link.b.open_channel("x", link.now)
    link.run(1)
    other = link.a.open_channel("y", link.now)
    link.run(1)
    tag, _ = a_data_header(link, other)
    link.b.send(channel, b"x", link.now)
    [datagram] = link.b.datagrams_to_send()
    tsn = data_chunks(datagram.data)[0].tsn
    for cumulative, counter in ((tsn + 1, "impossible_sack"), (tsn - 5, "stale_sack")):
        sack = Sack(cumulative & 0xFFFFFFFF, 100_000, [(1, 65535)])
        link.b.receive_datagram(Packet(5000, 5000, tag, [sack]).serialize(), A_ADDRESS, link.now)
        assert link.b.counters[counter] == 1
    assert link.b.next_timeout() is not None


def test_the_link_grows_to_use_what_there_is() -> None:
    link = established(delay=0.05)
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    start, sent = link.now, 0
    while sent < 8_000_000:
        while link.a.buffered_amount(channel) < 500_000:
            link.a.send(channel, bytes(50_000), link.now)
            sent += 50_000
        link.drain()
        link.step()
    link.run_until(lambda: len(link.messages()) == sent // 50_000)
    # The window of 1 MiB a round trip of 0.1 s is the bound; slow start takes some of them.
    assert sent / (link.now - start) > 2_500_000
