"""Packets changed on the way, and floods of packets of every kind: nothing is raised, and memory stays bounded."""

import random
import struct
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from tests.sctp.link import A_ADDRESS, Link, chunk_kinds, pair
from visiomedia.sctp import Association, AssociationState, SctpSettings, crc32c
from visiomedia.sctp.chunks import (
    BEGINNING,
    END,
    UNORDERED,
    Causes,
    Chunk,
    ChunkType,
    CookieEcho,
    Data,
    ForwardTsn,
    Heartbeat,
    Init,
    ReConfig,
    Sack,
    UnknownChunk,
)
from visiomedia.sctp.packet import Packet
from visiomedia.sctp.parameters import CauseCode, Parameter, ParameterType

INTERESTING = (0, 1, 2, 3, 4, 7, 0x7F, 0x80, 0xC0, 0xFE, 0xFF)
SETTINGS = SctpSettings(
    maximum_channels=64, maximum_message=16_384, send_buffer_bytes=65_536, receive_window_bytes=65_536
)
ROOM = 6 * SETTINGS.receive_window_bytes
"""What a flood may make one association hold: its window, with what Python adds, and a number for each stream."""


def with_checksum(data: bytes) -> bytes:
    """The packet with the checksum that it should have, so that what was changed is read."""
    cleared = data[:8] + bytes(4) + data[12:]
    return data[:8] + struct.pack("<I", crc32c(cleared)) + data[12:]


def changed(data: bytes, rng: random.Random) -> bytes:
    """A few bytes of the chunks set, cut off, taken out or doubled; ports and tag stay."""
    mutant = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(12, max(13, min(len(mutant), 80)))
        match rng.randrange(5):
            case 0 | 1:
                mutant[at : at + 1] = bytes([rng.choice(INTERESTING)])
            case 2:
                mutant[at : at + 1] = rng.randbytes(1)
            case 3:
                del mutant[at : at + 4 * rng.randint(1, 4)]
            case _:
                mutant[at:at] = mutant[at : at + 4 * rng.randint(1, 4)]
    return with_checksum(bytes(mutant))


def converse(seed: int) -> tuple[Link, int]:
    """A call of everything that we speak, whose packets are followed by changed ones at times."""
    rng = random.Random(seed)
    a, b = pair(SETTINGS, seed=seed)
    link = Link(a, b, loss=0.02, jitter=0.01, seed=seed)
    mutants = 0

    def passes(data: bytes) -> bool:
        nonlocal mutants
        if rng.random() < 0.2:
            mutants += 1
            # Its verification tag says for whom it is: the other one drops it by that.
            for side in (a, b):
                side.receive_datagram(changed(data, rng), A_ADDRESS, link.now)
        return True

    link.passes = passes
    link.start()
    for turn in range(12):
        for side in (a, b):
            if side.state not in (AssociationState.COOKIE_WAIT, AssociationState.ESTABLISHED):
                continue
            now = link.now
            channel = side.open_channel(f"{turn}", now, ordered=turn % 2 == 0, max_retransmits=turn % 3 or None)
            side.send(channel, rng.randbytes(rng.choice((1, 900, 5000))), now)
            if turn % 4 == 3:
                side.close_channel(channel, now)
        link.run(0.5)
    if a.state is AssociationState.ESTABLISHED:
        a.shutdown(link.now)
    link.run(120.0)
    return link, mutants


def test_changed_packets_raise_nothing() -> None:
    conversations = [converse(seed) for seed in range(8)]  # some end early, by an ABORT made of something else
    assert sum(mutants for _, mutants in conversations) > 100
    assert sum(link.a.counters["malformed"] + link.b.counters["malformed"] for link, _ in conversations) > 20


@pytest.mark.fuzz
@pytest.mark.timeout(300)
def test_many_more_changed_packets_raise_nothing() -> None:
    for seed in range(1000, 1400):
        converse(seed)


