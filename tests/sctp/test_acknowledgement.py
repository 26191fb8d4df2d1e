"""SACKs by hand: when one is due, and what one makes the sender do."""

import pytest

from tests.sctp.link import A_ADDRESS, established
from visiomedia.sctp.chunks import IMMEDIATE, Chunk, Data, Sack
from visiomedia.sctp.packet import Packet


class Scripted:
    """Our packets to ``b``, as if ``a`` had sent them, and the chunks of its own."""

    def __init__(self) -> None:
        self.link = established()
        self.channel = self.link.a.open_channel("x", self.link.now)
        self.link.run(1)
        self.b, self.now = self.link.b, self.link.now
        self.link.a.send(self.channel, b"x", self.now)
        packet = Packet.parse(self.link.a.datagrams_to_send()[0].data)
        [chunk] = packet.chunks
        assert isinstance(chunk, Data)
        self.tag, self.tsn = packet.verification_tag, chunk.tsn

    def receive(self, *chunks: Chunk) -> list[Chunk]:
        """What ``b`` says to a packet."""
        self.b.receive_datagram(Packet(5000, 5000, self.tag, list(chunks)).serialize(), A_ADDRESS, self.now)
        return self.sent()

    def sent(self) -> list[Chunk]:
        return [chunk for d in self.b.datagrams_to_send() for chunk in Packet.parse(d.data).chunks]

    def data(self, ahead: int, flags: int = 7) -> Data:
        return Data(flags, (self.tsn + ahead) & 0xFFFFFFFF, self.channel, 0, 53, b"data")

    def time_out(self) -> list[Chunk]:
        """Go to the next timer of ``b``."""
        timeout = self.b.next_timeout()
        assert timeout is not None
        self.now = timeout
        self.b.handle_timeout(self.now)
        return self.sent()

    def sends(self, count: int) -> list[Data]:
        """So many packets of ``b``'s, one message."""
        self.b.send(self.channel, bytes(1104 * count), self.now)
        return [chunk for chunk in self.sent() if isinstance(chunk, Data)]


def test_a_gap_is_reported_when_it_opens_and_when_it_closes() -> None:
    scripted = Scripted()
    [opened] = scripted.receive(scripted.data(1))
    assert isinstance(opened, Sack)
    assert opened.gaps == [(2, 2)]
    [closed] = scripted.receive(scripted.data(0))
    assert isinstance(closed, Sack)
    assert (closed.cumulative_tsn_ack, closed.gaps) == ((scripted.tsn + 1) & 0xFFFFFFFF, [])
    assert scripted.receive(scripted.data(2)) == []


def test_a_chunk_may_ask_for_an_acknowledgement_at_once() -> None:
    scripted = Scripted()
    assert len(scripted.receive(scripted.data(0, 7 | IMMEDIATE))) == 1


def test_a_duplicate_is_acknowledged_at_once_and_named() -> None:
    scripted = Scripted()
    assert scripted.receive(scripted.data(0)) == []
    [sack] = scripted.receive(scripted.data(0))
    assert isinstance(sack, Sack)
    assert sack.duplicates == [scripted.tsn]
    [sack] = scripted.receive(scripted.data(0))
    assert isinstance(sack, Sack)
    assert sack.duplicates == [scripted.tsn]


def test_a_delayed_acknowledgement_goes_along_with_data() -> None:
    scripted = Scripted()
    assert scripted.receive(scripted.data(0)) == []
    scripted.b.send(scripted.channel, b"answer", scripted.now)
    assert [type(chunk) for chunk in scripted.sent()] == [Sack, Data]


def test_no_more_is_sent_than_the_peer_has_room_for() -> None:
    scripted = Scripted()
    first = scripted.sends(1)[0]
    scripted.receive(Sack(first.tsn, 2500))
    assert len(scripted.sends(10)) == 2
    scripted.receive(Sack((first.tsn + 2) & 0xFFFFFFFF, 0))
    # Nothing is in flight: one chunk probes the window, and no second.
    assert scripted.sent() == []
    assert len([chunk for chunk in scripted.time_out() if isinstance(chunk, Data)]) == 1


def test_what_a_peer_takes_back_is_sent_again() -> None:
    """RFC 9260 section 6.2.1: what a gap block acknowledged is not safe until the cumulative TSN passes it."""
    scripted = Scripted()
    first, second, third = scripted.sends(3)
    scripted.receive(Sack((first.tsn - 1) & 0xFFFFFFFF, 100_000, [(2, 3)]))
    [again] = [chunk for chunk in scripted.time_out() if isinstance(chunk, Data)]
    assert again == first
    resent = scripted.receive(Sack(first.tsn, 100_000))
    assert next(chunk for chunk in resent if isinstance(chunk, Data)) == second
    resent += scripted.receive(Sack(second.tsn, 100_000))
    assert third in resent


@pytest.mark.parametrize("repeats", [2, 3])
def test_three_reports_that_a_chunk_is_missing_send_it_again(repeats: int) -> None:
    scripted = Scripted()
    chunks = scripted.sends(3) + scripted.sends(2)
    base = (chunks[0].tsn - 1) & 0xFFFFFFFF
    answers: list[Chunk] = []
    for number in range(repeats):
        answers += scripted.receive(Sack(base, 100_000, [(2, 2 + number)]))
    resent = [chunk for chunk in answers if isinstance(chunk, Data) and chunk.tsn == chunks[0].tsn]
    assert len(resent) == (1 if repeats == 3 else 0)
