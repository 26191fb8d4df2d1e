"""Messages that are given up: after retransmissions or a time, in order or not (RFC 3758, RFC 7496)."""

import pytest

from tests.sctp.link import A_ADDRESS, Link, chunk_kinds, entropy_with_tsn, established, pair
from visiomedia.sctp import Association, MessageReceived, SctpSettings
from visiomedia.sctp.chunks import BEGINNING, END, ChunkType, Data, ForwardTsn, Init, Sack
from visiomedia.sctp.packet import Packet
from visiomedia.sctp.parameters import ParameterType


def numbers(link: Link) -> list[int]:
    return [int(message.split(b" ")[0]) for message in link.messages()]


def send_slowly(link: Link, channel: int, count: int, size: int, pause: float = 0.01) -> None:
    for number in range(count):
        link.a.send(channel, b"%d " % number + bytes(size), link.now)
        link.run(pause)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("size", [10, 5000])
@pytest.mark.parametrize("policy", [{"max_retransmits": 0}, {"max_retransmits": 1}, {"max_packet_life_time": 120}])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lossy_channels_lose_some_and_go_on(ordered: bool, size: int, policy: dict[str, int], seed: int) -> None:
    link = established(seed=seed)
    channel = link.a.open_channel("lossy", link.now, ordered=ordered, **policy)  # type: ignore[arg-type]  # integers
    link.run(1)
    link.loss, link.jitter, link.duplication = 0.1, 0.01, 0.05
    # A tenth lost leaves Reno about 80 kB/s here: more than that is offered, not much more.
    send_slowly(link, channel, 300, size, 0.01 if size < 1000 else 0.05)
    link.run(30)
    got = numbers(link)
    assert len(set(got)) == len(got)
    assert 20 < len(got) <= (299 if policy == {"max_retransmits": 0} else 300)
    assert got == sorted(got) or not ordered
    assert link.a.counters["abandoned_messages"] + len(got) >= 300
    # Nothing is left behind: what comes next arrives, and neither side waits for anything.
    link.loss = link.jitter = link.duplication = 0.0
    for number in range(1000, 1010):
        link.a.send(channel, b"%d " % number + bytes(size), link.now)
        link.run(0.2)
    link.run(10)
    assert numbers(link)[-10:] == list(range(1000, 1010))
    link.a.shutdown(link.now)
    link.run(5)
    assert link.a.next_timeout() is link.b.next_timeout() is None


def test_without_loss_lossy_channels_lose_nothing() -> None:
    link = established()
    channel = link.a.open_channel("lossy", link.now, ordered=False, max_retransmits=0)
    link.run(1)
    send_slowly(link, channel, 200, 3000)
    link.run(5)
    assert numbers(link) == list(range(200))
    assert link.a.counters["abandoned_messages"] == 0


def test_one_retransmission_is_made_and_no_second() -> None:
    link = established()
    channel = link.a.open_channel("lossy", link.now, max_retransmits=1)
    link.run(1)
    times: list[float] = []

    def passes(data: bytes) -> bool:
        is_data = ChunkType.DATA in chunk_kinds(data)
        if is_data:
            times.append(link.now)
        return not is_data

    link.passes = passes
    link.a.send(channel, b"lost", link.now)
    link.run(20)
    assert len(times) == 2
    assert link.messages() == []
    assert link.a.buffered_amount(channel) == 0


def test_an_expired_message_never_leaves() -> None:
    link = established()
    channel = link.a.open_channel("timed", link.now, max_packet_life_time=50)
    reliable = link.a.open_channel("reliable", link.now)
    link.run(1)
    for _ in range(10):
        link.a.send(reliable, bytes(100_000), link.now)
    link.drain()
    link.a.send(channel, b"1 soon", link.now)
    link.loss = 1.0
    link.run(1)
    link.loss = 0.0
    link.run(20)
    link.a.send(channel, b"2 later", link.now)
    link.run(1)
    small = [message for message in link.messages() if len(message) < 100]
    assert small == [b"2 later"]
    assert len(link.messages()) == 11


def test_a_large_message_that_expires_half_sent_is_skipped_whole() -> None:
    link = established()
    channel = link.a.open_channel("timed", link.now, max_packet_life_time=100)
    link.run(1)
    link.a.send(channel, b"1 " + bytes(200_000), link.now)
    link.run(1)
    link.a.send(channel, b"2 after", link.now)
    link.run(5)
    assert link.messages() == [b"2 after"]
    assert link.b.counters["orphaned_fragment"] == 0


def test_lost_forward_tsns_are_repeated() -> None:
    link = established()
    channel = link.a.open_channel("lossy", link.now, max_retransmits=0)
    link.run(1)
    left = [6]

    def passes(data: bytes) -> bool:
        kinds = chunk_kinds(data)
        if ChunkType.DATA in kinds and left[0] == 6:
            left[0] -= 1
            return False
        if ChunkType.FORWARD_TSN in kinds and left[0]:
            left[0] -= 1
            return False
        return True

    link.passes = passes
    link.a.send(channel, b"lost", link.now)
    link.run(1)
    link.a.send(channel, b"1 kept", link.now)
    link.run(30)
    assert left == [0]
    assert link.messages() == [b"1 kept"]


