"""Our associations with aiortc's RTCSctpTransport, in one process, over a DTLS transport that is none."""

import asyncio
import random
from collections.abc import Callable
from typing import Any, cast

import pytest
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from tests.sctp.link import A_ADDRESS
from visiomedia.sctp import (
    Association,
    AssociationClosed,
    AssociationEvent,
    AssociationState,
    ChannelState,
    DataChannelClosed,
    DataChannelOpened,
    MessageReceived,
)

pytestmark = pytest.mark.interop


class Dtls:
    """What RTCSctpTransport wants of a DTLS transport: somewhere to send data, and someone to get it from."""

    state = "connected"

    def __init__(self, role: str, deliver: Callable[[bytes], None]) -> None:
        self._role = role
        self._deliver = deliver
        self.receiver: RTCSctpTransport | None = None

    def _register_data_receiver(self, receiver: RTCSctpTransport) -> None:
        self.receiver = receiver

    def _unregister_data_receiver(self, receiver: RTCSctpTransport) -> None:
        self.receiver = None

    async def _send_data(self, data: bytes) -> None:
        self._deliver(data)


class Meeting:
    """Our association, aiortc's transport, and the wire between them. ``loss``: of 1, both ways."""

    def __init__(self, *, we_are_client: bool, seed: int = 1) -> None:
        self.loop = asyncio.get_running_loop()
        self.loss = 0.0
        self.events: list[AssociationEvent] = []
        self._rng = random.Random(seed)
        self._timer: asyncio.TimerHandle | None = None
        self._to_them: asyncio.Queue[bytes] = asyncio.Queue()
        self._arrived = asyncio.Event()
        self.ours = Association(is_client=we_are_client, remote_maximum_message=262_144)
        self.dtls = Dtls("server" if we_are_client else "client", self.from_them)
        self.theirs = RTCSctpTransport(cast(Any, self.dtls))
        self.opened: list[RTCDataChannel] = []
        self.received: list[str | bytes] = []
        self.theirs.on("datachannel", self.accept)

    def accept(self, channel: RTCDataChannel) -> None:
        self.opened.append(channel)
        channel.on("message", self.received.append)

    def open_theirs(self, **parameters: Any) -> RTCDataChannel:
        channel = RTCDataChannel(self.theirs, RTCDataChannelParameters(**parameters))
        channel.on("message", self.received.append)
        return channel

    def from_them(self, data: bytes) -> None:
        if self._rng.random() >= self.loss:
            self.ours.receive_datagram(data, A_ADDRESS, self.loop.time())
            self.drain()

    def drain(self) -> None:
        for datagram in self.ours.datagrams_to_send():
            if self._rng.random() >= self.loss:
                self._to_them.put_nowait(datagram.data)
        self.events += self.ours.events()
        self._arrived.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        timeout = self.ours.next_timeout()
        if timeout is not None:
            self._timer = self.loop.call_at(timeout, self._time_out)

    def _time_out(self) -> None:
        self.ours.handle_timeout(self.loop.time())
        self.drain()

    async def _pump(self) -> None:
        while True:
            data = await self._to_them.get()
            if self.dtls.receiver is not None:
                await cast(Any, self.dtls.receiver)._handle_data(data)
                # What it made of the data may wait for a task of its own.
                await asyncio.sleep(0)
                self._arrived.set()

    async def __aenter__(self) -> "Meeting":
        self._pumping = asyncio.create_task(self._pump())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.theirs.stop()
        self._pumping.cancel()
        if self._timer is not None:
            self._timer.cancel()

    async def until(self, is_so: Callable[[], bool], seconds: float = 20) -> None:
        """Wait until it is so, looking whenever something has arrived on either side."""
        async with asyncio.timeout(seconds):
            while not is_so():
                self._arrived.clear()
                await self._arrived.wait()

    async def start(self, *, we_begin: bool = True, they_begin: bool = True) -> None:
        """Whoever begins sends an INIT; aiortc always does when started."""
        if we_begin:
            self.ours.associate(A_ADDRESS, self.loop.time())
        if they_begin:
            await self.theirs.start(RTCSctpCapabilities(maxMessageSize=262_144), 5000)
        self.drain()
        await self.until(lambda: self.ours.state is AssociationState.ESTABLISHED and self.theirs.state == "connected")

    def messages(self) -> list[bytes | str]:
        found = [event for event in self.events if isinstance(event, MessageReceived)]
        return [event.data.decode() if event.is_text else event.data for event in found]


