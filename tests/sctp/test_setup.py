"""Setting an association up and ending it: collisions, losses, stale cookies, what is negotiated."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.sctp.link import A_ADDRESS, B_ADDRESS, Link, chunk_kinds, entropy_of, established, pair
from visiomedia.engine import Engine
from visiomedia.errors import ConfigurationError, InvalidStateError
from visiomedia.sctp import (
    Association,
    AssociationClosed,
    AssociationEstablished,
    AssociationEvent,
    AssociationState,
    SctpSettings,
)
from visiomedia.sctp.chunks import Causes, ChunkType, CookieEcho, Data, Heartbeat, Init, Sack, Signal, UnknownChunk
from visiomedia.sctp.packet import Packet
from visiomedia.sctp.parameters import CauseCode, Parameter, ParameterType


def losing(kind: ChunkType, times: int) -> Callable[[bytes], bool]:
    """A link that loses the first packets with such a chunk."""
    left = [times]

    def passes(data: bytes) -> bool:
        if kind in chunk_kinds(data) and left[0]:
            left[0] -= 1
            return False
        return True

    return passes


def is_up(link: Link) -> bool:
    return link.a.state is link.b.state is AssociationState.ESTABLISHED


def test_an_association_is_an_engine() -> None:
    engine: Engine[AssociationEvent] = Association(is_client=True)
    assert engine.next_timeout() is None
    assert engine.datagrams_to_send() == []
    engine.handle_timeout(1.0)


@pytest.mark.parametrize("both", [True, False])
def test_one_side_or_both_at_once_establish_it(both: bool) -> None:
    link = Link(*pair())
    link.start(both=both)
    link.run(0.2)
    assert is_up(link)
    assert link.a_events == link.b_events == [AssociationEstablished()]
    assert not link.a.counters + link.b.counters


@pytest.mark.parametrize("kind", [ChunkType.INIT, ChunkType.INIT_ACK, ChunkType.COOKIE_ECHO, ChunkType.COOKIE_ACK])
@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_each_step_of_the_setup_may_be_lost(kind: ChunkType, both: bool, times: int) -> None:
    link = Link(*pair(), passes=losing(kind, times))
    link.start(both=both)
    channel = link.a.open_channel("early", link.now)
    link.a.send(channel, b"early", link.now)
    link.run_until(lambda: is_up(link) and bool(link.messages()), 20)
    assert link.a_events.count(AssociationEstablished()) == link.b_events.count(AssociationEstablished()) == 1
    assert link.messages() == [b"early"]


@pytest.mark.parametrize("seed", range(30))
def test_setup_survives_a_lossy_reordering_doubling_link(seed: int) -> None:
    link = Link(*pair(seed=seed), seed=seed, loss=0.3, duplication=0.3, jitter=0.1)
    link.start()
    link.run_until(lambda: is_up(link), 120)
    link.run(30)
    assert is_up(link)
    assert link.a_events == link.b_events == [AssociationEstablished()]


def test_a_peer_that_never_answers_is_given_up() -> None:
    link = Link(*pair(), loss=1.0)
    link.start(both=False)
    link.run(200)
    assert link.a_events == [AssociationClosed("the peer does not answer")]
    assert link.a.next_timeout() is None
    assert link.packets == 9


def test_a_stale_cookie_is_refused_and_another_asked_for() -> None:
    link = Link(*pair(SctpSettings(cookie_lifetime=0.03)), delay=0.02)
    slow = [True]

    def passes(data: bytes) -> bool:
        if ChunkType.ERROR in chunk_kinds(data):
            slow[0] = False
            link.delay = 0.001
        return True

    link.passes = passes
    link.start(both=False)
    link.run(5)
    assert not slow[0]
    assert link.b.counters["stale_cookie"] == 1
    assert is_up(link)


def test_cookies_that_are_always_stale_end_it() -> None:
    link = Link(*pair(SctpSettings(cookie_lifetime=0.01)), delay=0.1)
    link.start(both=False)
    link.run(60)
    assert link.a_events == [AssociationClosed("cookies are stale when they arrive")]


def test_a_forged_cookie_is_dropped() -> None:
    link = Link(*pair())
    link.start(both=False)
    captured: list[bytes] = []

    def passes(data: bytes) -> bool:
        if ChunkType.COOKIE_ECHO in chunk_kinds(data):
            captured.append(data)
            return False
        return True

    link.passes = passes
    link.run(0.1)
    packet = Packet.parse(captured[0])
    [echo] = packet.chunks
    assert isinstance(echo, CookieEcho)
    for position in range(len(echo.cookie)):
        forged = bytearray(echo.cookie)
        forged[position] ^= 1
        packet.chunks = [CookieEcho(bytes(forged))]
        link.b.receive_datagram(packet.serialize(), A_ADDRESS, link.now)
    assert link.b.counters["bad_cookie"] == len(echo.cookie)
    assert link.b.events() == []
    link.b.receive_datagram(captured[0], A_ADDRESS, link.now)
    assert link.b.events() == [AssociationEstablished()]


def one_answer(association: Association, packet: Packet) -> Packet:
    """The single packet with which an association answers another."""
    association.receive_datagram(packet.serialize(), B_ADDRESS, 100.0)
    [datagram] = association.datagrams_to_send()
    return Packet.parse(datagram.data)


def init(parameters: list[Parameter], **changes: Any) -> Packet:
    fields: dict[str, Any] = {"tag": 77, "window": 100_000, "outbound": 10, "inbound": 20, "tsn": 5} | changes
    chunk = Init(
        ChunkType.INIT,
        fields["tag"],
        fields["window"],
        fields["outbound"],
        fields["inbound"],
        fields["tsn"],
        parameters,
    )
    return Packet(5000, 5000, 0, [chunk])


def test_init_offers_what_is_supported_and_no_interleaving() -> None:
    a, _ = pair()
    a.associate(B_ADDRESS, 1.0)
    [datagram] = a.datagrams_to_send()
    [chunk] = Packet.parse(datagram.data).chunks
    assert isinstance(chunk, Init)
    assert (chunk.outbound_streams, chunk.inbound_streams) == (65535, 65535)
    assert chunk.parameters == [
        Parameter(ParameterType.SUPPORTED_EXTENSIONS, b"\x82\xc0"),
        Parameter(ParameterType.FORWARD_TSN_SUPPORTED, b""),
        Parameter(ParameterType.ZERO_CHECKSUM_ACCEPTABLE, b"\0\0\0\1"),
    ]


@pytest.mark.parametrize(
    ("kinds", "reported"),
    [
        ([0x9001, 0xC099], [0xC099]),
        ([0x9001, 0x4099, 0xC098], [0x4099]),
        ([0x0099, 0xC098], []),
        ([0xC097, 0xC098, 0x8001], [0xC097, 0xC098]),
    ],
)
def test_unknown_parameters_are_handled_by_their_high_bits(kinds: list[int], reported: list[int]) -> None:
    _, b = pair()
    answer = one_answer(b, init([Parameter(kind, b"??") for kind in kinds]))
    assert answer.verification_tag == 77
    [chunk] = answer.chunks
    assert isinstance(chunk, Init)
    unrecognized = [value for kind, value in chunk.parameters if kind == ParameterType.UNRECOGNIZED_PARAMETER]
    assert [int.from_bytes(value[:2], "big") for value in unrecognized] == reported


def test_unknown_parameters_of_an_init_ack_are_reported_with_the_cookie() -> None:
    link = Link(*pair())
    link.start(both=False)
    own = own_tag(link.a)
    answer = Init(ChunkType.INIT_ACK, 9, 100_000, 10, 10, 1, [Parameter(7, b"cookie"), Parameter(0xC123, b"?")])
    link.a.receive_datagram(Packet(5000, 5000, own, [answer]).serialize(), B_ADDRESS, link.now)
    [datagram] = link.a.datagrams_to_send()
    chunks = Packet.parse(datagram.data).chunks
    assert chunks[0] == CookieEcho(b"cookie")
    unrecognized = Parameter(CauseCode.UNRECOGNIZED_PARAMETERS, bytes.fromhex("c12300053f000000"))
    assert chunks[1] == Causes(ChunkType.ERROR, [unrecognized])


def own_tag(association: Association) -> int:
    """The tag that an association gives in its INIT ACK."""
    twin = init([])
    association.receive_datagram(twin.serialize(), B_ADDRESS, 100.0)
    chunk = Packet.parse(association.datagrams_to_send()[-1].data).chunks[0]
    assert isinstance(chunk, Init)
    return chunk.initiate_tag


def test_an_init_ack_without_a_cookie_aborts() -> None:
    link = Link(*pair())
    link.start(both=False)
    answer = Init(ChunkType.INIT_ACK, 9, 100_000, 10, 10, 1, [])
    link.a.receive_datagram(Packet(5000, 5000, own_tag(link.a), [answer]).serialize(), B_ADDRESS, link.now)
    [datagram] = link.a.datagrams_to_send()
    [abort] = Packet.parse(datagram.data).chunks
    assert isinstance(abort, Causes)
    assert abort.causes[0].type == CauseCode.MISSING_MANDATORY_PARAMETER
    assert link.a.events() == [AssociationClosed("the peer sent no cookie")]


@pytest.mark.parametrize(("ours", "theirs"), [(True, True), (True, False), (False, True), (False, False)])
def test_checksums_are_left_out_when_both_agree(ours: bool, theirs: bool) -> None:
    a = Association(is_client=True, settings=SctpSettings(zero_checksum=ours), entropy=entropy_of(1))
    b = Association(is_client=False, settings=SctpSettings(zero_checksum=theirs), entropy=entropy_of(2))
    with_checksum: list[tuple[bool, bool]] = []

    def passes(data: bytes) -> bool:
        packet = Packet.parse(data)
        is_setup = packet.chunks[0].kind in (ChunkType.INIT, ChunkType.INIT_ACK, ChunkType.COOKIE_ECHO)
        with_checksum.append((is_setup, packet.has_checksum))
        return True

    link = Link(a, b, passes=passes)
    link.start()
    a.send(a.open_channel("x", link.now), b"hello", link.now)
    link.run(1)
    assert link.messages() == [b"hello"]
    assert all(has_checksum for is_setup, has_checksum in with_checksum if is_setup)
    later = {has_checksum for is_setup, has_checksum in with_checksum if not is_setup}
    assert later == {not (ours and theirs)}


def test_a_missing_checksum_is_refused_where_it_was_not_agreed() -> None:
    link = established(SctpSettings(zero_checksum=False))
    packet = Packet(5000, 5000, tag_of_b(link), [Heartbeat(ChunkType.HEARTBEAT, b"x")], False)
    link.b.receive_datagram(packet.serialize(), A_ADDRESS, link.now)
    assert link.b.counters["missing_checksum"] == 1
    assert link.b.datagrams_to_send() == []


def tag_of_b(link: Link) -> int:
    """The tag of packets to ``b``, as ``a``'s heartbeat shows it."""
    link.a.send(link.a.open_channel("tag", link.now), b"x", link.now)
    [datagram] = link.a.datagrams_to_send()
    link.b.receive_datagram(datagram.data, A_ADDRESS, link.now)
    link.drain()
    return Packet.parse(datagram.data).verification_tag


