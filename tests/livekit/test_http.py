"""The service over HTTP and websockets, as clients call it."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from livekit.protocol import models, rtc

from tests.livekit.fakes import FakePeers
from tests.livekit.scene import CAMERA, SECRET, answer_to, kind_of
from visiomedia.conference.settings import RoomSettings
from visiomedia.errors import ConfigurationError
from visiomedia.livekit.http import add_service
from visiomedia.livekit.service import LiveKitService
from visiomedia.livekit.settings import LiveKitSettings
from visiomedia.livekit.tokens import sign


def token(identity: str, **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": "key", "sub": identity, "nbf": now, "exp": now + 600, "video": {"roomJoin": True, "room": "r1"}}
    return sign(claims | changes, SECRET)


class Socket:
    """A client's websocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, **message: Any) -> None:
        await self.socket.send_bytes(rtc.SignalRequest(**message).SerializeToString())

    async def hear(self, kind: str) -> rtc.SignalResponse:
        """The next message of a kind; others are passed over."""
        while True:
            data = await self.socket.receive_bytes(timeout=10)
            message = rtc.SignalResponse.FromString(data)
            if kind_of(message) == kind:
                return message

    async def until_closed(self) -> tuple[list[str], int | None]:
        """What still comes, and how the websocket ends."""
        kinds = []
        async for message in self.socket:
            assert message.type is aiohttp.WSMsgType.BINARY
            kinds.append(kind_of(rtc.SignalResponse.FromString(message.data)))
        return kinds, self.socket.close_code


class Site:
    def __init__(self, settings: LiveKitSettings | None = None) -> None:
        self.peers = FakePeers()
        self.service = LiveKitService(self.peers, {"key": SECRET}, settings)
        app = web.Application()
        add_service(app, self.service)
        self.server = TestServer(app)
        self.client = aiohttp.ClientSession()
        self.sockets: list[Socket] = []

    async def open(self, identity: str, **query: str) -> Socket:
        parameters = {"access_token": token(identity), "protocol": "17", **query}
        self.sockets.append(Socket(await self.client.ws_connect(self.server.make_url("/rtc"), params=parameters)))
        return self.sockets[-1]

    async def join(self, identity: str) -> tuple[Socket, rtc.JoinResponse]:
        """Joined, and its media flow."""
        socket = await self.open(identity)
        welcome = await socket.hear("join")
        subscriber = self.peers.subscribers[-1]
        offer = (await socket.hear("offer")).offer
        await socket.say(answer=rtc.SessionDescription(type="answer", sdp=answer_to(offer.sdp), id=offer.id))
        await socket.say(ping=1)
        await socket.hear("pong")
        subscriber.connect()
        return socket, welcome.join

    async def get(self, path: str, **headers: str) -> tuple[int, str, Any]:
        async with self.client.get(self.server.make_url(path), headers=headers) as response:
            return response.status, await response.text(), response.headers


@pytest.fixture
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    site = Site(getattr(request, "param", None))
    await site.server.start_server()
    yield site
    for one in site.sockets:
        await one.socket.close()
    await site.client.close()
    await site.server.close()


async def test_what_is_asked_before_anything_else_is_answered(site: Site) -> None:
    assert (await site.get("/"))[:2] == (200, "OK")
    assert (await site.get("/rtc"))[:2] == (404, "")
    assert (await site.get("/settings/regions"))[0] == 404


async def test_one_peer_connection_is_said_not_to_exist(site: Site) -> None:
    for path in ("/rtc/v1", "/rtc/v1/validate"):
        status, text, _ = await site.get(f"{path}?access_token={token('alice')}")
        assert status == 404 and "requested room does not exist" not in text
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await site.client.ws_connect(site.server.make_url("/rtc/v1"), params={"access_token": token("alice")})
    assert refused.value.status == 404
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await site.open("alice", join_request="AAAA")
    assert refused.value.status == 404


@pytest.mark.parametrize(
    ("text", "status", "body"),
    [
        (token("alice"), 200, "success"),
        ("", 401, "no permissions to access the room"),
        ("abc", 401, "invalid authorization token"),
        (token("alice", iss="nokey"), 401, "invalid API key: nokey"),
        (token("alice", exp=1000), 401, "invalid token: it is expired"),
        (token("alice", video={"room": "r1"}), 401, "permissions denied"),
        (token("alice", video={"roomJoin": True}), 400, "no room name"),
        (token(""), 400, "identity cannot be empty"),
    ],
)
async def test_websocket_and_validation_refuse_alike(site: Site, text: str, status: int, body: str) -> None:
    for headers in ({"Authorization": f"Bearer {text}"}, {}):
        query = "" if headers else f"?access_token={text}"
        answered, said, response_headers = await site.get(f"/rtc/validate{query}", **headers)
        assert (answered, said) == (status, body)
        assert response_headers["Access-Control-Allow-Origin"] == "*"
    if status != 200:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await site.client.ws_connect(site.server.make_url("/rtc"), params={"access_token": text})
        assert refused.value.status == status