both_roles = pytest.mark.parametrize("we_are_client", [True, False])


@both_roles
@pytest.mark.parametrize("we_begin", [True, False])
async def test_set_up_and_channels_of_both_sides(we_are_client: bool, we_begin: bool) -> None:
    async with Meeting(we_are_client=we_are_client) as meeting:
        await meeting.start(we_begin=we_begin)
        channel = meeting.ours.open_channel("ours", meeting.loop.time(), protocol="p")
        theirs = meeting.open_theirs(label="theirs", protocol="q", ordered=False)
        for message in ("text", b"bytes", "", b"", "é" * 3000):
            meeting.ours.send(channel, message, meeting.loop.time())
        meeting.drain()
        await meeting.until(lambda: theirs.readyState == "open" and len(meeting.received) == 5)
        [seen] = meeting.opened
        assert (seen.label, seen.protocol, seen.ordered) == ("ours", "p", True)
        assert meeting.received == ["text", b"bytes", "", b"", "é" * 3000]
        opened = [event for event in meeting.events if isinstance(event, DataChannelOpened)]
        assert DataChannelOpened(channel, "ours", "p", True, None, None, 256, False) in opened
        [of_theirs] = [event for event in opened if event.is_by_peer]
        assert (of_theirs.label, of_theirs.protocol, of_theirs.ordered) == ("theirs", "q", False)
        assert of_theirs.channel_id % 2 == (1 if we_are_client else 0)
        for message in ("text", b"bytes", "", b""):
            theirs.send(message)
            seen.send(message)
        await meeting.until(lambda: len(meeting.messages()) == 8)
        assert set(meeting.messages()) == {"text", b"bytes", "", b""}


@both_roles
@pytest.mark.parametrize("loss", [0.0, 0.02])
async def test_large_messages_both_ways(we_are_client: bool, loss: float) -> None:
    async with Meeting(we_are_client=we_are_client) as meeting:
        await meeting.start()
        channel = meeting.ours.open_channel("large", meeting.loop.time())
        meeting.drain()
        await meeting.until(lambda: bool(meeting.opened))
        meeting.loss = loss
        large = random.Random(1).randbytes(262_144)
        meeting.ours.send(channel, large, meeting.loop.time())
        meeting.opened[0].send(large[::-1])
        meeting.drain()
        await meeting.until(lambda: bool(meeting.received and meeting.messages()), 50)
        assert meeting.received == [large]
        assert meeting.messages() == [large[::-1]]


@both_roles
async def test_small_messages_over_a_lossy_wire(we_are_client: bool) -> None:
    async with Meeting(we_are_client=we_are_client) as meeting:
        await meeting.start()
        channel = meeting.ours.open_channel("small", meeting.loop.time())
        meeting.drain()
        await meeting.until(lambda: bool(meeting.opened))
        meeting.loss = 0.03
        sent = [str(number) for number in range(1000)]
        for message in sent:
            meeting.ours.send(channel, message, meeting.loop.time())
            meeting.opened[0].send(message)
        meeting.drain()
        await meeting.until(lambda: len(meeting.received) == len(meeting.messages()) == 1000, 50)
        assert meeting.received == meeting.messages() == sent