def test_packets_with_another_tag_or_port_are_dropped() -> None:
    link = established()
    tag = tag_of_b(link)
    heartbeat = Heartbeat(ChunkType.HEARTBEAT, b"x")
    for packet, counter in (
        (Packet(5000, 5000, tag ^ 1, [heartbeat]), "wrong_verification_tag"),
        (Packet(5000, 5001, tag, [heartbeat]), "wrong_port"),
        (Packet(5001, 5000, tag, [heartbeat]), "wrong_port"),
        (Packet(5000, 5000, tag, []), "empty_packet"),
        (Packet(5000, 5000, tag, [Causes(ChunkType.ABORT, [], 1)]), "wrong_verification_tag"),
        (Packet(5000, 5000, tag, [heartbeat, Signal(ChunkType.SHUTDOWN_COMPLETE)]), "wrongly_bundled"),
    ):
        before = link.b.counters[counter]
        link.b.receive_datagram(packet.serialize(), A_ADDRESS, link.now)
        assert link.b.counters[counter] == before + 1
        assert link.b.datagrams_to_send() == []
    link.b.receive_datagram(Packet(5000, 5000, tag, [heartbeat]).serialize(), A_ADDRESS, link.now)
    [datagram] = link.b.datagrams_to_send()
    assert Packet.parse(datagram.data).chunks == [Heartbeat(ChunkType.HEARTBEAT_ACK, b"x")]