@pytest.mark.parametrize("site", [LiveKitSettings(auto_create=False)], indirect=True)
async def test_a_room_that_does_not_exist_is_said_in_the_words_that_clients_know(site: Site) -> None:
    answer = await site.get(f"/rtc/validate?access_token={token('alice')}")
    assert answer[:2] == (404, "requested room does not exist")


@pytest.mark.parametrize("site", [LiveKitSettings(room=RoomSettings(max_participants=1))], indirect=True)
async def test_a_full_room_refuses_and_tells_nobody(site: Site) -> None:
    alice, _ = await site.join("alice")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await site.open("bob")
    assert refused.value.status == 403
    assert (await site.get(f"/rtc/validate?access_token={token('bob')}"))[0] == 403
    again, _ = await site.join("alice")
    assert (await alice.until_closed())[0][-1:] == ["leave"]
    assert not again.socket.closed


async def test_pages_of_any_origin_may_ask(site: Site) -> None:
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET"}
    url = site.server.make_url("/rtc/validate")
    async with site.client.options(
        url, headers=asked | {"Access-Control-Request-Headers": "authorization"}
    ) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Headers"] == "authorization"
    _, _, headers = await site.get("/", Origin="https://a.example")
    assert headers["Access-Control-Allow-Origin"] == "https://a.example"


async def test_two_join_publish_and_leave(site: Site) -> None:
    alice, _ = await site.join("alice")
    bob, welcome = await site.join("bob")
    assert [other.identity for other in welcome.other_participants] == ["alice"]
    await alice.say(add_track=CAMERA)
    published = (await alice.hear("track_published")).track_published
    assert published.cid == "cam" and published.track.sid.startswith("TR_VC")
    await alice.say(leave=rtc.LeaveRequest())
    kinds, code = await alice.until_closed()
    assert kinds[-1] == "leave" and code == 1000
    gone: list[str] = []
    while not gone:
        infos = (await bob.hear("update")).update.participants
        gone = [info.identity for info in infos if info.state == models.ParticipantInfo.DISCONNECTED]
    assert gone == ["alice"]


async def test_a_goodbye_reaches_who_goes_on_speaking(site: Site) -> None:
    alice, _ = await site.join("alice")
    goodbye = rtc.SignalRequest(leave=rtc.LeaveRequest()).SerializeToString()
    more = rtc.SignalRequest(ping=2).SerializeToString()
    # One right behind the other: what follows the goodbye is there before it is answered.
    for data in (goodbye, more, more):
        await alice.socket.send_bytes(data)
    kinds, code = await alice.until_closed()
    assert kinds[-1] == "leave" and code == 1000


