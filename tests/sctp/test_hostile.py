"""Hostile input: nothing raises, nothing grows, whatever a peer inside the DTLS association sends."""

import random
import tracemalloc
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sctp.link import A_ADDRESS, Link, established, pair
from visiomedia.errors import ParseError
from visiomedia.sctp import Association, AssociationClosed, SctpSettings
from visiomedia.sctp.chunks import (
    BEGINNING,
    END,
    UNORDERED,
    Chunk,
    ChunkType,
    Data,
    ForwardTsn,
    Heartbeat,
    Init,
    ReConfig,
    Sack,
)
from visiomedia.sctp.dcep import DataChannelOpen, PayloadProtocol
from visiomedia.sctp.packet import Packet
from visiomedia.sctp.parameters import Parameter
from visiomedia.sctp.reconfiguration import OutgoingReset

MEBIBYTE = 1 << 20


def busy_link(seed: int) -> tuple[Link, list[bytes]]:
    """A link in the midst of things, and the packets to ``b`` that it has carried."""
    link = Link(*pair(seed=seed), seed=seed)
    carried: list[bytes] = []

    def passes(data: bytes) -> bool:
        carried.append(data)
        return True

    link.passes = passes
    link.start()
    link.run(1)
    link.loss, link.jitter = 0.2, 0.02
    channels = [link.a.open_channel("reliable", link.now), link.a.open_channel("lossy", link.now, max_retransmits=0)]
    channels.append(link.b.open_channel("back", link.now, ordered=False, max_packet_life_time=50))
    link.run(1)
    for number in range(60):
        link.a.send(channels[number % 2], bytes(number * 100), link.now)
        link.b.send(channels[2], bytes(number * 100), link.now)
        link.run(0.02)
    link.loss = 0.0
    link.a.close_channel(link.a.open_channel("closed", link.now), link.now)
    link.run(30)
    return link, carried


@cache
def carried_packets() -> tuple[bytes, ...]:
    """Of every kind that there is."""
    _, carried = busy_link(1)
    kinds = {chunk.kind for data in carried for chunk in Packet.parse(data).chunks}
    assert {ChunkType.DATA, ChunkType.SACK, ChunkType.FORWARD_TSN, ChunkType.RE_CONFIG, ChunkType.INIT} <= kinds
    return tuple(carried)


def mutated(rng: random.Random, data: bytes, tag: int) -> bytes:
    """A packet to ``b`` with some bytes changed behind its header; what is not wrong by its tag or checksum alone."""
    body = bytearray(data[12:])
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        if body:
            body[rng.randrange(len(body))] = rng.choice([0, 1, 255, rng.randrange(256)])
    if rng.random() < 0.1:
        del body[rng.randrange(len(body) + 1) :]
    is_init = bool(body) and body[0] == ChunkType.INIT
    header = data[:4] + (0 if is_init else tag).to_bytes(4, "big") + bytes(4)
    whole = header + bytes(body)
    if is_init or rng.random() < 0.3:
        try:
            whole = Packet(5000, 5000, int.from_bytes(whole[4:8], "big"), Packet.parse(whole).chunks).serialize()
        except ParseError:
            return whole
    return whole


def tag_to_b(link: Link) -> int:
    channel = link.a.open_channel("tag", link.now)
    link.run(2)
    link.a.send(channel, b"x", link.now)
    tags = [Packet.parse(datagram.data).verification_tag for datagram in link.a.datagrams_to_send()]
    return tags[-1]


def check_answers(association: Association) -> None:
    for datagram in association.datagrams_to_send():
        assert len(datagram.data) <= association.settings.maximum_packet
        Packet.parse(datagram.data)


@given(st.integers(0, 1 << 40), st.booleans())
def test_mutated_packets_raise_nothing(seed: int, is_established: bool) -> None:
    rng = random.Random(seed)
    link = established()
    b, tag = link.b, tag_to_b(link)
    if not is_established:
        _, b = pair()
    carried = carried_packets()
    for _ in range(30):
        b.receive_datagram(mutated(rng, rng.choice(carried), tag), A_ADDRESS, link.now)
        link.now += rng.choice([0, 0.01, 0.5])
        timeout = b.next_timeout()
        if timeout is not None and timeout <= link.now:
            b.handle_timeout(link.now)
        check_answers(b)
        b.events()


@given(st.binary(max_size=100))
def test_garbage_raises_nothing(data: bytes) -> None:
    _, b = pair()
    b.receive_datagram(data, A_ADDRESS, 1.0)
    check_answers(b)


@pytest.mark.fuzz
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(8))
def test_mutated_packets_raise_nothing_for_long(seed: int) -> None:
    rng = random.Random(seed)
    carried = carried_packets()
    for round_ in range(150):
        link = established(seed=round_ + 1)
        tag = tag_to_b(link)
        for _ in range(200):
            link.b.receive_datagram(mutated(rng, rng.choice(carried), tag), A_ADDRESS, link.now)
            link.run(rng.choice([0, 0, 0.01, 1.0]))
            check_answers(link.b)


