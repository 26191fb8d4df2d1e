"""Data channels: opened by either side, negotiated, closed, their ids used again; and nonsense refused."""

from typing import Any

import pytest

from tests.sctp.link import A_ADDRESS, Link, established, pair
from visiomedia.errors import CapacityError, ConfigurationError, InvalidStateError
from visiomedia.sctp import (
    Association,
    ChannelState,
    DataChannelClosed,
    DataChannelOpened,
    MessageReceived,
    SctpSettings,
)
from visiomedia.sctp.chunks import Chunk, ChunkType, Data, Init, ReConfig, Signal
from visiomedia.sctp.dcep import DataChannelOpen
from visiomedia.sctp.packet import Packet
from visiomedia.sctp.parameters import Parameter, ParameterType
from visiomedia.sctp.reconfiguration import (
    AddStreams,
    IncomingReset,
    OutgoingReset,
    ReconfigurationType,
    ResetResponse,
    ResetResult,
    TsnReset,
    parse_reconfiguration,
)


def test_ids_are_even_for_the_dtls_client_and_odd_for_the_server() -> None:
    link = established()
    assert [link.a.open_channel(str(n), link.now) for n in range(3)] == [0, 2, 4]
    assert [link.b.open_channel(str(n), link.now) for n in range(3)] == [1, 3, 5]
    link.run(1)
    assert link.a.counters["channel_refused"] == link.b.counters["channel_refused"] == 0


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"ordered": False, "protocol": "chat"},
        {"max_retransmits": 0, "priority": 1024},
        {"max_packet_life_time": 500, "ordered": False},
    ],
)
def test_both_sides_learn_of_an_opened_channel(parameters: dict[str, Any]) -> None:
    link = established()
    channel = link.a.open_channel("läbel", link.now, **parameters)
    assert link.a.channel_state(channel) is ChannelState.CONNECTING
    link.run(1)
    wanted: dict[str, Any] = {
        "protocol": "",
        "ordered": True,
        "max_retransmits": None,
        "max_packet_life_time": None,
        "priority": 256,
    } | parameters
    opened = DataChannelOpened(channel, "läbel", **wanted, is_by_peer=False)
    assert link.a_events[-1] == opened
    opened.is_by_peer = True
    assert link.b_events[-1] == opened
    assert link.a.channel_state(channel) is link.b.channel_state(channel) is ChannelState.OPEN


def test_the_answering_side_may_send_at_once() -> None:
    link = established()
    channel = link.a.open_channel("x", link.now, ordered=False, max_retransmits=0)
    link.run_until(lambda: link.b.channel_state(channel) is ChannelState.OPEN)
    link.b.send(channel, "hello", link.now)
    link.run(1)
    assert link.a_events[-1] == MessageReceived(channel, b"hello", True)


def test_an_unordered_channels_first_messages_do_not_overtake_its_opening() -> None:
    for seed in range(20):
        link = established(seed=seed)
        link.jitter = link.loss = 0.2
        channel = link.a.open_channel("x", link.now, ordered=False)
        for number in range(5):
            link.a.send(channel, bytes([number]) * 1000, link.now)
            link.run(0.001)
        link.run_until(lambda link=link: len(link.messages()) == 5)  # type: ignore[misc]  # bound early
        assert link.b.counters["message_without_channel"] == 0


def test_negotiated_channels_need_no_opening() -> None:
    link = Link(*pair())
    for side in (link.a, link.b):
        assert side.open_channel("n", 1.0, channel_id=7, is_negotiated=True, ordered=False) == 7
    link.a.send(7, b"early", link.now)
    link.start()
    link.run(1)
    opened = DataChannelOpened(7, "n", "", False, None, None, 256, False)
    assert link.a_events[1] == link.b_events[1] == opened
    assert link.messages() == [b"early"]
    assert link.b.open_channel("later", link.now, channel_id=9, is_negotiated=True) == 9
    assert link.b.events() == [DataChannelOpened(9, "later", "", True, None, None, 256, False)]