@both_roles
@pytest.mark.parametrize("policy", [{"maxRetransmits": 0}, {"maxPacketLifeTime": 30}])
async def test_partially_reliable_channels(we_are_client: bool, policy: dict[str, int]) -> None:
    async with Meeting(we_are_client=we_are_client, seed=3) as meeting:
        await meeting.start()
        channel = meeting.ours.open_channel(
            "lossy",
            meeting.loop.time(),
            max_retransmits=policy.get("maxRetransmits"),
            max_packet_life_time=policy.get("maxPacketLifeTime"),
        )
        theirs = meeting.open_theirs(label="lossy", **policy)
        meeting.drain()
        await meeting.until(lambda: theirs.readyState == "open" and bool(meeting.opened))
        of_theirs = [event for event in meeting.events if isinstance(event, DataChannelOpened) and event.is_by_peer]
        assert of_theirs[0].max_retransmits == policy.get("maxRetransmits")
        assert of_theirs[0].max_packet_life_time == policy.get("maxPacketLifeTime")
        meeting.loss = 0.2
        for number in range(200):
            meeting.ours.send(channel, str(number), meeting.loop.time())
            theirs.send(str(number))
            meeting.drain()
            await asyncio.sleep(0.002)
        meeting.loss = 0.0
        # What is sent while the loss is made good may be late, and given up too.
        while "last" not in meeting.received or "last" not in meeting.messages():
            meeting.ours.send(channel, "last", meeting.loop.time())
            theirs.send("last")
            meeting.drain()
            await asyncio.sleep(0.02)
        for got in (meeting.received, meeting.messages()):
            numbers = [int(cast(str, message)) for message in got if message != "last"]
            assert numbers == sorted(set(numbers))
            assert 50 < len(numbers) < 200


@both_roles
@pytest.mark.parametrize("we_close", [True, False])
async def test_channels_close_and_their_ids_are_used_again(we_are_client: bool, we_close: bool) -> None:
    async with Meeting(we_are_client=we_are_client) as meeting:
        await meeting.start()
        for generation in range(3):
            channel = meeting.ours.open_channel(f"{generation}", meeting.loop.time())
            assert channel == (0 if we_are_client else 1)
            meeting.ours.send(channel, f"{generation}", meeting.loop.time())
            meeting.drain()
            await meeting.until(lambda wanted=generation + 1: len(meeting.received) == wanted)  # type: ignore[misc]
            seen = meeting.opened[-1]
            if we_close:
                meeting.ours.close_channel(channel, meeting.loop.time())
                meeting.drain()
            else:
                seen.close()
            await meeting.until(lambda seen=seen: seen.readyState == "closed")  # type: ignore[misc]  # bound early
            await meeting.until(lambda channel=channel: meeting.ours.channel_state(channel) is None)  # type: ignore[misc]
        assert meeting.received == ["0", "1", "2"]
        assert sum(isinstance(event, DataChannelClosed) for event in meeting.events) == 3


async def test_negotiated_channels() -> None:
    async with Meeting(we_are_client=True) as meeting:
        theirs = meeting.open_theirs(label="n", negotiated=True, id=10)
        assert meeting.ours.open_channel("n", meeting.loop.time(), channel_id=10, is_negotiated=True) == 10
        await meeting.start()
        assert meeting.ours.channel_state(10) is ChannelState.OPEN
        meeting.ours.send(10, "hello", meeting.loop.time())
        theirs.send("world")
        meeting.drain()
        await meeting.until(lambda: meeting.received == ["hello"] and meeting.messages() == ["world"])


@pytest.mark.parametrize("how", ["abort", "shutdown", "they abort"])
async def test_ends(how: str) -> None:
    async with Meeting(we_are_client=True) as meeting:
        await meeting.start()
        if how == "abort":
            meeting.ours.abort(meeting.loop.time())
        elif how == "shutdown":
            meeting.ours.shutdown(meeting.loop.time())
        else:
            await meeting.theirs.stop()
        meeting.drain()
        await meeting.until(lambda: meeting.theirs.state == "closed" and bool(meeting.events[1:]))
        reasons = {"abort": "aborted", "shutdown": "shut down", "they abort": "aborted by the peer"}
        assert meeting.events[-1] == AssociationClosed(reasons[how])