class Flood:
    """Chunks without end to one side of an established association, whose owner does not read, and what it grows."""

    def __init__(self) -> None:
        settings = SctpSettings(maximum_message=65_536, receive_window_bytes=524_288)
        self.link = established(settings)
        self.channel = self.link.a.open_channel("x", self.link.now)
        self.link.run(1)
        self.link.a.send(self.channel, b"x", self.link.now)
        packet = Packet.parse(self.link.a.datagrams_to_send()[0].data)
        [chunk] = packet.chunks
        assert isinstance(chunk, Data)
        self.tag, self.tsn = packet.verification_tag, chunk.tsn
        self.sent = 0

    def send(self, *chunks: Chunk) -> None:
        self.sent += 1
        packet = Packet(5000, 5000, self.tag, list(chunks), False)
        self.link.b.receive_datagram(packet.serialize(), A_ADDRESS, self.link.now)
        self.link.b.datagrams_to_send()

    def __enter__(self) -> "Flood":
        tracemalloc.start()
        self.before = tracemalloc.get_traced_memory()[0]
        return self

    def __exit__(self, *_: object) -> None:
        self.grown = tracemalloc.get_traced_memory()[0] - self.before
        tracemalloc.stop()


def test_holes_fragments_and_numbers_out_of_turn_stay_in_the_window() -> None:
    rng = random.Random(5)
    with Flood() as flood:
        for _ in range(6000):
            flags = rng.choice([0, BEGINNING, END, BEGINNING | END]) | rng.choice([0, UNORDERED])
            tsn = (flood.tsn + rng.randrange(70_000)) & 0xFFFFFFFF
            stream, number = rng.randrange(100), rng.randrange(65_536)
            flood.send(Data(flags, tsn, stream, number, 53, bytes(rng.choice([1, 100, 1000]))))
    assert flood.link.b.counters["beyond_window"] > 1000
    assert flood.grown < 2 * MEBIBYTE


def test_one_byte_messages_unread_stay_in_the_window() -> None:
    with Flood() as flood:
        for number in range(20_000):
            flood.send(Data(7, (flood.tsn + number) & 0xFFFFFFFF, flood.channel, 0, 53, b"x"))
    assert flood.link.b.counters["beyond_window"] > 1000
    assert flood.grown < 4 * MEBIBYTE


def test_channels_opened_without_end_are_bounded() -> None:
    opened = DataChannelOpen("l" * 1024, "p" * 1024).serialize()
    with Flood() as flood:
        for number in range(20_000):
            stream = 2 * number % 65_000
            flood.send(
                Data(7, (flood.tsn + number) & 0xFFFFFFFF, stream, 0, PayloadProtocol.DCEP, opened),
                ReConfig([OutgoingReset(flood.tsn + number, 0, flood.tsn, [stream]).serialize()]),
            )
    assert flood.grown < 12 * MEBIBYTE


def test_a_message_without_end_ends_the_association() -> None:
    flood = Flood()
    for number in range(100):
        flags = BEGINNING if number == 0 else 0
        flood.send(Data(flags, (flood.tsn + number) & 0xFFFFFFFF, flood.channel, 1, 53, bytes(1000)))
    assert flood.link.b.events()[-1] == AssociationClosed("the peer sent a message that is too large")


@pytest.mark.parametrize(
    "chunk",
    [
        Heartbeat(ChunkType.HEARTBEAT, bytes(900)),
        Heartbeat(ChunkType.HEARTBEAT, bytes(9000)),
        ForwardTsn(0, [(1, 2)] * 200),
        ReConfig([Parameter(99, bytes(900))]),
        ReConfig([OutgoingReset(99, 0, 0, list(range(400))).serialize()]),
        Init(ChunkType.INIT, 9, 1000, 1, 1, 1, [Parameter(0xC123, bytes(200))] * 14),
        Sack(0, 0, [(1, 65_535)] * 200),
    ],
)
def test_answers_that_nobody_fetches_do_not_pile_up(chunk: Chunk) -> None:
    flood = Flood()
    tag = 0 if isinstance(chunk, Init) else flood.tag
    b = pair()[1] if isinstance(chunk, Init) else flood.link.b
    data = Packet(5000, 5000, tag, [chunk]).serialize()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(3000):
        b.receive_datagram(data, A_ADDRESS, flood.link.now)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < MEBIBYTE
    check_answers(b)


def test_forward_tsns_over_the_whole_space_end_at_once() -> None:
    flood = Flood()
    for step in range(2000):
        flood.send(ForwardTsn((flood.tsn + step * 0x7FFFFFFF) & 0xFFFFFFFF, [(step % 65_535, step % 65_536)]))
    assert flood.link.b.next_timeout() is not None


def test_acknowledgements_in_pieces_do_not_open_the_congestion_window() -> None:
    """RFC 9260 section 7.2.1: growth is bounded by what is newly acknowledged, however many SACKs say it."""
    link = established()
    channel = link.b.open_channel("x", link.now)
    link.run(1)
    tag = tag_to_b(link)
    for _ in range(20):
        link.b.send(channel, bytes(50_000), link.now)
    first = Packet.parse(link.b.datagrams_to_send()[0].data).chunks[0]
    assert isinstance(first, Data)
    sack = Sack(first.tsn, 1_000_000)
    for _ in range(500):
        link.b.receive_datagram(Packet(5000, 5000, tag, [sack]).serialize(), A_ADDRESS, link.now)
    assert len(link.b.datagrams_to_send()) <= 4