@pytest.mark.parametrize("closes", ["a", "b", "both"])
@pytest.mark.parametrize("loss", [0.0, 0.15])
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_closing_delivers_what_was_sent_and_frees_the_id(closes: str, loss: float, seed: int) -> None:
    link = established(seed=seed)
    channel = link.a.open_channel("x", link.now)
    other = link.b.open_channel("stays", link.now)
    link.run(1)
    link.loss = loss
    for generation in range(3):
        seen = len(link.messages())
        link.a.send(channel, b"%d" % generation, link.now)
        link.a.send(channel, bytes(50_000), link.now)
        if closes != "a":
            link.run_until(lambda wanted=seen + 2: len(link.messages()) == wanted)  # type: ignore[misc]  # early
            link.b.close_channel(channel, link.now)
        if closes != "b":
            link.a.close_channel(channel, link.now)
            with pytest.raises(InvalidStateError):
                link.a.send(channel, b"late", link.now)
        link.run_until(lambda: link.a.channel_state(channel) is link.b.channel_state(channel) is None)
        assert link.messages()[seen:] == [b"%d" % generation, bytes(50_000)]
        assert link.a_events.count(DataChannelClosed(channel)) == generation + 1
        assert link.b_events.count(DataChannelClosed(channel)) == generation + 1
        assert link.a.open_channel("again", link.now) == channel
        link.run_until(lambda: link.a.channel_state(channel) is link.b.channel_state(channel) is ChannelState.OPEN)
    link.b.send(other, b"still here", link.now)
    link.run_until(lambda: link.messages(of_b=False) == [b"still here"])


def test_many_channels_close_at_once() -> None:
    link = established(SctpSettings(maximum_packet=512))
    channels = [link.a.open_channel(str(n), link.now) for n in range(450)]
    link.run(3)
    link.loss = 0.2
    for channel in channels:
        link.a.close_channel(channel, link.now)
    link.run(120)
    assert [link.a.channel_state(c) for c in channels] == [link.b.channel_state(c) for c in channels] == [None] * 450


def test_an_end_closes_every_channel() -> None:
    link = established()
    channels = [link.a.open_channel(str(n), link.now) for n in range(3)]
    link.run(1)
    link.b.abort(link.now)
    link.run(1)
    closed = [DataChannelClosed(channel) for channel in channels]
    assert link.a_events[-4:-1] == link.b_events[-4:-1] == closed


def test_wrong_arguments_raise() -> None:
    link = established(SctpSettings(maximum_channels=2))
    wrong: list[dict[str, Any]] = [
        {"max_retransmits": 1, "max_packet_life_time": 1},
        {"max_retransmits": -1},
        {"max_packet_life_time": 1 << 32},
        {"priority": 65536},
        {"protocol": "x" * 65536},
        {"is_negotiated": True},
        {"channel_id": 65535},
        {"channel_id": -1},
    ]
    for parameters in wrong:
        with pytest.raises(ConfigurationError):
            link.a.open_channel("x", link.now, **parameters)
    link.a.open_channel("x", link.now, channel_id=6)
    with pytest.raises(InvalidStateError):
        link.a.open_channel("x", link.now, channel_id=6)
    link.a.open_channel("y", link.now)
    with pytest.raises(CapacityError):
        link.a.open_channel("z", link.now)
    with pytest.raises(InvalidStateError):
        link.a.close_channel(99, link.now)


def test_channels_beyond_the_peers_limit_are_refused_and_closed() -> None:
    link = established()
    small = Association(is_client=False, settings=SctpSettings(maximum_channels=2))
    link = Link(Association(is_client=True), small)
    link.start()
    channels = [link.a.open_channel(str(n), link.now) for n in range(4)]
    link.run(5)
    assert small.counters["channel_refused"] == 2
    assert [event.channel_id for event in link.b_events if isinstance(event, DataChannelOpened)] == channels[:2]
    assert [event for event in link.a_events if isinstance(event, DataChannelClosed)] == [
        DataChannelClosed(channel) for channel in channels[2:]
    ]


