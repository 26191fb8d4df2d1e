"""A participant of Janus's videoroom over its websocket API, as cheap as a benchmark needs."""

import asyncio
import re
import secrets
from typing import Any

import aiohttp

from benchmarks.clients import OfferedSection, ScriptedClient
from benchmarks.livekit_client import answer_to
from benchmarks.network import ADDRESS
from visiomedia.srtp.profiles import PREFERENCE, ProtectionProfile

PATIENCE = 30.0
NO_SUCH_FEED = 428
"""Videoroom's word while a publisher's media do not flow yet."""


class JanusSession:
    """One websocket and one session, which all participants of a run share."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._http, self._url = session, url
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._asked: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._id = 0

    async def open(self) -> None:
        """Connect."""
        self._socket = await self._http.ws_connect(self._url, protocols=("janus-protocol",), max_msg_size=0)
        self._reader = asyncio.create_task(self._read())
        self._id = (await self.ask(janus="create"))["data"]["id"]

    async def attach(self) -> int:
        """A new handle of the videoroom."""
        reply = await self.ask(janus="attach", plugin="janus.plugin.videoroom")
        return int(reply["data"]["id"])

    async def request(
        self, handle: int, body: dict[str, Any], jsep: dict[str, str] | None = None, *, allowed: int = 0
    ) -> dict[str, Any]:
        """Ask a handle; returns the plugin's reply whole. Raises: RuntimeError, with Janus's own words, but for the
        error ``allowed``."""
        message: dict[str, Any] = {"janus": "message", "handle_id": handle, "body": body}
        if jsep is not None:
            message["jsep"] = jsep
        reply = await self.ask(**message)
        data = reply.get("plugindata", {}).get("data", {})
        if "error" in data and data["error_code"] != allowed:
            raise RuntimeError(f"janus: {data['error']}")
        return reply

    async def ask(self, **message: Any) -> dict[str, Any]:
        """One message and its reply; for what a plugin works on, the event that follows."""
        assert self._socket is not None, "open first"
        transaction = secrets.token_hex(8)
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[transaction] = future
        session = {"session_id": self._id} if self._id else {}
        await self._socket.send_json({**message, **session, "transaction": transaction})
        try:
            return await asyncio.wait_for(future, PATIENCE)
        finally:
            del self._asked[transaction]

    async def _read(self) -> None:
        assert self._socket is not None, "open first"
        async for frame in self._socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                continue
            message = frame.json()
            future = self._asked.get(message.get("transaction", ""))
            if future is None or future.done() or message["janus"] == "ack":
                continue
            if message["janus"] == "error":
                future.set_exception(RuntimeError(f"janus: {message['error']}"))
            else:
                future.set_result(message)

    async def close(self) -> None:
        """End the session, and with it all handles."""
        if self._socket is not None:
            await self.ask(janus="destroy")
            await self._socket.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)


async def create_room(session: JanusSession, room: int) -> None:
    """A room that takes as many as come, without a limit of bandwidth."""
    handle = await session.attach()
    body = {"request": "create", "room": room, "publishers": 1000, "bitrate": 0, "videocodec": "vp8"}
    await session.request(handle, {**body, "audiocodec": "opus", "fir_freq": 0, "notify_joining": False})


class Participant:
    """One in a room: ``publish``, then whoever wants it ``receive``s its feed."""

    def __init__(self, session: JanusSession, room: int, *, profile: ProtectionProfile | None = None) -> None:
        self.key_frames_wanted = 0
        self.feed = 0
        self.publisher: ScriptedClient | None = None
        self.receiver: ScriptedClient | None = None
        self._session, self._room = session, room
        self._profiles = (profile,) if profile else PREFERENCE

    async def publish(self, sections: list[OfferedSection]) -> ScriptedClient:
        """Publish a stream a section, and be connected."""
        handle = await self._session.attach()
        joined = await self._session.request(handle, {"request": "join", "ptype": "publisher", "room": self._room})
        self.feed = joined["plugindata"]["data"]["id"]
        self.publisher = ScriptedClient(sections, on_rtcp=self._hear, profiles=self._profiles)
        await self.publisher.open(ADDRESS)
        offer = {"type": "offer", "sdp": self.publisher.offer(setup="active")}
        reply = await self._session.request(handle, {"request": "publish"}, offer)
        self.publisher.accept(reply["jsep"]["sdp"])
        await asyncio.wait_for(asyncio.shield(self.publisher.connected), PATIENCE)
        return self.publisher

    async def receive(self, feeds: list[int]) -> ScriptedClient:
        """Subscribe to all streams of these, by one peer connection."""
        handle = await self._session.attach()
        body = {"request": "join", "ptype": "subscriber", "room": self._room, "streams": [{"feed": f} for f in feeds]}
        async with asyncio.timeout(PATIENCE):
            reply = await self._session.request(handle, body, allowed=NO_SUCH_FEED)
            while "jsep" not in reply:
                await asyncio.sleep(0.05)
                reply = await self._session.request(handle, body, allowed=NO_SUCH_FEED)
        offered = reply["jsep"]["sdp"]
        self.receiver = ScriptedClient([], profiles=self._profiles)
        await self.receiver.open(ADDRESS)
        answer = {"type": "answer", "sdp": answer_to(offered, self.receiver)}
        await self._session.request(handle, {"request": "start"}, answer)
        self.receiver.accept(offered)
        await asyncio.wait_for(asyncio.shield(self.receiver.connected), PATIENCE)
        return self.receiver

    def _hear(self, compound: bytes) -> None:
        self.key_frames_wanted += len(re.findall(rb"[\x81\xa1]\xce", compound))

    async def close(self) -> None:
        """Let the sockets go; the session ends the handles."""
        for client in (self.publisher, self.receiver):
            if client is not None:
                client.close()
