"""Dialling out: one plane's peer connects to another plane's, and media pass through both."""

import asyncio
import contextlib

import pytest
from benchmarks.clients import ScriptedClient, video_section

from visiomedia.errors import NegotiationError
from visiomedia.peer import Peer, dial
from visiomedia.plane import Plane
from visiomedia.routing.router import Track
from visiomedia.rtp.extensions import serialize_extensions, serialize_mid
from visiomedia.rtp.packet import RtpPacket

VP8_KEY_FRAME = bytes.fromhex("10 50 00 00 9d 01 2a 40 01 b4 00") + b"dialled"
PROFILE, MID = serialize_extensions([(4, serialize_mid("0"))])


async def publishing(client: ScriptedClient) -> None:
    """Key frames, until it is cancelled."""
    number = 0
    while True:
        number += 1
        packet = RtpPacket(96, number, 3000 * number, 7, VP8_KEY_FRAME, True, (), PROFILE, MID)
        client.send_rtp(packet.serialize())
        await asyncio.sleep(0.02)


async def published(peer: Peer, client: ScriptedClient) -> Track:
    """What a client publishes on a peer."""

    def exchange(offer: str) -> str:
        peer.receive_offer(offer)
        return peer.answer()

    await client.connect(exchange)
    [track] = peer.tracks
    return track


async def watch(peer: Peer, track: Track, client: ScriptedClient) -> None:
    """Let a client watch a track."""

    def exchange(offer: str) -> str:
        [section] = peer.receive_offer(offer)
        section.send(track)
        return peer.answer()

    await client.connect(exchange)


async def test_a_track_is_sent_to_another_plane_and_watched_there() -> None:
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    camera = ScriptedClient([video_section("sendonly")])
    watcher = ScriptedClient([video_section("recvonly")], on_rtp=arrived.put_nowait)
    async with (
        Plane(["127.0.0.1"], 0) as near,
        Plane(["127.0.0.1"], 0) as far,
        Peer(near) as origin,
        Peer(far) as called,
        Peer(far) as watching,
    ):

        async def exchange(offer: str) -> str:
            assert "a=ice-lite" not in offer
            called.receive_offer(offer)
            return called.answer()

        track = await published(origin, camera)
        sending = asyncio.ensure_future(publishing(camera))
        async with dial(near, exchange, send=[track]) as dialled:
            assert dialled.connected.done()
            [forwarded] = called.tracks
            await watch(watching, forwarded, watcher)
            packet = RtpPacket.parse(await asyncio.wait_for(arrived.get(), 10))
            assert packet.payload == VP8_KEY_FRAME
        assert await asyncio.wait_for(called.closed, 10)
        sending.cancel()
        camera.close()
        watcher.close()


async def test_what_is_asked_for_is_received() -> None:
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    camera = ScriptedClient([video_section("sendonly")])
    watcher = ScriptedClient([video_section("recvonly")], on_rtp=arrived.put_nowait)
    async with (
        Plane(["127.0.0.1"], 0) as near,
        Plane(["127.0.0.1"], 0) as far,
        Peer(far) as origin,
        Peer(far) as called,
        Peer(near) as watching,
    ):
        track = await published(origin, camera)
        sending = asyncio.ensure_future(publishing(camera))

        async def exchange(offer: str) -> str:
            [section] = called.receive_offer(offer)
            section.send(track)
            return called.answer()

        async with dial(near, exchange, receive=["video"]) as dialled:
            [received] = dialled.tracks
            await watch(watching, received, watcher)
            assert RtpPacket.parse(await asyncio.wait_for(arrived.get(), 10)).payload == VP8_KEY_FRAME
        sending.cancel()
        camera.close()
        watcher.close()


async def test_nobody_there_is_an_error_of_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.stun.RETRY_MAX", 1)
    async with Plane(["127.0.0.1"], 0) as near, Plane(["127.0.0.1"], 0) as far:

        async def exchange(offer: str) -> str:
            async with Peer(far) as called:
                called.receive_offer(offer)
                return called.answer()

        with pytest.raises(ConnectionError, match="ICE"):
            async with asyncio.timeout(20), dial(near, exchange, receive=["audio"]):
                pass


async def test_silence_ends_a_dialled_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.CONSENT_INTERVAL", 0.05)
    monkeypatch.setattr("aioice.ice.CONSENT_FAILURES", 2)
    async with Plane(["127.0.0.1"], 0) as near:
        far = Plane(["127.0.0.1"], 0)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(far)
            called = Peer(far)

            async def exchange(offer: str) -> str:
                called.receive_offer(offer)
                return called.answer()

            async with dial(near, exchange, receive=["audio"]) as dialled:
                await far.close()  # without a word
                assert "consent" in await asyncio.wait_for(asyncio.shield(dialled.closed), 20)


async def test_an_answer_that_does_not_fit_leaves_nothing_behind() -> None:
    async with Plane(["127.0.0.1"], 0) as near:

        async def exchange(offer: str) -> str:
            return offer.replace("a=setup:actpass", "a=setup:holdconn")

        with pytest.raises((NegotiationError, ValueError)):
            async with dial(near, exchange, receive=["audio"]):
                pass