@pytest.mark.parametrize("state", ["new", "waiting", "established"])
def test_noise_raises_nothing(state: str) -> None:
    rng = random.Random(5)
    a, b = pair(SETTINGS)
    link = Link(a, b)
    if state != "new":
        link.start(both=state == "established")
        link.run(1.0 if state == "established" else 0.0)
    before = a.state
    for length in [*range(64), *(rng.randrange(1500) for _ in range(400))]:
        a.receive_datagram(rng.randbytes(length), A_ADDRESS, link.now)
    assert a.state is before
    assert a.counters["malformed"] == 464


class Stranger:
    """A peer that sends what it likes: it has set up the association as it should and knows its tag and TSN."""

    def __init__(self) -> None:
        a, b = pair(SETTINGS)
        self.victim = b
        self.sent: list[bytes] = []
        link = Link(a, b, passes=self._note)
        link.start()
        link.run(1.0)
        self.now = link.now
        [init, *_] = [data for data in self.sent if chunk_kinds(data) == [ChunkType.INIT]]
        [answer, *_] = [data for data in self.sent if chunk_kinds(data) == [ChunkType.INIT_ACK]]
        first, second = Packet.parse(init).chunks[0], Packet.parse(answer).chunks[0]
        assert isinstance(first, Init) and isinstance(second, Init)
        inits = {tag for data in self.sent for tag in [Packet.parse(data).verification_tag] if tag}
        assert first.initiate_tag in inits and second.initiate_tag in inits
        # The first INIT on the link is that of the client, which started first.
        self.tag = next(tag for tag in inits if tag != first.initiate_tag)
        self.tsn = first.initial_tsn
        self.sent.clear()

    def _note(self, data: bytes) -> bool:
        self.sent.append(data)
        return True

    def send(self, chunk: Chunk, tag: int | None = None) -> None:
        """One chunk to the victim, which reads no events and fetches no packets."""
        data = Packet(5000, 5000, self.tag if tag is None else tag, [chunk]).serialize()
        self.victim.receive_datagram(data, A_ADDRESS, self.now)


Flood = Callable[[Stranger, random.Random], Iterator[tuple[Chunk, int | None]]]
COUNT = 3000
WHOLE = BEGINNING | END


def data_in_order(peer: Stranger, rng: random.Random) -> Iterator[tuple[Chunk, int | None]]:
    for number in range(COUNT):
        tsn = (peer.tsn + number) & 0xFFFFFFFF
        yield Data(WHOLE | UNORDERED, tsn, 2, 0, 53, rng.randbytes(1000)), None


def data_with_gaps(peer: Stranger, rng: random.Random) -> Iterator[tuple[Chunk, int | None]]:
    for number in range(COUNT):
        tsn = (peer.tsn + 1 + 2 * number) & 0xFFFFFFFF
        yield Data(rng.randrange(8), tsn, rng.randrange(65_536), rng.randrange(65_536), 53, rng.randbytes(1)), None


def beginnings_on_every_stream(peer: Stranger, rng: random.Random) -> Iterator[tuple[Chunk, int | None]]:
    for number in range(COUNT):
        yield Data(BEGINNING, (peer.tsn + number) & 0xFFFFFFFF, number, 0, 53, rng.randbytes(1)), None


def openings(peer: Stranger, rng: random.Random) -> Iterator[tuple[Chunk, int | None]]:
    opening = struct.pack("!BBHIHH", 3, 0, 0, 0, 1, 0) + b"x"
    for number in range(COUNT):
        yield Data(WHOLE, (peer.tsn + number) & 0xFFFFFFFF, 2 * number, 0, 50, opening), None


def duplicates(peer: Stranger, rng: random.Random) -> Iterator[tuple[Chunk, int | None]]:
    for _ in range(COUNT):
        yield Data(WHOLE, (peer.tsn - rng.randint(1, 1000)) & 0xFFFFFFFF, 2, 0, 53, b"again"), None