class Scripted:
    """Chunks of our making to ``b``, as if of ``a``."""

    def __init__(self) -> None:
        self.link = established()
        self.channel = self.link.a.open_channel("x", self.link.now)
        self.link.run(1)
        self.link.a.send(self.channel, b"x", self.link.now)
        [datagram] = self.link.a.datagrams_to_send()
        packet = Packet.parse(datagram.data)
        [chunk] = packet.chunks
        assert isinstance(chunk, Data)
        self.tag, self.tsn = packet.verification_tag, chunk.tsn
        # Of the opening and this message.
        self.request_number = (chunk.tsn - 1) & 0xFFFFFFFF

    def send(self, *chunks: Chunk) -> list[Chunk]:
        """What ``b`` answers."""
        packet = Packet(5000, 5000, self.tag, list(chunks))
        self.link.b.receive_datagram(packet.serialize(), A_ADDRESS, self.link.now)
        return [chunk for d in self.link.b.datagrams_to_send() for chunk in Packet.parse(d.data).chunks]

    def message(self, protocol: int, data: bytes, stream: int | None = None) -> None:
        chunk = Data(7, self.tsn, self.channel if stream is None else stream, 0, protocol, data)
        self.tsn = (self.tsn + 1) & 0xFFFFFFFF
        self.send(chunk)

    def ask(self, parameter: Parameter) -> list[ResetResponse]:
        chunks = self.send(ReConfig([parameter]))
        parameters = [p for chunk in chunks if isinstance(chunk, ReConfig) for p in chunk.parameters]
        return [r for r in map(parse_reconfiguration, parameters) if isinstance(r, ResetResponse)]


@pytest.mark.parametrize(
    ("protocol", "data", "stream", "counter"),
    [
        (53, b"x", 8, "message_without_channel"),
        (52, b"x", None, "unknown_payload_protocol"),
        (0, b"x", None, "unknown_payload_protocol"),
        (51, b"\xff", None, "text_not_utf8"),
        (50, b"\x02", None, "unexpected_channel_ack"),
        (50, b"\x02", 8, "unexpected_channel_ack"),
        (50, b"\x09", 8, "malformed_channel_message"),
        (50, b"\x03", 8, "malformed_channel_message"),
        (50, DataChannelOpen("x").serialize(), None, "channel_opened_twice"),
        (50, DataChannelOpen("x").serialize(), 9, "channel_refused"),
        (50, DataChannelOpen("x").serialize(), 65535, "invalid_stream"),
        (50, DataChannelOpen("x" * 1025).serialize(), 8, "channel_refused"),
        (50, DataChannelOpen("", "x" * 1025).serialize(), 8, "channel_refused"),
    ],
)
def test_nonsense_on_channels_is_counted(protocol: int, data: bytes, stream: int | None, counter: str) -> None:
    scripted = Scripted()
    scripted.message(protocol, data, stream)
    assert scripted.link.b.counters[counter] == 1
    assert scripted.link.b.events() == []


def test_requests_are_answered_once_in_order_and_again_when_repeated() -> None:
    scripted = Scripted()
    number = scripted.request_number
    for parameter, result in (
        (TsnReset(number).serialize(), ResetResult.DENIED),
        (AddStreams(ReconfigurationType.ADD_INCOMING_STREAMS, number + 1, 5).serialize(), ResetResult.DENIED),
        (AddStreams(ReconfigurationType.ADD_OUTGOING_STREAMS, number + 2, 5).serialize(), ResetResult.DENIED),
        (OutgoingReset(number + 3, 0, scripted.tsn + 1, [scripted.channel]).serialize(), ResetResult.IN_PROGRESS),
        (IncomingReset(number + 4, [77]).serialize(), ResetResult.PERFORMED),
    ):
        wanted = [ResetResponse(int.from_bytes(parameter.value[:4], "big"), result)]
        assert scripted.ask(parameter) == wanted
        assert scripted.ask(parameter) == wanted
    [response] = scripted.ask(TsnReset(number + 9).serialize())
    assert response.result == ResetResult.BAD_SEQUENCE_NUMBER
    # The data that the reset counted on comes, and it is performed.
    scripted.message(53, b"a")
    assert scripted.link.b.channel_state(scripted.channel) is ChannelState.OPEN
    scripted.message(53, b"b")
    assert scripted.link.b.channel_state(scripted.channel) is ChannelState.CLOSING


def test_a_request_in_progress_is_made_again_under_a_new_number() -> None:
    link = established()
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    link.b.send(channel, b"tag", link.now)
    tag_of_a = Packet.parse(link.b.datagrams_to_send()[0].data).verification_tag
    link.a.close_channel(channel, link.now)
    numbers = []
    for result in (ResetResult.IN_PROGRESS, ResetResult.REQUEST_IN_PROGRESS, ResetResult.PERFORMED):
        [datagram] = link.a.datagrams_to_send()
        [chunk] = Packet.parse(datagram.data).chunks
        assert isinstance(chunk, ReConfig)
        request = parse_reconfiguration(chunk.parameters[0])
        assert isinstance(request, OutgoingReset)
        numbers.append(request.request_number)
        # Unanswered, the same is sent again.
        link.now = link.a.next_timeout() or 0.0
        link.a.handle_timeout(link.now)
        assert Packet.parse(link.a.datagrams_to_send()[0].data).chunks == [chunk]
        answer = ReConfig([ResetResponse(request.request_number, result).serialize()])
        link.a.receive_datagram(Packet(5000, 5000, tag_of_a, [answer]).serialize(), A_ADDRESS, link.now)
        assert link.a.datagrams_to_send() == []
        if result != ResetResult.PERFORMED:
            link.now = link.a.next_timeout() or 0.0
            link.a.handle_timeout(link.now)
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


