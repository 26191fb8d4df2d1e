"""aiortc calls the echo example: another stack's ICE, DTLS, SRTP and RTP against ours, media checked as media."""

import asyncio
from typing import Any

import aiohttp
import aioice.ice
import aiortc.rtcdtlstransport
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from tests.browser.server import running_example
from tests.interop.media import PictureTrack, ToneTrack, frequency_of, left_channel, quarters_of, shows_the_picture

pytestmark = [pytest.mark.interop, pytest.mark.timeout(90)]

TONE = 620.0
PROFILES = {
    "AES-128-GCM": aiortc.rtcdtlstransport.SRTP_AEAD_AES_128_GCM,
    "AES-256-GCM": aiortc.rtcdtlstransport.SRTP_AEAD_AES_256_GCM,
    "AES-CM": aiortc.rtcdtlstransport.SRTP_AES128_CM_SHA1_80,
}


async def first_picture(track: MediaStreamTrack) -> None:
    """Wait until the track shows what was sent; the message of a failure is what it showed instead."""
    shown: Any = "nothing"
    try:
        async with asyncio.timeout(20):
            while True:
                frame: Any = await track.recv()
                if shows_the_picture(frame):
                    return
                shown = quarters_of(frame)
    except (TimeoutError, MediaStreamError) as error:
        raise AssertionError(f"the picture did not come back, last seen: {shown}") from error


async def first_tone(track: MediaStreamTrack) -> None:
    """Wait until half a second of the track is the tone that was sent."""
    heard = np.zeros(0, np.int16)
    loudest = 0.0
    try:
        async with asyncio.timeout(20):
            while True:
                frame: Any = await track.recv()
                heard = np.concatenate([heard, left_channel(frame)])[-24_000:]
                if len(heard) == 24_000 and np.abs(heard).max() > 1000:
                    loudest = frequency_of(heard)
                    if abs(loudest - TONE) < 5:
                        return
    except (TimeoutError, MediaStreamError) as error:
        raise AssertionError(f"the tone did not come back, loudest: {loudest} Hz") from error


async def exchange(url: str, offer: str) -> str:
    """The answer to an offer that was posted."""
    async with aiohttp.ClientSession() as session, session.post(f"{url}/offer", data=offer) as response:
        assert response.status == 200, await response.text()
        return await response.text()


@pytest.mark.parametrize(
    ("setup", "profile", "codec"),
    [
        ("actpass", "AES-128-GCM", "VP8"),
        ("actpass", "AES-CM", "VP8"),
        ("passive", "AES-128-GCM", "VP8"),
        ("passive", "AES-CM", "VP8"),
        ("actpass", "AES-256-GCM", "H264"),
    ],
)
async def test_aiortc_sees_and_hears_itself(
    monkeypatch: pytest.MonkeyPatch, setup: str, profile: str, codec: str
) -> None:
    # aioice leaves loopback out, and a private network has nothing else.
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    monkeypatch.setattr(aiortc.rtcdtlstransport, "SRTP_PROFILES", [PROFILES[profile]])
    received: dict[str, MediaStreamTrack] = {}
    async with running_example("echo") as url:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.on("track", lambda track: received.setdefault(track.kind, track))
        try:
            connection.addTrack(ToneTrack(TONE))
            video = connection.addTrack(PictureTrack())
            [transceiver] = [t for t in connection.getTransceivers() if t.sender is video]
            capabilities = RTCRtpSender.getCapabilities("video").codecs
            transceiver.setCodecPreferences([c for c in capabilities if c.name in (codec, "rtx")])
            await connection.setLocalDescription(await connection.createOffer())
            offer = connection.localDescription.sdp
            assert "a=setup:actpass" in offer
            answer = await exchange(url, offer.replace("a=setup:actpass", f"a=setup:{setup}"))
            # RFC 8842 section 5.3: whoever answers passive waits for the other's ClientHello.
            assert ("a=setup:active" if setup == "passive" else "a=setup:passive") in answer
            assert f" {codec}/90000" in answer
            await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            await asyncio.gather(first_picture(received["video"]), first_tone(received["audio"]))
            transport = video.transport
            assert transport._role == ("server" if setup == "passive" else "client")
            assert connection.connectionState == "connected"
        finally:
            await connection.close()