@pytest.mark.parametrize(("kind", "goes_on", "is_reported"), [(0x3F, 0, 0), (0x7F, 0, 1), (0xBF, 1, 0), (0xFF, 1, 1)])
def test_unknown_chunks_are_handled_by_their_high_bits(kind: int, goes_on: bool, is_reported: bool) -> None:
    link = established()
    packet = Packet(
        5000, 5000, tag_of_b(link), [UnknownChunk(kind, 0, b"??"), Heartbeat(ChunkType.HEARTBEAT, b"behind")]
    )
    link.b.receive_datagram(packet.serialize(), A_ADDRESS, link.now)
    chunks = [chunk for datagram in link.b.datagrams_to_send() for chunk in Packet.parse(datagram.data).chunks]
    assert (Heartbeat(ChunkType.HEARTBEAT_ACK, b"behind") in chunks) == goes_on
    assert any(chunk.kind == ChunkType.ERROR for chunk in chunks) == is_reported


def test_data_without_data_aborts() -> None:
    link = established()
    packet = Packet(5000, 5000, tag_of_b(link), [Data(3, 1, 0, 0, 53, b"")])
    link.b.receive_datagram(packet.serialize(), A_ADDRESS, link.now)
    link.run(1)
    assert link.a_events[-1] == AssociationClosed("aborted by the peer: no user data")
    assert isinstance(link.b_events[-1], AssociationClosed)


