"""Rooms that aiortc forwards in, as one process: what Python had before.

    python -m benchmarks.aiortc_server HOST PORT

aiortc has no forwarding of its own. What it decrypts is sent on here through its internals: the SSRC is replaced, then
its DTLS transport seals and sends, packet by packet. ``POST /publish`` and ``POST /subscribe`` take an offer and give
an answer.
"""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aioice.ice
from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

SSRC = slice(8, 12)
aioice.ice.CONSENT_FAILURES = 1 << 30
"""Between runs nobody reads the receivers' sockets, so that checks of their consent stay unanswered."""

Sink = Callable[[bytes], Any]
"""Sends one clear packet to one receiver."""


class Silent(MediaStreamTrack):
    """A track that gives no picture: packets come from elsewhere."""

    kind = "video"

    async def recv(self) -> Any:
        """Never."""
        await asyncio.get_running_loop().create_future()


@dataclass
class Feed:
    """One publisher's stream and who gets it."""

    sinks: list[Sink]


class Forwarder:
    """All rooms."""

    def __init__(self) -> None:
        self._rooms: dict[str, list[Feed]] = defaultdict(list)
        self._connections: list[RTCPeerConnection] = []

    async def _answer(self, connection: RTCPeerConnection) -> str:
        await connection.setLocalDescription(await connection.createAnswer())
        return connection.localDescription.sdp

    def _connection(self) -> RTCPeerConnection:
        self._connections.append(RTCPeerConnection(RTCConfiguration(iceServers=[])))
        return self._connections[-1]

    async def publish(self, request: web.Request) -> web.Response:
        """One publisher of one stream. Query: room."""
        connection, feed = self._connection(), Feed([])
        await connection.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        answer = await self._answer(connection)
        transport: Any = connection.getReceivers()[0].transport

        async def forward(data: bytes, arrival_time_ms: int) -> None:
            # In place of jitter buffer and decoder.
            for sink in feed.sinks:
                await sink(data)

        transport._handle_rtp_data = forward
        self._rooms[request.query["room"]].append(feed)
        return web.Response(text=answer)

    async def subscribe(self, request: web.Request) -> web.Response:
        """One receiver of the first so many streams of a room. Query: room, and of whom it wants none: but."""
        connection = self._connection()
        await connection.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        own = int(request.query.get("but", -1))
        feeds = [feed for number, feed in enumerate(self._rooms[request.query["room"]]) if number != own]
        for transceiver in connection.getTransceivers():
            transceiver.sender.replaceTrack(Silent())
            transceiver.direction = "sendonly"
        answer = await self._answer(connection)
        for feed, transceiver in zip(feeds, connection.getTransceivers(), strict=True):
            feed.sinks.append(self._sink(transceiver.sender))
        return web.Response(text=answer)

    def _sink(self, sender: Any) -> Sink:
        ssrc, transport = sender._ssrc.to_bytes(4, "big"), sender.transport

        async def send(packet: bytes) -> None:
            if transport.state == "connected":
                await transport._send_rtp(packet[: SSRC.start] + ssrc + packet[SSRC.stop :])

        return send

    async def health(self, _: web.Request) -> web.Response:
        """That it runs."""
        return web.Response(text="OK")


def main() -> None:
    """Until it is stopped."""
    forwarder, application = Forwarder(), web.Application()
    application.add_routes(
        [
            web.get("/", forwarder.health),
            web.post("/publish", forwarder.publish),
            web.post("/subscribe", forwarder.subscribe),
        ]
    )
    web.run_app(application, host=sys.argv[1], port=int(sys.argv[2]), print=lambda *_: None)


if __name__ == "__main__":
    main()
