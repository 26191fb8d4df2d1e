"""A participant of any server that speaks LiveKit's protocol, as cheap as a benchmark needs: what it does not use of
the protocol it does not do."""

import asyncio
import json
import re
import time
from typing import Any

import aiohttp
from livekit.protocol import models, rtc

from benchmarks.clients import OfferedSection, ScriptedClient
from benchmarks.network import ADDRESS
from visiomedia.livekit.tokens import sign
from visiomedia.srtp.profiles import PREFERENCE, ProtectionProfile

KEY, SECRET = "devkey", "secret"  # --dev's
PATIENCE = 30.0

UNWANTED = "a=(ice|fingerprint|setup|candidate|end-of|ssrc|msid|send|recv)"
NO_FEEDBACK = "a=(extmap.*(transport-wide-cc|abs-send-time)|rtcp-fb.*(transport-cc|goog-remb))"
"""Receivers here send no bandwidth feedback, so they do not say that they would."""


def token(identity: str, room: str) -> str:
    """One that lets in and may do all."""
    now = int(time.time())
    grants = {"roomJoin": True, "room": room, "canPublish": True, "canSubscribe": True}
    return sign({"iss": KEY, "sub": identity, "nbf": now - 10, "exp": now + 3600, "video": grants}, SECRET)


def answer_to(offer: str, client: ScriptedClient) -> str:
    """An answer that takes all media, in the offer's own lines."""
    assert ScriptedClient.certificate is not None, "made with the first client"
    ours = [
        f"a=ice-ufrag:{client.local.ufrag}",
        f"a=ice-pwd:{client.local.password}",
        f"a=fingerprint:{ScriptedClient.certificate.fingerprint.serialize()}",
        "a=setup:active",
        f"a=candidate:1 1 udp 2130706431 {client.local_address[0]} {client.local_address[1]} typ host",
    ]
    session, *sections = re.split(r"(?m)^(?=m=)", offer)
    lines = [line for line in session.splitlines() if not re.match("a=(ice|fingerprint|setup)", line)]
    for section in sections:
        kept = [line for line in section.splitlines() if not re.match(f"{UNWANTED}|{NO_FEEDBACK}", line)]
        lines += [*kept, *ours]
        if not section.startswith("m=application"):
            lines.append("a=recvonly" if re.search(r"(?m)^a=send", section) else "a=inactive")
    return "\r\n".join(lines) + "\r\n"