def initiations(peer: Stranger, rng: random.Random) -> Iterator[tuple[Chunk, int | None]]:
    for _ in range(COUNT):
        unknown = [Parameter(0xC123, rng.randbytes(64)) for _ in range(8)]
        yield Init(ChunkType.INIT, rng.randint(1, 2**32 - 1), 2**32 - 1, 65_535, 65_535, 1, unknown), 0


def requests(peer: Stranger, rng: random.Random) -> Iterator[tuple[Chunk, int | None]]:
    for number in range(COUNT):
        match number % 6:
            case 0:
                yield Heartbeat(ChunkType.HEARTBEAT, rng.randbytes(900)), None
            case 1:
                yield UnknownChunk(0xFF, 0, rng.randbytes(900)), None
            case 2:
                reset = struct.pack("!III", (peer.tsn + number) & 0xFFFFFFFF, 0, peer.tsn) + rng.randbytes(400)
                yield ReConfig([Parameter(13, reset)]), None
            case 3:
                yield CookieEcho(rng.randbytes(200)), None
            case 4:
                yield Sack(rng.getrandbits(32), 0, [(1, 65_535)] * 100, [7] * 50), None
            case _:
                yield Causes(ChunkType.ERROR, [Parameter(CauseCode.STALE_COOKIE, bytes(4))]), None


def skips(peer: Stranger, rng: random.Random) -> Iterator[tuple[Chunk, int | None]]:
    for number in range(COUNT // 8):
        streams = [(rng.randrange(65_536), rng.randrange(65_536)) for _ in range(200)]
        yield ForwardTsn((peer.tsn + 1000 * number) & 0xFFFFFFFF, streams), None


@pytest.mark.parametrize(
    "flood",
    [
        data_in_order,
        data_with_gaps,
        beginnings_on_every_stream,
        openings,
        duplicates,
        initiations,
        requests,
    ],
    ids=lambda flood: flood.__name__,
)
def test_floods_are_held_in_bounded_memory(flood: Flood) -> None:
    peer = Stranger()
    held, peak = flooded(peer, flood)
    # An opening that is refused leaves one place, of its stream, among the resets that are due.
    room = ROOM * 5 // 4 if flood is openings else ROOM
    assert held < room, f"{held} bytes are held"
    assert peak < 2 * ROOM
    assert answers(peer.victim) <= 3 * SETTINGS.receive_window_bytes


def test_a_flood_of_skips_holds_a_number_for_each_stream_at_most() -> None:
    peer = Stranger()
    held, _ = flooded(peer, skips)
    assert held < 65_536 * 200


def flooded(peer: Stranger, flood: Flood) -> tuple[int, int]:
    """Bytes that the victim holds after it, and the most that it held."""
    rng = random.Random(3)
    for chunk, tag in list(flood(peer, rng))[:20]:  # tables that are made once
        peer.send(chunk, tag)
    chunks = list(flood(peer, rng))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for chunk, tag in chunks:
            peer.send(chunk, tag)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before, peak - before


def answers(victim: Association) -> int:
    """Bytes of all that it wants to send."""
    return sum(len(datagram.data) for datagram in victim.datagrams_to_send())


def test_a_cookie_parameter_that_is_huge_ends_the_attempt_only() -> None:
    a, _ = pair(SETTINGS)
    a.associate(A_ADDRESS, 1.0)
    [init] = [Packet.parse(datagram.data).chunks[0] for datagram in a.datagrams_to_send()]
    assert isinstance(init, Init)
    cookie = Parameter(ParameterType.STATE_COOKIE, bytes(5000))
    answer = Init(ChunkType.INIT_ACK, 9, 65_536, 10, 10, 1, [cookie])
    a.receive_datagram(Packet(5000, 5000, init.initiate_tag, [answer]).serialize(), A_ADDRESS, 1.1)
    assert a.state is AssociationState.CLOSED
