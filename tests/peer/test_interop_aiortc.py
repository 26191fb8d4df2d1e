"""aiortc answers our offers: what we dial, its full ICE against ours, and what a lite server offers."""

import asyncio
from collections.abc import Awaitable, Callable

import aioice.ice
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from tests.interop.media import PictureTrack
from tests.interop.test_aiortc import first_picture
from visiomedia.errors import InvalidStateError
from visiomedia.peer import DataChannel, Peer, dial
from visiomedia.plane import Plane

pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]


def answering(connection: RTCPeerConnection, *, sends: bool) -> Callable[[str], Awaitable[str]]:
    """Carries an offer to an aiortc connection, which shows a picture where it ``sends``."""

    async def exchange(offer: str) -> str:
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        if sends:
            connection.addTrack(PictureTrack())
        await connection.setLocalDescription(await connection.createAnswer())
        return str(connection.localDescription.sdp)

    return exchange


async def test_a_picture_is_fetched_from_one_and_sent_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    # aioice leaves loopback out, and a private network has nothing else.
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    camera, screen = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    shown: list[MediaStreamTrack] = []
    screen.on("track", shown.append)
    try:
        async with (
            Plane(["127.0.0.1"], 0) as plane,
            dial(plane, answering(camera, sends=True), receive=["video"]) as source,
            dial(plane, answering(screen, sends=False), send=source.tracks),
        ):
            await first_picture(shown[0])
    finally:
        await camera.close()
        await screen.close()


async def test_a_lite_server_offers_adds_and_takes_a_section_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    camera, screen = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    shown: list[MediaStreamTrack] = []
    screen.on("track", shown.append)
    try:
        async with (
            Plane(["127.0.0.1"], 0) as plane,
            dial(plane, answering(camera, sends=True), receive=["video"]) as source,
            Peer(plane) as viewer,
        ):
            [track] = source.tracks
            answer = answering(screen, sends=False)
            first = viewer.add_sender(track, stream_id="PA_1", track_id="TR_1")
            assert viewer.needs_negotiation and not viewer.is_negotiating
            offer = viewer.create_offer()
            assert "a=ice-lite" in offer and "a=msid:PA_1 TR_1" in offer
            assert viewer.is_negotiating and not viewer.needs_negotiation
            early = viewer.add_sender(track)  # before the answer has come: for the next offer
            viewer.receive_answer(await answer(offer))
            assert not viewer.is_negotiating and viewer.needs_negotiation
            viewer.remove_sender(early)
            await viewer.connected
            await first_picture(shown[0])

            viewer.remove_sender(first)
            again = viewer.add_sender(track, stream_id="PA_1", track_id="TR_2")
            second = viewer.add_sender(track, stream_id="PA_2", track_id="TR_3")
            assert (again.mid, second.mid) == (first.mid, early.mid)
            assert viewer.needs_negotiation
            viewer.receive_answer(await answer(viewer.create_offer()))
            await first_picture(shown[-1])
            assert len(shown) == 2
    finally:
        await camera.close()
        await screen.close()


@pytest.mark.parametrize("setup", ["actpass", "passive"])
async def test_data_channels_of_either_side_carry_text_and_bytes_of_any_size(
    monkeypatch: pytest.MonkeyPatch, setup: str
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    messages: list[bytes | str] = ["é", b"\x00\xff", "", bytes(range(256)) * 1000, "y" * 60_000]
    theirs: asyncio.Queue[bytes | str] = asyncio.Queue()
    ours: asyncio.Queue[bytes | str] = asyncio.Queue()

    def echo(channel: DataChannel) -> None:
        assert (channel.label, channel.protocol, channel.ordered, channel.max_retransmits) == ("chat", "p", False, 3)
        channel.on_message = channel.send

    caller = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        async with Plane(["127.0.0.1"], 0) as plane, Peer(plane, on_data_channel=echo) as peer:
            chat = caller.createDataChannel("chat", ordered=False, maxRetransmits=3, protocol="p")
            chat.on("message", theirs.put_nowait)
            caller.on("datachannel", lambda channel: channel.on("message", channel.send))
            opened = asyncio.Event()
            chat.on("open", opened.set)
            await caller.setLocalDescription(await caller.createOffer())
            peer.receive_offer(caller.localDescription.sdp.replace("a=setup:actpass", f"a=setup:{setup}"))
            answer = peer.answer()
            assert "a=sctp-port:5000" in answer and "a=max-message-size:262144" in answer
            reliable = peer.create_data_channel("ours")
            reliable.on_message = ours.put_nowait
            became_open = asyncio.Event()
            reliable.on_open = became_open.set
            await caller.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            async with asyncio.timeout(20):
                await opened.wait()
                await became_open.wait()
                for message in messages[:3]:
                    chat.send(message)
                assert [await theirs.get() for _ in messages[:3]] == messages[:3]
                for message in messages:
                    reliable.send(message)
                assert [await ours.get() for _ in messages] == messages
            closed = asyncio.Event()
            reliable.on_closed = closed.set
            reliable.close()
            async with asyncio.timeout(10):
                await closed.wait()
            assert not reliable.is_open
            with pytest.raises(InvalidStateError):
                reliable.send("late")
    finally:
        await caller.close()