class Participant:
    """One that has joined: ``join``, then ``publish`` or ``receive``."""

    def __init__(
        self, session: aiohttp.ClientSession, identity: str, room: str, *, profile: ProtectionProfile | None = None
    ) -> None:
        self.identity, self.room = identity, room
        self.publisher: ScriptedClient | None = None
        self.receiver: ScriptedClient | None = None
        self.key_frames_wanted = 0
        self._profiles = (profile,) if profile else PREFERENCE
        self._session = session
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._candidates: dict[int, asyncio.Future[str]] = {}
        self._tracks = 0
        self._subscribed = asyncio.Event()

    async def join(self) -> None:
        """Through the door."""
        parameters = {"access_token": token(self.identity, self.room), "protocol": "15", "auto_subscribe": "1"}
        self._socket = await self._session.ws_connect("/rtc", params=parameters, max_msg_size=0)
        self._reader = asyncio.create_task(self._read())
        await asyncio.wait_for(self._joined, PATIENCE)

    async def publish(self, sections: list[OfferedSection]) -> ScriptedClient:
        """Publish a track a section, and be connected; each section's ``msid`` is its track's cid."""
        self.publisher = ScriptedClient(sections, on_rtcp=self._hear, profiles=self._profiles)
        await self.publisher.open(ADDRESS)
        for section in sections:
            is_audio = section.kind == "audio"
            request = rtc.AddTrackRequest(
                cid=section.msid,
                name=section.kind,
                type=models.TrackType.AUDIO if is_audio else models.TrackType.VIDEO,
                source=models.TrackSource.MICROPHONE if is_audio else models.TrackSource.CAMERA,
                width=0 if is_audio else 1280,
                height=0 if is_audio else 720,
                disable_red=True,
            )
            await self._say(add_track=request)
        await self._say(offer=rtc.SessionDescription(type="offer", sdp=self.publisher.offer(setup="active"), id=1))
        answer = await asyncio.wait_for(self._answered, PATIENCE)
        self.publisher.accept(await self._with_candidate(answer, rtc.SignalTarget.PUBLISHER))
        await asyncio.wait_for(asyncio.shield(self.publisher.connected), PATIENCE)
        return self.publisher

    async def receive(self, tracks: int) -> ScriptedClient:
        """Be offered so many tracks, and be connected."""
        async with asyncio.timeout(PATIENCE):
            while self._tracks < tracks:
                self._subscribed.clear()
                await self._subscribed.wait()
            assert self.receiver is not None, "it was offered something"
            await asyncio.shield(self.receiver.connected)
        return self.receiver

    async def close(self) -> None:
        """Leave."""
        if self._socket is not None:
            await self._say(leave=rtc.LeaveRequest(reason=models.DisconnectReason.CLIENT_INITIATED))
            await self._socket.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        for client in (self.publisher, self.receiver):
            if client is not None:
                client.close()

    def _hear(self, compound: bytes) -> None:
        # RFC 4585 section 6.3.1: payload-specific feedback (206) of format 1 is a PLI.
        at = 0
        while at + 4 <= len(compound):
            if compound[at] & 0x1F == 1 and compound[at + 1] == 206:
                self.key_frames_wanted += 1
            at += 4 * (int.from_bytes(compound[at + 2 : at + 4], "big") + 1)

    # --- signalling -------------------------------------------------------------------------------------------

    async def _say(self, **message: Any) -> None:
        assert self._socket is not None, "join first"
        await self._socket.send_bytes(rtc.SignalRequest(**message).SerializeToString())

    async def _read(self) -> None:
        assert self._socket is not None, "join first"
        async for frame in self._socket:
            if frame.type is aiohttp.WSMsgType.BINARY:
                await self._handle(rtc.SignalResponse.FromString(frame.data))

    async def _handle(self, message: rtc.SignalResponse) -> None:
        match message.WhichOneof("message"):
            case "join":
                self._joined.set_result(None)
            case "answer" if not self._answered.done():
                self._answered.set_result(message.answer.sdp)
            case "trickle":
                self._trickle(message.trickle)
            case "offer":
                await self._answer(message.offer)

    def _trickle(self, trickle: rtc.TrickleRequest) -> None:
        candidate = json.loads(trickle.candidateInit).get("candidate", "")
        words = candidate.split()
        future = self._candidate(trickle.target)
        if len(words) > 5 and words[2].lower() == "udp" and ":" not in words[4] and not future.done():
            future.set_result(candidate)

    def _candidate(self, target: int) -> asyncio.Future[str]:
        return self._candidates.setdefault(target, asyncio.get_running_loop().create_future())

    async def _with_candidate(self, sdp: str, target: int) -> str:
        """A description that says where the server is, if it was told apart from it."""
        if re.search("(?m)^a=candidate", sdp):
            return sdp
        candidate = await asyncio.wait_for(self._candidate(target), PATIENCE)
        return sdp + f"a={candidate}\r\n"

    async def _answer(self, offer: rtc.SessionDescription) -> None:
        is_first = self.receiver is None
        if self.receiver is None:
            self.receiver = ScriptedClient([], profiles=self._profiles)
            await self.receiver.open(ADDRESS)
        answer = answer_to(offer.sdp, self.receiver)
        await self._say(answer=rtc.SessionDescription(type="answer", sdp=answer, id=offer.id))
        media = [part for part in re.split(r"(?m)^(?=m=)", offer.sdp)[1:] if not part.startswith("m=application")]
        self._tracks = sum(re.search(r"(?m)^a=send", part) is not None for part in media)
        self._subscribed.set()
        if is_first:
            asyncio.get_running_loop().create_task(self._accept(offer.sdp))  # candidates come later

    async def _accept(self, sdp: str) -> None:
        assert self.receiver is not None, "an offer made it"
        self.receiver.accept(await self._with_candidate(sdp, rtc.SignalTarget.SUBSCRIBER))