def test_a_peer_without_forward_tsn_gets_everything() -> None:
    link = Link(*pair())

    def without_extension(data: bytes) -> bytes:
        packet = Packet.parse(data)
        [*_, last] = packet.chunks
        if isinstance(last, Init):
            last.parameters = [p for p in last.parameters if p.type != ParameterType.FORWARD_TSN_SUPPORTED]
            last.parameters = [
                p._replace(value=b"\x82") if p.type == ParameterType.SUPPORTED_EXTENSIONS else p
                for p in last.parameters
            ]
        return packet.serialize()

    link.a.associate(A_ADDRESS, link.now)
    [init] = link.a.datagrams_to_send()
    link.b.receive_datagram(init.data, A_ADDRESS, link.now)
    [answer] = link.b.datagrams_to_send()
    link.a.receive_datagram(without_extension(answer.data), A_ADDRESS, link.now)
    channel = link.a.open_channel("lossy", link.now, max_retransmits=0)
    link.run(1)
    link.loss = 0.2
    send_slowly(link, channel, 100, 2000)
    link.run_until(lambda: len(link.messages()) == 100, 200)
    assert numbers(link) == list(range(100))
    assert link.a.counters["forward_tsns"] == 0


@pytest.mark.parametrize("tsn", [0xFFFFFFF0, 0x7FFFFFF0])
def test_forward_tsn_wraps(tsn: int) -> None:
    a, b = pair(a_entropy=entropy_with_tsn(tsn))
    link = Link(a, b)
    link.start()
    channel = a.open_channel("lossy", link.now, max_retransmits=0)
    link.run(1)
    link.loss = 0.3
    send_slowly(link, channel, 100, 10)
    link.loss = 0
    link.run(5)
    a.send(channel, b"1000", link.now)
    link.run(5)
    assert numbers(link)[-1] == 1000


def test_skipped_streams_that_do_not_fit_a_packet_are_skipped_in_turns() -> None:
    link = established(SctpSettings(maximum_packet=512))
    channels = [link.a.open_channel(str(n), link.now, max_retransmits=0) for n in range(300)]
    filler = link.a.open_channel("opens the congestion window", link.now)
    link.a.send(filler, bytes(200_000), link.now)
    link.run(5)
    streams: list[int] = []

    def passes(data: bytes) -> bool:
        streams.extend(len(chunk.streams) for chunk in Packet.parse(data).chunks if isinstance(chunk, ForwardTsn))
        return ChunkType.DATA not in chunk_kinds(data)

    link.passes = passes
    for channel in channels:
        link.a.send(channel, b"0 lost", link.now)
    for _ in range(20):
        link.drain()
    link.run(5)
    assert max(streams) == (512 - 12 - 8) // 4
    link.passes = lambda data: True
    for channel in channels:
        link.a.send(channel, b"1 kept", link.now)
    link.run(20)
    kept = [e.channel_id for e in link.b_events if isinstance(e, MessageReceived) and e.data == b"1 kept"]
    assert sorted(kept) == channels


def test_a_full_buffer_drops_a_lossy_channels_oldest() -> None:
    link = established()
    channel = link.a.open_channel("lossy", link.now, max_retransmits=3)
    link.run(1)
    for number in range(30):
        link.a.send(channel, b"%d " % number + bytes(100_000), link.now)
    assert link.a.counters["dropped_for_room"] == 10
    assert link.a.buffered_amount(channel) <= 2 << 20
    link.run(30)
    assert numbers(link) == list(range(10, 30))


def test_a_lossy_message_finds_no_room_among_reliable_ones_and_is_dropped() -> None:
    link = established()
    reliable = link.a.open_channel("reliable", link.now)
    lossy = link.a.open_channel("lossy", link.now, max_packet_life_time=1000)
    link.run(1)
    for _ in range(20):
        link.a.send(reliable, bytes(104_000), link.now)
    link.a.send(lossy, bytes(20_000), link.now)
    assert link.a.counters["dropped_for_room"] == 1
    assert link.a.buffered_amount(lossy) == 0


def established_tag(link: Link) -> tuple[Association, int, int, int]:
    """``b``, the tag and next TSN of packets to it, and a channel."""
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    link.a.send(channel, b"first", link.now)
    [datagram] = link.a.datagrams_to_send()
    packet = Packet.parse(datagram.data)
    [chunk] = packet.chunks
    assert isinstance(chunk, Data)
    link.b.receive_datagram(datagram.data, A_ADDRESS, link.now)
    link.drain()
    return link.b, packet.verification_tag, chunk.tsn + 1, channel


def test_a_fragment_whose_beginning_was_skipped_is_acknowledged_and_dropped() -> None:
    link = established()
    b, tag, tsn, channel = established_tag(link)
    skip = ForwardTsn(tsn & 0xFFFFFFFF, [(channel, 2)])
    rest = Data(END, (tsn + 1) & 0xFFFFFFFF, channel, 2, 53, b"rest")
    after = Data(BEGINNING | END, (tsn + 2) & 0xFFFFFFFF, channel, 3, 53, b"after")
    b.receive_datagram(Packet(5000, 5000, tag, [skip, rest, after]).serialize(), A_ADDRESS, link.now)
    [answer] = b.datagrams_to_send()
    [sack] = Packet.parse(answer.data).chunks
    assert isinstance(sack, Sack)
    assert sack.cumulative_tsn_ack == (tsn + 2) & 0xFFFFFFFF
    assert [event.data for event in b.events() if isinstance(event, MessageReceived)] == [b"after"]
    assert b.counters["orphaned_fragment"] == 1


def test_a_lossy_channels_only_message_makes_room_for_its_next() -> None:
    link = established()
    reliable = link.a.open_channel("reliable", link.now)
    lossy = link.a.open_channel("lossy", link.now, max_retransmits=0)
    link.run(1)
    for _ in range(20):
        link.a.send(reliable, bytes(100_000), link.now)
    link.a.send(lossy, b"1 " + bytes(60_000), link.now)
    link.a.send(lossy, b"2 " + bytes(60_000), link.now)
    link.run(20)
    assert [message[:2] for message in link.messages() if len(message) < 100_000] == [b"2 "]
