"""A client of the node: LiveKit's signalling by websocket, and two peer connections over real sockets.

It costs a hundredth of an SDK, so that fifty fit into one process, and it does what no SDK can be made to do.
"""

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Self, TypeVar

import aiohttp
from benchmarks.clients import ScriptedClient, audio_section, data_section
from livekit.protocol import models, rtc

from tests.node.process import KEY, SECRET
from visiomedia.clock import Clock
from visiomedia.livekit.tokens import sign
from visiomedia.peer.data_channel import DataChannel, DataChannels
from visiomedia.rtp.packet import RtpPacket

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds for any answer: the machine may be busy."""

CHANNELS = {"_reliable": None, "_lossy": 0}
"""Retransmissions of each; None is as many as it takes."""

AUDIO = 111
AUDIO_INTERVAL = 0.02
SSRC = 0xA0D10


def token(identity: str, room: str = "r1", *, key: str = KEY, secret: str = SECRET, **claims: Any) -> str:
    """One that lets in, but for what ``claims`` change."""
    now = int(time.time())
    video = {"roomJoin": True, "room": room}
    return sign({"iss": key, "sub": identity, "nbf": now, "exp": now + 600, "video": video} | claims, secret)


def answer_to(offer: str, client: ScriptedClient) -> str:
    """A client's answer that takes everything: the offer's own lines, but for the transport and the directions."""
    assert ScriptedClient.certificate is not None, "made with the first client"
    ours = [
        f"a=ice-ufrag:{client.local.ufrag}",
        f"a=ice-pwd:{client.local.password}",
        f"a=fingerprint:{ScriptedClient.certificate.fingerprint.serialize()}",
        "a=setup:active",
    ]
    session, *sections = re.split(r"(?m)^(?=m=)", offer)
    lines = [line for line in session.splitlines() if not re.match("a=(ice|fingerprint|setup)", line)]
    for section in sections:
        dropped = "a=(ice|fingerprint|setup|candidate|end-of|ssrc|msid|send|recv)"
        lines += [line for line in section.splitlines() if not re.match(dropped, line)]
        lines += ours
        if not section.startswith("m=application"):
            lines.append("a=recvonly" if re.search(r"(?m)^a=send", section) else "a=inactive")
    return "\r\n".join(lines) + "\r\n"


class DataLink:
    """The data channels of one peer connection."""

    def __init__(self, on_data: Callable[[str, bytes], None]) -> None:
        self._on_data = on_data
        self.channels: dict[str, DataChannel] = {}
        self._all = DataChannels(Clock(), self._accept)

    def open(self) -> None:
        """Channels of our own making."""
        for label, retransmits in CHANNELS.items():
            channel = self._all.create(label, ordered=retransmits is None, max_retransmits=retransmits)
            self._accept(channel)

    def _accept(self, channel: DataChannel) -> None:
        self.channels[channel.label] = channel
        channel.on_message = lambda data: self._on_data(channel.label, data if isinstance(data, bytes) else b"")

    @property
    def is_open(self) -> bool:
        """Whether all of them are."""
        return all(label in self.channels and self.channels[label].is_open for label in CHANNELS)

    def start(self, client: ScriptedClient) -> None:
        """DTLS is connected: we are its client."""
        self._all.negotiated(client, is_client=True, remote_port=5000, peer_takes=262_144)
        self._all.start()

    def receive(self, packet: bytes) -> None:
        """One SCTP packet."""
        self._all.receive(packet)

    def close(self) -> None:
        """End."""
        self._all.close()


class NodeClient:
    """One participant. ``join``, ``publish``, ``leave``; ``async with`` joins and leaves."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        identity: str,
        room: str = "r1",
        *,
        relays: tuple[int, int] | None = None,
        opens_one_in: int = 1,
    ) -> None:
        """Args:
        relays: UDP ports that lead to the node, of what the client publishes and what it receives.
        opens_one_in: of the packets of media that come.
        """
        self.identity, self.room = identity, room
        self.socket: aiohttp.ClientWebSocketResponse | None = None
        self.heard: Counter[str] = Counter()
        """Messages of the node, by kind."""
        self.others: dict[str, models.ParticipantInfo] = {}
        self.left: asyncio.Future[rtc.LeaveRequest] = asyncio.get_running_loop().create_future()
        """Done when the node says so."""
        self.received: list[models.DataPacket] = []
        self.audio: dict[int, list[int]] = {}
        """Sequence numbers that came, by SSRC."""
        self.sent_audio = 0
        self.on_data: Callable[[models.DataPacket], None] = self.received.append
        self._session = session
        self._relays = relays
        self._joined: asyncio.Future[rtc.JoinResponse] = asyncio.get_running_loop().create_future()
        self._answered: asyncio.Future[str] | None = None
        self._published: asyncio.Future[models.TrackInfo] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.data_up = DataLink(self._receive_data)
        self.data_down = DataLink(self._receive_data)
        self.publisher = ScriptedClient(
            [data_section(), audio_section("sendonly")], on_application_data=self.data_up.receive
        )
        self.subscriber = ScriptedClient(
            [], on_rtp=self._receive_rtp, opens_one_in=opens_one_in, on_application_data=self.data_down.receive
        )

    # --- coming and going ---------------------------------------------------------------------------------------

    async def open(self, **query: str) -> None:
        """The websocket."""
        parameters = {"access_token": token(self.identity, self.room), "protocol": "17", "auto_subscribe": "1"}
        self.socket = await self._session.ws_connect("/rtc", params=parameters | query, max_msg_size=0)
        self._reader = asyncio.create_task(self._read())

    async def join(self) -> rtc.JoinResponse:
        """In the room, with both peer connections and their data channels."""
        await self.publisher.open()
        await self.subscriber.open()
        await self.open()
        welcome = await self._wait(self._joined)
        await self.say(offer=rtc.SessionDescription(type="offer", sdp=self.publisher.offer(), id=1))
        self._answered = asyncio.get_running_loop().create_future()
        self.publisher.accept(await self._wait(self._answered), port=self._relays[0] if self._relays else None)
        self.data_up.open()
        for client, data in ((self.publisher, self.data_up), (self.subscriber, self.data_down)):
            await self._wait(client.connected)
            data.start(client)
        return welcome

    async def until_data_flows(self) -> None:
        """Wait for the channels of both directions."""
        for _ in range(round(PATIENCE / 0.01)):
            if all(link.is_open for link in (self.data_up, self.data_down)):
                return
            await asyncio.sleep(0.01)
        raise TimeoutError("data channels did not open")

    async def publish(self) -> models.TrackInfo:
        """A microphone; its packets are sent until the end."""
        self._published = asyncio.get_running_loop().create_future()
        await self.say(
            add_track=rtc.AddTrackRequest(
                cid="mic", name="mic", type=models.TrackType.AUDIO, source=models.TrackSource.MICROPHONE
            )
        )
        info = await self._wait(self._published)
        self._tasks.append(asyncio.create_task(self._speak()))
        return info

    async def leave(self) -> None:
        """Say so, and wait for the node's goodbye."""
        await self.say(leave=rtc.LeaveRequest(reason=models.DisconnectReason.CLIENT_INITIATED))
        await self._wait(self.left)
        await self.close()

    async def close(self) -> None:
        """End without a word where none was said."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for each in (self.data_up, self.data_down, self.publisher, self.subscriber):
            each.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self.socket is not None:
            await self.socket.close()

    async def __aenter__(self) -> Self:
        try:
            await self.join()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                await self.leave()
        finally:
            await self.close()

    # --- signalling ----------------------------------------------------------------------------------------------

    async def say(self, **message: Any) -> None:
        """Send one request."""
        assert self.socket is not None, "open first"
        await self.socket.send_bytes(rtc.SignalRequest(**message).SerializeToString())

    async def _wait(self, future: "asyncio.Future[T]") -> T:
        return await asyncio.wait_for(asyncio.shield(future), PATIENCE)

    async def _read(self) -> None:
        assert self.socket is not None, "open first"
        async for frame in self.socket:
            if frame.type is aiohttp.WSMsgType.BINARY:
                await self._handle(rtc.SignalResponse.FromString(frame.data))

    async def _handle(self, message: rtc.SignalResponse) -> None:
        kind = message.WhichOneof("message") or ""
        self.heard[kind] += 1
        match kind:
            case "join":
                self.others |= {each.identity: each for each in message.join.other_participants}
                self._joined.set_result(message.join)
            case "offer":
                await self._answer(message.offer)
            case "answer":
                if self._answered is not None and not self._answered.done():
                    self._answered.set_result(message.answer.sdp)
            case "track_published":
                if self._published is not None and not self._published.done():
                    self._published.set_result(message.track_published.track)
            case "update":
                self.others |= {each.identity: each for each in message.update.participants}
            case "leave":
                if not self.left.done():
                    self.left.set_result(message.leave)

    async def _answer(self, offer: rtc.SessionDescription) -> None:
        answer = answer_to(offer.sdp, self.subscriber)
        await self.say(answer=rtc.SessionDescription(type="answer", sdp=answer, id=offer.id))
        if self.subscriber.answer is None:
            self.subscriber.accept(offer.sdp, port=self._relays[1] if self._relays else None)

    # --- media and data ------------------------------------------------------------------------------------------

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        while True:
            packet = RtpPacket(
                payload_type=AUDIO,
                sequence_number=self.sent_audio & 0xFFFF,
                timestamp=self.sent_audio * 960 & 0xFFFFFFFF,
                ssrc=SSRC,
                payload=bytes(80),
            )
            self.publisher.send_rtp(packet.serialize())
            self.sent_audio += 1
            await asyncio.sleep(max(0.0, start + self.sent_audio * AUDIO_INTERVAL - loop.time()))

    def _receive_rtp(self, clear: bytes) -> None:
        packet = RtpPacket.parse(clear)
        self.audio.setdefault(packet.ssrc, []).append(packet.sequence_number)

    def send(self, payload: bytes, *, label: str = "_reliable", to: tuple[str, ...] = ()) -> None:
        """A data packet for the others."""
        packet = models.DataPacket(user=models.UserPacket(payload=payload), destination_identities=to)
        self.data_up.channels[label].send(packet.SerializeToString())

    def _receive_data(self, label: str, data: bytes) -> None:
        self.on_data(models.DataPacket.FromString(data))