async def test_who_sends_text_is_answered_in_text(site: Site) -> None:
    alice = await site.open("alice")
    await alice.hear("join")
    await alice.socket.send_str('{"pingReq": {"timestamp": "1"}, "fieldOfTheFuture": 1}')
    while (message := await alice.socket.receive(timeout=10)).type is not aiohttp.WSMsgType.TEXT:
        pass
    assert message.json()["pongResp"]["lastPingTimestamp"] == "1"


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", "no JSON", "[" * 5000])
async def test_garbage_closes_one_websocket_and_is_counted(site: Site, garbage: bytes | str) -> None:
    alice, _ = await site.join("alice")
    mallory, _ = await site.join("mallory")
    if isinstance(garbage, str):
        await mallory.socket.send_str(garbage)
    else:
        await mallory.socket.send_bytes(garbage)
    _, code = await mallory.until_closed()
    assert code == 1007
    assert site.service.counters["garbage"] == 1
    await alice.say(ping=1)
    await alice.hear("pong")
    assert site.peers.publishers[-1].is_closed and not site.peers.publishers[0].is_closed


@pytest.mark.parametrize("site", [LiveKitSettings(max_message=1000)], indirect=True)
async def test_a_message_that_is_too_long_closes_the_websocket(site: Site) -> None:
    alice, _ = await site.join("alice")
    await alice.socket.send_bytes(bytes(2000))
    assert (await alice.until_closed())[1] == 1009


async def test_a_cut_websocket_is_followed_by_another(site: Site) -> None:
    alice, welcome = await site.join("alice")
    transport = alice.socket._response.connection
    assert transport is not None and transport.transport is not None
    transport.transport.abort()
    again = await site.open("alice", reconnect="1", sid=welcome.participant.sid)
    assert (await again.hear("reconnect")).reconnect.server_info.version == "1.13.3"
    update = (await again.hear("update")).update
    assert [info.sid for info in update.participants] == [welcome.participant.sid]
    await again.hear("offer")
    assert len(site.peers.publishers) == 1 and not site.peers.publishers[0].is_closed
    assert site.service.counters["resumes"] == 1


async def test_a_websocket_that_is_still_open_gives_way_to_the_next(site: Site) -> None:
    alice, welcome = await site.join("alice")
    again = await site.open("alice", reconnect="1", sid=welcome.participant.sid)
    await again.hear("reconnect")
    kinds, code = await alice.until_closed()
    assert "leave" not in kinds and code == 1000
    await again.say(ping=1)
    await again.hear("pong")


@pytest.mark.parametrize("identity", ["alice", "zoe"])
async def test_nothing_is_resumed_for_a_stranger(site: Site, identity: str) -> None:
    await site.join("alice")
    stranger = await site.open(identity, reconnect="1", sid="PA_wrong")
    leave = (await stranger.hear("leave")).leave
    assert (leave.reason, leave.action) == (models.DisconnectReason.STATE_MISMATCH, rtc.LeaveRequest.RECONNECT)
    assert (await stranger.until_closed())[1] == 1000


async def test_the_same_identity_from_elsewhere_ends_the_first(site: Site) -> None:
    first, _ = await site.join("alice")
    second, _ = await site.join("alice")
    leave = (await first.hear("leave")).leave
    assert leave.reason == models.DisconnectReason.DUPLICATE_IDENTITY
    assert (await first.until_closed())[1] == 1000
    await second.say(ping=1)
    await second.hear("pong")


async def deaf_client(site: Site, identity: str) -> asyncio.StreamWriter:
    """A websocket that is opened and never read."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (site.server.host, site.server.port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=4096)
    url = site.server.make_url("/rtc").with_query(access_token=token(identity), protocol="17")
    headers = {
        "Host": "test",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    lines = [f"GET {url.path_qs} HTTP/1.1", *(f"{key}: {value}" for key, value in headers.items()), "", ""]
    writer.write("\r\n".join(lines).encode())
    assert b"101" in await reader.readline()
    return writer


@pytest.mark.parametrize(
    "site", [LiveKitSettings(room=RoomSettings(max_metadata=100_000), max_queue=300_000)], indirect=True
)
async def test_who_does_not_read_loses_its_websocket_and_nobody_else_does(site: Site) -> None:
    alice, _ = await site.join("alice")
    writer = await deaf_client(site, "deaf")
    room = site.service.driver.conference.rooms["r1"]
    site.peers.subscribers[-1].connect()
    for _ in range(500):
        room.set_metadata("x" * 100_000)
        site.service.driver.pump()
        await alice.hear("room_update")
        if site.service.counters["slow_clients"]:
            break
    assert site.service.counters["slow_clients"] == 1
    await alice.say(ping=1)
    await alice.hear("pong")
    assert room.participants["deaf"].is_present, "it may come back"
    writer.close()


@pytest.mark.parametrize("site", [LiveKitSettings(ping_interval=1, ping_timeout=2)], indirect=True)
async def test_a_client_that_falls_silent_loses_its_websocket_and_may_come_back(site: Site) -> None:
    alice, welcome = await site.join("alice")
    assert (await alice.until_closed())[1] == 1001
    assert site.service.counters["ping_timeouts"] == 1
    again = await site.open("alice", reconnect="1", sid=welcome.participant.sid)
    await again.hear("reconnect")


@pytest.mark.parametrize("site", [LiveKitSettings(join_timeout=0.05)], indirect=True)
async def test_media_that_never_flow_end_the_websocket(site: Site) -> None:
    alice = await site.open("alice")
    await alice.hear("join")
    assert (await alice.hear("leave")).leave.reason == models.DisconnectReason.JOIN_FAILURE
    assert (await alice.until_closed())[1] == 1000


@pytest.mark.parametrize("site", [LiveKitSettings(room=RoomSettings(max_metadata=4))], indirect=True)
async def test_who_cannot_join_after_all_is_told_so(site: Site) -> None:
    parameters = {"access_token": token("alice", metadata="too long"), "protocol": "17"}
    alice = Socket(await site.client.ws_connect(site.server.make_url("/rtc"), params=parameters))
    assert (await alice.hear("leave")).leave.reason == models.DisconnectReason.JOIN_FAILURE
    assert (await alice.until_closed())[1] == 1000


async def test_attributes_that_cannot_be_read_are_refused(site: Site) -> None:
    assert (await site.get(f"/rtc/validate?access_token={token('alice')}&attributes=%25"))[0] == 400
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await site.open("alice", attributes="%")
    assert refused.value.status == 400


async def test_a_server_that_ends_says_so(site: Site) -> None:
    alice, _ = await site.join("alice")
    closing = asyncio.create_task(site.server.close())
    assert (await alice.hear("leave")).leave.reason == models.DisconnectReason.SERVER_SHUTDOWN
    assert (await alice.until_closed())[1] == 1000
    await closing


async def test_a_fault_of_ours_ends_one_session_only(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    alice, _ = await site.join("alice")
    bob, _ = await site.join("bob")

    def fail(sdp: str) -> None:
        raise RuntimeError("a fault")

    site.peers.publishers[-1].receive_offer = fail  # type: ignore[assignment, method-assign]  # that is the fault
    await bob.say(offer=rtc.SessionDescription(type="offer", sdp="v=0"))
    assert (await bob.hear("leave")).leave.action == rtc.LeaveRequest.RECONNECT
    await alice.say(ping=1)
    await alice.hear("pong")
    assert site.service.counters["faults"] == 1


def test_a_service_needs_keys() -> None:
    with pytest.raises(ConfigurationError):
        LiveKitService(FakePeers(), {})
    with pytest.raises(ConfigurationError):
        LiveKitService(FakePeers(), {"key": ""})