def test_a_peer_may_ask_for_our_streams_to_be_reset() -> None:
    scripted = Scripted()
    [response] = scripted.ask(IncomingReset(scripted.request_number, [scripted.channel]).serialize())
    assert response.result == ResetResult.PERFORMED
    assert scripted.link.b.channel_state(scripted.channel) is ChannelState.CLOSING


def test_a_reset_of_all_streams_closes_every_channel() -> None:
    scripted = Scripted()
    last = (scripted.tsn - 1) & 0xFFFFFFFF
    [response] = scripted.ask(OutgoingReset(scripted.request_number, 0, last).serialize())
    assert response.result == ResetResult.PERFORMED
    assert scripted.link.b.channel_state(scripted.channel) is ChannelState.CLOSING


def test_a_channel_closes_on_one_side_where_the_peer_cannot_reset_streams() -> None:
    link = Link(*pair())
    link.a.associate(A_ADDRESS, link.now)
    [init] = link.a.datagrams_to_send()
    link.b.receive_datagram(init.data, A_ADDRESS, link.now)
    [datagram] = link.b.datagrams_to_send()
    packet = Packet.parse(datagram.data)
    [answer] = packet.chunks
    assert isinstance(answer, Init)
    answer.parameters = [p for p in answer.parameters if p.type != ParameterType.SUPPORTED_EXTENSIONS]
    link.a.receive_datagram(packet.serialize(), A_ADDRESS, link.now)
    link.run(1)
    channel = link.a.open_channel("x", link.now)
    link.run(1)
    link.a.close_channel(channel, link.now)
    link.run(1)
    assert link.a_events[-1] == DataChannelClosed(channel)
    # Its streams go on counting, so that the same id works again.
    assert link.a.open_channel("y", link.now) == channel
    link.a.send(channel, b"again", link.now)
    link.run(1)
    assert link.messages() == [b"again"]


def test_a_peer_with_few_streams_limits_ids_and_may_add_some() -> None:
    link = Link(*pair())
    link.a.open_channel("beyond", link.now, channel_id=50)
    link.a.associate(A_ADDRESS, link.now)
    [init] = link.a.datagrams_to_send()
    tag = Packet.parse(init.data).chunks[0]
    assert isinstance(tag, Init)
    cookie = Parameter(ParameterType.STATE_COOKIE, b"cookie")
    extensions = Parameter(ParameterType.SUPPORTED_EXTENSIONS, b"\x82\xc0")
    answer = Init(ChunkType.INIT_ACK, 9, 100_000, 10, 20, 1, [cookie, extensions])

    def receive(*chunks: Chunk) -> list[Chunk]:
        packet = Packet(5000, 5000, tag.initiate_tag, list(chunks))
        link.a.receive_datagram(packet.serialize(), A_ADDRESS, link.now)
        return [chunk for d in link.a.datagrams_to_send() for chunk in Packet.parse(d.data).chunks]

    receive(answer)
    assert not any(isinstance(chunk, Data) for chunk in receive(Signal(ChunkType.COOKIE_ACK)))
    assert link.a.events()[1:] == [DataChannelClosed(50)]
    with pytest.raises(ConfigurationError):
        link.a.open_channel("x", link.now, channel_id=10)
    receive(Data(7, 1, 12, 0, 53, b"x"))
    assert link.a.counters["invalid_stream"] == 1
    adding = AddStreams(ReconfigurationType.ADD_OUTGOING_STREAMS, 1, 5)
    [response] = [chunk for chunk in receive(ReConfig([adding.serialize()])) if isinstance(chunk, ReConfig)]
    assert parse_reconfiguration(response.parameters[0]) == ResetResponse(1, ResetResult.PERFORMED)
    receive(Data(7, 2, 12, 0, 53, b"x"))
    assert link.a.counters["invalid_stream"] == 1