def test_data_before_the_association_is_dropped() -> None:
    _, b = pair()
    tag = own_tag(b)
    b.receive_datagram(Packet(5000, 5000, tag, [Data(3, 1, 0, 0, 53, b"x")]).serialize(), A_ADDRESS, 1.0)
    b.receive_datagram(Packet(5000, 5000, tag, [Sack(0, 0)]).serialize(), A_ADDRESS, 1.0)
    assert b.counters["before_association"] == 2
    assert b.events() == []


def test_an_init_into_an_established_association_changes_nothing() -> None:
    link = established()
    link.b.receive_datagram(init([]).serialize(), A_ADDRESS, link.now)
    assert link.b.datagrams_to_send() == []
    assert link.b.counters["init_when_established"] == 1


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_shutdown_sends_what_is_queued_first(both: bool, loss: float) -> None:
    link = established()
    channel = link.a.open_channel("last", link.now)
    link.loss = loss
    for number in range(300):
        link.a.send(channel, b"%d" % number, link.now)
    link.a.shutdown(link.now)
    if both:
        link.b.shutdown(link.now)
    with pytest.raises(InvalidStateError):
        link.a.send(channel, b"too late", link.now)
    link.run(120)
    assert link.messages() == [b"%d" % number for number in range(300)]
    assert link.a_events[-1] == AssociationClosed("shut down")
    # Of the last packet nobody learns whether it came: the other side may have to give up waiting for it.
    assert isinstance(link.b_events[-1], AssociationClosed)
    assert link.a.next_timeout() is link.b.next_timeout() is None


@pytest.mark.parametrize("kind", [ChunkType.SHUTDOWN, ChunkType.SHUTDOWN_ACK])
def test_shutdown_is_repeated_when_lost(kind: ChunkType) -> None:
    link = established()
    link.passes = losing(kind, 2)
    link.a.shutdown(link.now)
    link.run(10)
    assert link.a_events[-1] == link.b_events[-1] == AssociationClosed("shut down")


def test_abort_ends_both_sides_at_once() -> None:
    link = established()
    link.a.abort(link.now, "enough")
    link.run(1)
    assert link.a_events[-1] == AssociationClosed("aborted")
    assert link.b_events[-1] == AssociationClosed("aborted by the peer: user initiated abort")
    link.b.receive_datagram(b"anything", A_ADDRESS, link.now)
    assert link.b.counters["after_end"] == 1
    link.a.abort(link.now)
    with pytest.raises(InvalidStateError):
        link.a.open_channel("x", link.now)
    with pytest.raises(InvalidStateError):
        link.a.associate(B_ADDRESS, link.now)


def test_heartbeats_find_a_peer_that_has_gone() -> None:
    link = established()
    link.run(100)
    assert is_up(link)
    link.loss = 1.0
    link.run(400)
    assert link.a_events[-1] == AssociationClosed("the peer does not answer")


def test_wrong_ports_and_settings_are_refused() -> None:
    with pytest.raises(ConfigurationError):
        Association(is_client=True, local_port=0)
    wrong: list[dict[str, Any]] = [
        {"maximum_packet": 1145},
        {"maximum_packet": 100},
        {"maximum_message": 1},
        {"send_buffer_bytes": 1000},
        {"maximum_channels": 0},
        {"rto_minimum": 2.0},
        {"acknowledgement_delay": 1.0},
    ]
    for changes in wrong:
        with pytest.raises(ConfigurationError):
            SctpSettings(**changes)
