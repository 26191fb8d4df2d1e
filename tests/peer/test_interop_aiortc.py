"""aiortc answers our offers: what we dial, its full ICE against ours, and what a lite server offers."""

from collections.abc import Awaitable, Callable

import aioice.ice
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from tests.interop.media import PictureTrack
from tests.interop.test_aiortc import first_picture
from visiomedia.peer import Peer, dial
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
            viewer.receive_answer(await answer(offer))
            assert not viewer.is_negotiating
            await viewer.connected
            await first_picture(shown[0])

            viewer.remove_sender(first)
            again = viewer.add_sender(track, stream_id="PA_1", track_id="TR_2")
            second = viewer.add_sender(track, stream_id="PA_2", track_id="TR_3")
            assert again.mid == first.mid != second.mid
            assert viewer.needs_negotiation
            viewer.receive_answer(await answer(viewer.create_offer()))
            await first_picture(shown[-1])
            assert len(shown) == 2
    finally:
        await camera.close()
        await screen.close()
